// Starts the page: unpack, draw, listen; or report what is wrong.

import { Damage, readManifest } from "./payload.js";
import { openDataset } from "./dataset.js";
import { drawFigures } from "./figures.js";
import { startMaps } from "./maps.js";
import { Explorer } from "./explorer.js";
import { likeMnist, startDrawing } from "./draw.js";
import { answerOf } from "./forward.js";
import { moved } from "./shift.js";

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

async function start() {
  document.getElementById("loading").textContent = "Unpacking images and weights \u2026";
  const dataset = await openDataset(readManifest());
  drawFigures(dataset);
  const explorer = new Explorer(dataset);
  startMaps(dataset, (row, dx, dy) => {
    explorer.show(row, dx, dy);
    explorer.focus();
  });
  startDrawing((image, label) => explorer.showDrawing(image, label));
  document.getElementById("loading").hidden = true;
  document.getElementById("bench").hidden = false;
  explorer.show(dataset.rowOf.get(dataset.figures[0]) ?? 0);
  // For scripts, such as the test that compares the page with the package.
  globalThis.lenetshift = Object.freeze({
    rows: dataset.length,
    models: dataset.models.map((model) => model.name),
    logits: (model, row, dx, dy) =>
      Array.from(dataset.models[model].network(moved(dataset.image(row), dx, dy))),
    answer: (model, row, dx, dy) =>
      answerOf(dataset.models[model].network(moved(dataset.image(row), dx, dy))),
    saved: (model, row) => Array.from(dataset.answers(dataset.models[model], row)),
    moved: (image, dx, dy) => Array.from(moved(Uint8Array.from(image), dx, dy)),
    likeMnist: (ink, width, height) => Array.from(likeMnist(ink, width, height) ?? []),
  });
  document.documentElement.dataset.state = "ready";
}

start().catch(report);
