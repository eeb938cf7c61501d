// The first picture: one digit that slides by itself or is moved, and what every network answers along the way.

import { answerAt, answerNow } from "./answers.js";
import { markOf, setOutcome, signed, wordOf } from "./parts/words.js";
import { SIDE, lostInk, moved, paint, paintLost } from "./shift.js";

const STEP_TIME = 550; // ms at a place while it slides
const REST_TIME = 1300; // ms where it turns and in the middle
const SAID_AFTER = 400; // ms without a movement before the answers go to a screen reader

export class Slide {
  #dataset;
  #scene;
  #byId = (name) => document.getElementById(name);
  #rows; // of the networks: answers now, and along the slide
  #places; // the dx of the slide
  #thumbs;
  #timer = 0;
  #said = 0;
  #direction = 1;
  #playing = false;
  #stale = 0; // a timer of answers along the slide that are still to be computed

  constructor(dataset, scene) {
    this.#dataset = dataset;
    this.#scene = scene;
    this.#places = [...document.querySelectorAll("#thumbs [data-dx]")].map((item) => Number(item.dataset.dx));
    this.#thumbs = [...document.querySelectorAll("#thumbs [data-dx] canvas")];
    this.#rows = [...document.querySelectorAll("#networks [data-model]")].map((item) => ({
      item,
      model: dataset.model(item.dataset.model),
      now: item.querySelector(".now"),
      cells: [...item.querySelectorAll(".along li")],
    }));
    for (const list of document.querySelectorAll("#thumbs, #networks .along")) {
      [...list.children].forEach((item, i) => {
        item.addEventListener("click", () => this.#go({ dx: this.#places[i] }));
      });
    }
    this.#byId("play").addEventListener("click", () => this.play(!this.#playing));
    this.#byId("ruler")?.addEventListener("input", (event) => this.#go({ dx: Number(event.target.value) }));
    this.#byId("another").addEventListener("click", () => {
      scene.set({ digit: dataset.digit(Math.floor(Math.random() * dataset.length)), dx: 0, dy: 0 });
    });
    this.#listenToFrame();
    scene.onChange((changed) => {
      if (scene.by !== "play") this.play(false);
      this.#draw();
      if (changed.has("digit") || changed.has("dy")) this.#answerAlong();
    });
    // Nobody looks: it waits.
    new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) this.play(false);
    }).observe(this.#byId("slide"));
  }

  /** Let the digit slide, or stand still. */
  play(on) {
    if (this.#playing === on) return;
    this.#playing = on;
    const button = this.#byId("play");
    button.classList.toggle("on", on);
    button.querySelector(".label").textContent = on ? "Stop" : "Slide";
    clearTimeout(this.#timer);
    if (on) this.#timer = setTimeout(() => this.#step(), STEP_TIME);
  }

  #step() {
    const [least, most] = [this.#places[0], this.#places.at(-1)];
    const { dx } = this.#scene;
    if (dx >= most) this.#direction = -1;
    if (dx <= least) this.#direction = 1;
    const next = dx + this.#direction;
    if (!document.hidden) this.#scene.set({ dx: Math.min(most, Math.max(least, next)) }, "play");
    const rests = next === 0 || next === least || next === most;
    this.#timer = setTimeout(() => this.#step(), rests ? REST_TIME : STEP_TIME);
  }

  #go(place) {
    this.#scene.set(place);
  }

  #draw() {
    const { digit, dx, dy } = this.#scene;
    paint(this.#byId("frame"), moved(digit.image, dx, dy));
    const lost = this.#byId("lost");
    paintLost(lost, digit.image, dx, dy, getComputedStyle(lost).color);
    const share = lostInk(digit.image, dx, dy);
    const where = dy === 0 ? `dx ${signed(dx)}` : `dx ${signed(dx)}, dy ${signed(dy)}`;
    const rounded = share > 0 && share < 0.01 ? "under 1" : Math.round(100 * share);
    this.#byId("where").textContent = share > 0 ? `${where}: ${rounded} % of the ink is lost` : where;
    const ruler = this.#byId("ruler");
    if (ruler !== null) {
      ruler.value = dx;
      ruler.setAttribute("aria-valuetext", `dx ${signed(dx)}`);
    }
    const here = this.#places.indexOf(dx);
    for (const list of document.querySelectorAll("#thumbs, #networks .along")) {
      [...list.children].forEach((item, i) => item.classList.toggle("here", i === here));
    }
    const said = [];
    const label = share < 1 ? digit.label : null; // if no ink is left, no answer is right or wrong
    for (const { item, model, now } of this.#rows) {
      const { answer } = answerNow(this.#dataset, model, digit, dx, dy);
      now.querySelector(".digit").textContent = answer ?? "\u2013";
      now.querySelector(".mark").textContent = markOf(answer, label);
      setOutcome(item, answer, label);
      const word = wordOf(answer, label);
      if (answer !== null) said.push(`${model.short}: ${answer}${word && `, ${word}`}`);
    }
    clearTimeout(this.#said);
    if (this.#scene.by !== "person") return;
    this.#said = setTimeout(() => {
      this.#byId("said").textContent = `dx ${signed(dx)}, dy ${signed(dy)}. ${said.join("; ")}`;
    }, SAID_AFTER);
  }

  /** The answers along the slide: what the page keeps at once, the rest network by network. */
  #answerAlong() {
    clearTimeout(this.#stale);
    const { digit, dy } = this.#scene;
    const label = digit.label;
    this.#thumbs.forEach((canvas, i) => paint(canvas, moved(digit.image, this.#places[i], dy)));
    let next = 0;
    const fill = () => {
      const { model, cells } = this.#rows[next];
      cells.forEach((cell, i) => {
        const answer = answerAt(this.#dataset, model, digit, this.#places[i], dy);
        cell.firstElementChild.textContent = answer ?? "\u2013";
        cell.lastElementChild.textContent = answer === null ? "" : ` ${wordOf(answer, label)}`;
        setOutcome(cell, answer, label);
      });
      next++;
      if (next < this.#rows.length) this.#stale = setTimeout(fill);
    };
    if (this.#rows.length > 0) this.#stale = setTimeout(fill);
  }

  #listenToFrame() {
    const frame = this.#byId("frame");
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
      const pixel = frame.clientWidth / SIDE;
      this.#go({
        dx: grip.dx + Math.round((event.clientX - grip.x) / pixel),
        dy: grip.dy + Math.round((event.clientY - grip.y) / pixel),
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
      if (event.key === "Home") this.#go({ dx: 0, dy: 0 });
      else if (event.key in steps) {
        const size = event.shiftKey ? 5 : 1;
        const [x, y] = steps[event.key];
        this.#go({ dx: this.#scene.dx + size * x, dy: this.#scene.dy + size * y });
      } else return;
      event.preventDefault();
    });
  }
}
