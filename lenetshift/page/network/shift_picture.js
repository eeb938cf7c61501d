// A grid of shifts as one picture, for mouse and keyboard: where a table would have too many cells.

import { STEPS } from "../parts/grid.js";

export class ShiftPicture {
  #element;
  #shape;
  #here;
  #place = [0, 0];

  /**
   * @param element holds the picture and the mark
   * @param shape rows and columns of the grid
   * @param onChoose called with (row, column) of a shift that is clicked or reached
   */
  constructor(element, shape, onChoose) {
    this.#element = element;
    this.#shape = shape;
    this.#here = element.querySelector(".here");
    element.addEventListener("click", (event) => {
      const box = element.getBoundingClientRect();
      const at = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
      onChoose(...at.map((share, i) => Math.min(shape[i] - 1, Math.max(0, Math.floor(share * shape[i])))));
    });
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const [row, column] = this.#place;
      let next = null;
      if (event.key === "Home") next = [row, 0];
      else if (event.key === "End") next = [row, shape[1] - 1];
      else if (event.key in STEPS) next = STEPS[event.key].map((step, i) => this.#place[i] + step);
      if (next === null) return;
      event.preventDefault();
      onChoose(...next.map((at, i) => Math.min(shape[i] - 1, Math.max(0, at))));
    });
  }

  /** Mark the shift with this number. */
  mark(index) {
    const [rows, columns] = this.#shape;
    this.#place = [Math.floor(index / columns), index % columns];
    const [row, column] = this.#place;
    this.#here.hidden = false;
    Object.assign(this.#here.style, {
      top: `${(100 * row) / rows}%`,
      left: `${(100 * column) / columns}%`,
      height: `${100 / rows}%`,
      width: `${100 / columns}%`,
    });
  }

  /** Draw right and wrong answers on the canvas within: a right one fills its square, a wrong one is its edge. */
  paintOutcomes(isRight) {
    const canvas = this.#element.querySelector("canvas");
    const each = Number(canvas.dataset.each);
    const context = canvas.getContext("2d");
    const style = getComputedStyle(this.#element);
    const colour = (name) => style.getPropertyValue(name);
    context.fillStyle = colour("--card");
    context.fillRect(0, 0, canvas.width, canvas.height);
    const [rows, columns] = this.#shape;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const right = isRight(row * columns + column);
        context.fillStyle = colour(right ? "--right" : "--wrong");
        context.fillRect(column * each, row * each, each - 1, each - 1);
        if (right) continue;
        context.fillStyle = colour("--wrong-tint");
        context.fillRect(column * each + 1, row * each + 1, each - 3, each - 3);
      }
    }
  }
}
