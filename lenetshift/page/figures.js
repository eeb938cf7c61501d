// Figures: Python wrote the answers; this draws the moved images above them.

import { moved, paint } from "./shift.js";

export function drawFigures(dataset) {
  for (const canvas of document.querySelectorAll("canvas[data-index]")) {
    const { index, dx, dy } = canvas.dataset;
    const image = dataset.image(dataset.rowOf.get(Number(index)));
    paint(canvas, moved(image, Number(dx), Number(dy)));
  }
}
