// Starts the page: unpack, draw, listen; or report what is wrong.

import { Damage, readManifest } from "./parts/payload.js";
import { openDataset } from "./dataset.js";
import { drawFigures } from "./figures.js";
import { startMaps } from "./maps.js";
import { Scene } from "./parts/scene.js";
import { Slide } from "./slide.js";
import { LayersPicture, reads } from "./layers.js";
import { Explorer } from "./explorer.js";
import { keepAddress, readAddress, rounded } from "./address.js";
import { likeMnist, startDrawing } from "./draw.js";
import { answerOf } from "./forward.js";
import { NOTHING, SIDE, moved } from "./shift.js";

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

/** Show what the address asks for, if it asks for anything; returns whether it does. */
function goToAddress(dataset, scene) {
  const asked = readAddress(location.hash);
  if (asked === null) return false;
  const { index, drawing, label = null, dx = 0, dy = 0, network } = asked;
  const values = { dx, dy };
  if (drawing) values.digit = { image: drawing, label, row: null, kind: "drawn" };
  else if (dataset.rowOf.has(index)) values.digit = dataset.digit(dataset.rowOf.get(index));
  if (dataset.model(network)?.drawn?.kind === "lenet") values.network = network;
  scene.set(values, "script");
  document.getElementById("explorer").scrollIntoView();
  return Object.keys(asked).length > 0;
}

async function start() {
  document.getElementById("loading").textContent = "Unpacking images and weights \u2026";
  const manifest = readManifest();
  const dataset = await openDataset(manifest);
  drawFigures(dataset);
  // A digit has an `image`, a `label` (null for none), a `row` of the data set (null for none) and a `kind`: test,
  // drawn or none. It moves at most until it has left the frame; `network` is the name of one.
  const scene = new Scene({ digit: NOTHING, dx: 0, dy: 0, network: null }, SIDE);
  const slide = new Slide(dataset, scene);
  const ofLenet = dataset.models.find(({ drawn }) => drawn?.kind === "lenet");
  if (ofLenet) new LayersPicture(dataset, scene);
  const explorer = new Explorer(dataset, scene);
  startMaps(dataset, (row, dx, dy) => {
    scene.set({ digit: dataset.digit(row), dx, dy });
    explorer.focus();
  });
  startDrawing((image, label, isNew) => {
    const digit = image === null ? NOTHING : { image: rounded(image), label, row: null, kind: "drawn" };
    scene.set(isNew ? { digit, dx: 0, dy: 0 } : { digit });
  });
  keepAddress(scene, dataset.indices, ofLenet?.name ?? null);
  document.getElementById("loading").hidden = true;
  for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;
  const digit = dataset.digit(dataset.rowOf.get(manifest.first) ?? 0);
  scene.set({ digit, dx: 0, dy: 0, network: ofLenet?.name ?? null }, "script");
  const isAsked = goToAddress(dataset, scene);
  addEventListener("hashchange", () => goToAddress(dataset, scene));
  if (!isAsked && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    requestAnimationFrame(() => slide.play(true));
  }
  // For scripts, such as the test that compares the page with the package.
  globalThis.lenetshift = Object.freeze({
    rows: dataset.length,
    models: dataset.models.map((model) => model.name),
    logits: (model, row, dx, dy) =>
      Array.from(dataset.models[model].network(moved(dataset.image(row), dx, dy))),
    answer: (model, row, dx, dy) =>
      answerOf(dataset.models[model].network(moved(dataset.image(row), dx, dy))),
    saved: (model, row) => Array.from(dataset.answers(dataset.models[model], row)),
    layers: (model, row, dx, dy) => {
      const { network } = dataset.models[model];
      network(moved(dataset.image(row), dx, dy));
      return Object.fromEntries(Object.entries(network.layers).map(([name, v]) => [name, Array.from(v)]));
    },
    reads: (model, layer, map, y, x) => reads(layer, map, y, x, dataset.models[model].drawn.connections),
    moved: (image, dx, dy) => Array.from(moved(Uint8Array.from(image), dx, dy)),
    likeMnist: (ink, width, height) => Array.from(likeMnist(ink, width, height) ?? []),
  });
  document.documentElement.dataset.state = "ready";
}

start().catch(report);
