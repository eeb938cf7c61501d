// The address after "#": `explorer?image=4017&dx=3`, so that what is shown can be sent to somebody else.

import { SIDE } from "./shift.js";

const START = "#explorer";
const LEVELS = 15; // grey levels of a drawing are rounded to 16, half a byte for a pixel

/** A drawing with as many grey levels as an address keeps. */
export function rounded(image) {
  return image.map((value) => Math.round((value * LEVELS) / 255) * (255 / LEVELS));
}

/** A rounded drawing as characters of base64url. */
function fromImage(image) {
  const bytes = Array.from({ length: image.length / 2 }, (_, i) => (image[2 * i] / 17) * 16 + image[2 * i + 1] / 17);
  const runs = []; // a zero is followed by the number of zeros
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0) {
      runs.push(bytes[i]);
      continue;
    }
    const first = i;
    while (bytes[i + 1] === 0 && i - first < 254) i++;
    runs.push(0, i - first + 1);
  }
  return btoa(String.fromCharCode(...runs)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The drawing of such characters, or null if they are not one. */
function toImage(text) {
  let characters;
  try {
    characters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
  const bytes = [];
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    if (code !== 0) bytes.push(code);
    else bytes.push(...new Array(characters.charCodeAt(++i) || 0).fill(0));
  }
  if (bytes.length !== (SIDE * SIDE) / 2) return null;
  return Uint8Array.from(bytes.flatMap((byte) => [(byte >> 4) * 17, (byte & 15) * 17]));
}

/** The address of a scene; the network `usual` is not written. */
function addressOf({ digit, dx, dy, network }, indices, usual) {
  const parts = new URLSearchParams();
  if (digit.kind === "test") parts.set("image", indices[digit.row]);
  if (digit.kind === "drawn") parts.set("drawing", fromImage(digit.image));
  if (digit.kind === "drawn" && digit.label !== null) parts.set("label", digit.label);
  if (dx !== 0) parts.set("dx", dx);
  if (dy !== 0) parts.set("dy", dy);
  if (network !== usual) parts.set("network", network);
  return `${START}?${parts}`;
}

/**
 * What an address asks for: null if it is not one of the explorer, else any of `index`, `drawing`, `label`,
 * `dx`, `dy` and `network`. Whatever cannot be read is left out.
 */
export function readAddress(text) {
  if (text !== START && !text.startsWith(`${START}?`)) return null;
  const parts = new URLSearchParams(text.slice(START.length + 1));
  const asked = {};
  const whole = (name, least, most) => {
    const value = Number(parts.get(name) || NaN);
    return Number.isInteger(value) && least <= value && value <= most ? value : null;
  };
  const values = {
    index: whole("image", 0, Infinity),
    drawing: parts.has("drawing") ? toImage(parts.get("drawing")) : null,
    label: whole("label", 0, 9),
    dx: whole("dx", -SIDE, SIDE),
    dy: whole("dy", -SIDE, SIDE),
    network: parts.get("network"),
  };
  for (const [name, value] of Object.entries(values)) if (value !== null) asked[name] = value;
  return asked;
}

/** Keep the address up to date while a person moves things, at most a few times a second. */
export function keepAddress(scene, indices, usual) {
  let timer = 0;
  scene.onChange(() => {
    clearTimeout(timer);
    if (scene.by !== "person") return;
    timer = setTimeout(() => history.replaceState(null, "", addressOf(scene, indices, usual)), 300);
  });
}
