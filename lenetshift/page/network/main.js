// Starts the page of a network: unpack, draw, listen; or report what is wrong.

import { Damage } from "../parts/payload.js";
import { Scene } from "../parts/scene.js";
import { openContents } from "./contents.js";
import { Stage, nearest } from "./stage.js";
import { startViews } from "./views.js";

const START = "#explorer?";

function report(error) {
  const box = document.getElementById("problem");
  box.textContent =
    error instanceof Damage
      ? `This page is damaged: ${error.message}. The tables and numbers are not affected; for the explorer, get a new copy.`
      : `The explorer cannot start: ${error.message}`;
  box.hidden = false;
  document.getElementById("loading").hidden = true;
  document.documentElement.dataset.state = "failed";
}

/** Show what the address asks for: `#explorer?image=12&dx=3&dy=-1`; returns whether it asks for anything. */
function goToAddress(contents, scene) {
  if (!location.hash.startsWith(START)) return false;
  const asked = new URLSearchParams(location.hash.slice(START.length));
  const values = {};
  const row = contents.rowOf.get(Number(asked.get("image") ?? NaN));
  if (row !== undefined) values.row = row;
  for (const name of ["dx", "dy"]) {
    const value = Number(asked.get(name) ?? 0);
    values[name] = nearest(contents[name], Number.isFinite(value) ? value : 0);
  }
  scene.set(values, "script");
  document.getElementById("explorer").scrollIntoView();
  return true;
}

/** Keep the address up to date while a person moves things, so that a find can be shared. */
function keepAddress(contents, scene) {
  let timer = 0;
  scene.onChange(() => {
    clearTimeout(timer);
    if (scene.by !== "person") return;
    timer = setTimeout(() => {
      const parts = new URLSearchParams({ image: contents.numbers[scene.row], dx: scene.dx, dy: scene.dy });
      history.replaceState(null, "", START + parts);
    }, 300);
  });
}

/** What is shown, with the number of the shift where the image is. */
class ShiftScene extends Scene {
  #contents;

  constructor(contents, values) {
    super(values, Infinity);
    this.#contents = contents;
  }

  get shift() {
    const { dx, dy } = this.#contents;
    return this.#contents.shift(dy.indexOf(this.dy), dx.indexOf(this.dx));
  }
}

async function start() {
  const contents = await openContents();
  const [dx, dy] = [nearest(contents.dx, 0), nearest(contents.dy, 0)];
  const scene = new ShiftScene(contents, { row: contents.first, dx, dy });
  const stage = new Stage(contents, scene);
  startViews(contents, scene);
  keepAddress(contents, scene);
  await contents.picture(contents.first);
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
  document.getElementById("loading").hidden = true;
  scene.set({ row: contents.first, dx, dy }, "script");
  const isAsked = goToAddress(contents, scene);
  addEventListener("hashchange", () => goToAddress(contents, scene));
  if (!isAsked && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    requestAnimationFrame(() => stage.play(true));
  }
  document.documentElement.dataset.state = "ready";
}

start().catch(report);
