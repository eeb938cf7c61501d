// Every shift of a digit: each network's probabilities and its answers on the whole grid, and the choice of a
// digit.

import { answerAt, answerNow } from "./answers.js";
import { ShiftGrid } from "./parts/grid.js";
import { TypedField } from "./parts/typed.js";
import { markOf, setOutcome, signed, wordOf } from "./parts/words.js";
import { moved, paint } from "./shift.js";

export class Explorer {
  #dataset;
  #scene;
  #hardest = null; // the row that "Hardest" showed last
  #counting = 0; // the number of the latest digit: answers to an older one are not computed further
  #panels;
  #fields; // dx, dy and the test image's number
  #byId = (name) => document.getElementById(name);

  constructor(dataset, scene) {
    this.#dataset = dataset;
    this.#scene = scene;
    const take = (row, column) => scene.set({ dx: dataset.dx[column], dy: dataset.dy[row] });
    this.#panels = dataset.models.map((model) => {
      const article = this.#byId(`model-${model.name}`);
      return {
        model,
        article,
        digit: article.querySelector(".digit"),
        mark: article.querySelector(".mark"),
        share: article.querySelector(".share"),
        list: article.querySelector(".bars"),
        bars: [...article.querySelectorAll(".bars li")].map((item) => ({
          item,
          bar: item.querySelector("i"),
          value: item.querySelector(".value"),
        })),
        grid: new ShiftGrid(this.#byId(`grid-${model.name}`), take, take),
      };
    });
    this.#listenToControls();
    scene.onChange((changed) => {
      if (changed.has("digit")) this.#newDigit();
      this.#draw();
    });
  }

  /** Scroll into view, with the frame ready for the arrow keys. */
  focus() {
    this.#byId("frame").focus({ preventScroll: true });
    this.#byId("explorer").scrollIntoView();
  }

  #newDigit() {
    const { digit } = this.#scene;
    const index = digit.row === null ? "" : this.#dataset.indices[digit.row];
    this.#fields.number.show(index);
    const which = { test: `Test image ${index}, label ${digit.label}`, drawn: "Your own digit", none: "No digit" };
    const meant = digit.kind === "drawn" && digit.label !== null ? `, meant as ${digit.label}` : "";
    for (const place of document.querySelectorAll(".which")) {
      place.textContent = which[digit.kind] + meant;
    }
    this.#answerEverywhere(++this.#counting);
  }

  #draw() {
    const { digit, dx, dy } = this.#scene;
    paint(this.#byId("small"), moved(digit.image, dx, dy));
    this.#fields.dx.show(dx);
    this.#fields.dy.show(dy);
    const shift = this.#dataset.shiftAt(dx, dy);
    for (const panel of this.#panels) {
      const { answer, shares } = answerNow(this.#dataset, panel.model, digit, dx, dy);
      panel.digit.textContent = answer ?? "\u2013";
      panel.mark.textContent = markOf(answer, digit.label);
      panel.share.textContent = shares === null ? "" : percent(shares[answer]);
      panel.list.hidden = panel.model.network === null; // nothing is known but the answer
      setOutcome(panel.article, answer, digit.label);
      panel.bars.forEach(({ item, bar, value }, i) => {
        const share = shares === null ? 0 : shares[i];
        bar.style.transform = `scaleY(${Number.isNaN(share) ? 0 : share})`;
        item.classList.toggle("top", i === answer);
        value.textContent = shares === null ? "" : `: ${percent(share)}`;
      });
      panel.grid.mark(shift < 0 ? null : shift);
    }
  }

  #fillGrid({ grid }, answers, how) {
    const { dx, dy } = this.#dataset;
    const { label } = this.#scene.digit;
    grid.cells.forEach((cell, i) => {
      const place = `dx ${signed(dx[i % dx.length])}, dy ${signed(dy[Math.floor(i / dx.length)])}`;
      const answer = answers[i];
      const word = wordOf(answer, label);
      cell.textContent = answer ?? "\u2013";
      cell.setAttribute("aria-label", `${answer ?? "\u2013"}${word && ` ${word}`} at ${place}`);
      cell.title = answer === null ? place : `${place}: ${how} ${answer}`;
      setOutcome(cell, answer, label);
    });
  }

  /** The answers at every shift: kept ones at once, computed ones row by row, so that the page stays responsive. */
  async #answerEverywhere(number) {
    const { dx, dy } = this.#dataset;
    const { digit } = this.#scene;
    const isKept = (model) => digit.kind === "none" || (digit.row !== null && model.answers !== null);
    for (const panel of this.#panels.filter(({ model }) => isKept(model))) {
      const answers = dy.flatMap((y) => dx.map((x) => answerAt(this.#dataset, panel.model, digit, x, y)));
      this.#fillGrid(panel, answers, "answered in the run");
    }
    for (const panel of this.#panels.filter(({ model }) => !isKept(model))) {
      const answers = [];
      for (const y of dy) {
        await new Promise((done) => setTimeout(done));
        if (number !== this.#counting) return;
        for (const x of dx) answers.push(answerAt(this.#dataset, panel.model, digit, x, y));
      }
      this.#fillGrid(panel, answers, "the forward pass in this page gives");
    }
  }

  #listenToControls() {
    const on = (name, kind, act) => this.#byId(name)?.addEventListener(kind, act);
    const field = (name, act) => new TypedField(this.#byId(name), act);
    const place = (name) => field(name, (text) => this.#scene.set({ [name]: Math.round(Number(text)) || 0 }));
    const number = field("number", (text) => {
      if (text !== "") this.#showIndex(Number(text));
    });
    this.#fields = { dx: place("dx"), dy: place("dy"), number };
    on("centre", "click", () => this.#scene.set({ dx: 0, dy: 0 }));
    on("label", "change", () => {
      if (this.#label() !== null) this.#step(1);
    });
    on("previous", "click", () => this.#step(-1));
    on("next", "click", () => this.#step(1));
    on("random", "click", () => {
      const rows = this.#dataset.rowsOf(this.#label());
      if (this.#some(rows)) this.#show(rows[Math.floor(Math.random() * rows.length)]);
    });
    on("hardest", "click", () => {
      const rows = this.#dataset.hardest(this.#label());
      if (!this.#some(rows)) return;
      // Repeated clicks go on from the hardest image; the first click shows the hardest.
      const goesOn = this.#hardest === this.#scene.digit.row;
      const rank = goesOn ? (rows.indexOf(this.#hardest) + 1) % rows.length : 0;
      this.#hardest = rows[rank];
      this.#show(this.#hardest);
      const { right, all } = this.#dataset.difficulty(this.#hardest);
      this.#byId("pick-said").textContent =
        `Number ${rank + 1} of the hardest: ${right} of ${all} answers in the run are right.`;
    });
    for (const button of document.querySelectorAll("button.go")) {
      const { dx, dy } = button.dataset;
      button.addEventListener("click", () => this.#scene.set({ dx: Number(dx), dy: Number(dy) }));
    }
    for (const button of document.querySelectorAll("button.take")) {
      button.addEventListener("click", () => {
        this.#showIndex(Number(button.dataset.index));
        if (!this.#byId("explorer").contains(button)) this.focus();
      });
    }
  }

  #show(row) {
    this.#scene.set({ digit: this.#dataset.digit(row), dx: 0, dy: 0 });
  }

  #label() {
    const { value } = this.#byId("label");
    return value === "" ? null : Number(value);
  }

  #some(rows) {
    this.#byId("pick-said").textContent = rows.length ? "" : `No test image has the label ${this.#label()}.`;
    return rows.length > 0;
  }

  #showIndex(index) {
    const row = this.#dataset.rowOf.get(index);
    this.#byId("pick-said").textContent = row === undefined ? `This page does not contain test image ${index}.` : "";
    if (row !== undefined) this.#show(row);
  }

  /** The next image of the chosen label in the test set's order, or the one before. */
  #step(direction) {
    const rows = this.#dataset.rowsOf(this.#label());
    if (!this.#some(rows)) return;
    const { indices } = this.#dataset;
    const { row } = this.#scene.digit;
    const here = row === null ? -1 : indices[row];
    const after = rows.findIndex((row) => indices[row] > here);
    const before = rows.findLastIndex((row) => indices[row] < here);
    const found = direction > 0 ? after : before;
    this.#show(rows.at(found >= 0 ? found : direction > 0 ? 0 : -1));
  }
}

function percent(share) {
  return Number.isNaN(share) ? "not a number" : `${(100 * share).toFixed(share >= 0.9995 ? 0 : 1)} %`;
}
