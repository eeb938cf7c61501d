// The image that slides by itself or is moved, and the network's answers along the way.

import { markOf, setOutcome, signed, wordOf } from "../parts/words.js";
import { paintMoved } from "./frame.js";

const STEP_TIME = 550; // ms at a place while it slides
const REST_TIME = 1300; // ms where it turns and in the middle
const SAID_AFTER = 400; // ms without a movement before the answer goes to a screen reader

export class Stage {
  #contents;
  #scene;
  #byId = (name) => document.getElementById(name);
  #cells;
  #timer = 0;
  #said = 0;
  #direction = 1;
  #playing = false;

  constructor(contents, scene) {
    this.#contents = contents;
    this.#scene = scene;
    this.#cells = [...document.querySelectorAll("#strip > li")];
    this.#cells.forEach((cell, i) => cell.addEventListener("click", () => this.#goTo(i)));
    this.#byId("play")?.addEventListener("click", () => this.play(!this.#playing));
    if (this.#byId("frame")) this.#listenToFrame(this.#byId("frame"));
    scene.onChange((changed) => {
      if (scene.by !== "play") this.play(false);
      this.#draw();
      if (changed.has("row")) this.#drawAlong();
    });
    // Nobody looks: it waits.
    new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) this.play(false);
    }).observe(this.#byId("slide"));
  }

  /** Let the image slide, or stand still. */
  play(on) {
    if (this.#playing === on || this.#cells.length < 2) return;
    this.#playing = on;
    const button = this.#byId("play");
    button.classList.toggle("on", on);
    button.querySelector(".label").textContent = on ? "Stop" : "Slide";
    clearTimeout(this.#timer);
    if (on) this.#timer = setTimeout(() => this.#step(), STEP_TIME);
  }

  #step() {
    const { places } = this.#contents;
    const here = this.#here();
    const last = places.length - 1;
    if (here >= last) this.#direction = -1;
    if (here <= 0) this.#direction = 1;
    const next = Math.min(last, Math.max(0, here + this.#direction));
    if (!document.hidden) this.#goTo(next, "play");
    const [dx, dy] = this.#shiftOf(next);
    const rests = next === 0 || next === last || (dx === 0 && dy === 0);
    this.#timer = setTimeout(() => this.#step(), rests ? REST_TIME : STEP_TIME);
  }

  #shiftOf(i) {
    const [row, column] = this.#contents.places[i];
    return [this.#contents.dx[column], this.#contents.dy[row]];
  }

  /** The place of the slide where the image is, or the nearest one. */
  #here() {
    const { dx, dy } = this.#scene;
    const far = this.#contents.places.map((_, i) => {
      const [x, y] = this.#shiftOf(i);
      return Math.abs(x - dx) + Math.abs(y - dy);
    });
    return far.indexOf(Math.min(...far));
  }

  #goTo(i, by = "person") {
    const [dx, dy] = this.#shiftOf(i);
    this.#scene.set({ dx, dy }, by);
  }

  async #draw() {
    const { dx, dy, row } = this.#scene;
    const { names, labels } = this.#contents;
    const answer = this.#contents.answer(row, this.#scene.shift);
    const now = this.#byId("now");
    now.querySelector(".digit").textContent = names[answer];
    now.querySelector(".mark").textContent = markOf(answer, labels[row]);
    now.querySelector(".outcome").textContent = ` ${wordOf(answer, labels[row])}`;
    setOutcome(now, answer, labels[row]);
    const where = `dx ${signed(dx)}, dy ${signed(dy)}`;
    this.#byId("where").textContent = where;
    this.#cells.forEach((cell, i) => {
      const [x, y] = this.#shiftOf(i);
      cell.classList.toggle("here", x === dx && y === dy);
    });
    clearTimeout(this.#said);
    if (this.#scene.by === "person") {
      this.#said = setTimeout(() => {
        this.#byId("said").textContent = `${where}: ${names[answer]}, ${wordOf(answer, labels[row])}`;
      }, SAID_AFTER);
    }
    const picture = await this.#contents.picture(row);
    const isLate = row !== this.#scene.row || dx !== this.#scene.dx || dy !== this.#scene.dy;
    if (picture === null || isLate) return;
    paintMoved(this.#byId("frame"), picture, dx, dy, this.#contents.frame);
  }

  /** The pictures and answers of all places of the slide. */
  async #drawAlong() {
    const { row } = this.#scene;
    const { names, labels, short } = this.#contents;
    this.#cells.forEach((cell, i) => {
      const answer = this.#contents.answer(row, this.#contents.shift(...this.#contents.places[i]));
      setOutcome(cell, answer, labels[row]);
      cell.querySelector(".disc").title = names[answer];
      cell.querySelector(".text").textContent = short ? names[answer] : markOf(answer, labels[row]);
      cell.querySelector(".value").textContent = `${names[answer]} ${wordOf(answer, labels[row])} at`;
    });
    const picture = await this.#contents.picture(row);
    if (picture === null || row !== this.#scene.row) return;
    this.#cells.forEach((cell, i) => {
      paintMoved(cell.querySelector("canvas"), picture, ...this.#shiftOf(i), this.#contents.frame);
    });
  }

  #listenToFrame(frame) {
    const { dx, dy, window } = this.#contents;
    let grip = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.setPointerCapture(event.pointerId);
      grip = { x: event.clientX, y: event.clientY, dx: this.#scene.dx, dy: this.#scene.dy };
      frame.classList.add("held");
      this.play(false);
    });
    frame.addEventListener("pointermove", (event) => {
      if (grip === null) return;
      const pixel = (frame.clientWidth / window[1]) * this.#contents.frame.scale;
      this.#scene.set({
        dx: nearest(dx, grip.dx + (event.clientX - grip.x) / pixel),
        dy: nearest(dy, grip.dy + (event.clientY - grip.y) / pixel),
      });
    });
    for (const end of ["pointerup", "pointercancel"]) {
      frame.addEventListener(end, () => {
        grip = null;
        frame.classList.remove("held");
      });
    }
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Home") this.#scene.set({ dx: nearest(dx, 0), dy: nearest(dy, 0) });
      else if (event.key in steps) {
        const [x, y] = steps[event.key];
        this.#scene.set({ dx: beside(dx, this.#scene.dx, x), dy: beside(dy, this.#scene.dy, y) });
      } else return;
      event.preventDefault();
    });
  }
}

/** The shift that is nearest to a number. */
export function nearest(shifts, value) {
  return shifts.reduce((best, shift) => (Math.abs(shift - value) < Math.abs(best - value) ? shift : best));
}

/** The shift some steps after another one, or the last in that direction. */
function beside(shifts, shift, steps) {
  return shifts[Math.min(shifts.length - 1, Math.max(0, shifts.indexOf(shift) + steps))];
}
