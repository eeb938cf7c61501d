// The explorer: one digit in its frame, moved by the reader, and every model's answer to it.

import { ShiftGrid } from "./grid.js";
import { answerOf, probabilities } from "./forward.js";
import { SIDE, moved, paint, signed } from "./shift.js";

const PAUSE = 400; // ms without a movement before the answers go to a screen reader

/** The answer's mark: empty if the digit has no label. */
function markOf(answer, label) {
  return label === null ? "" : answer === label ? "\u2713" : "\u2717";
}

function wordOf(answer, label) {
  return label === null ? "" : answer === label ? "right" : "wrong";
}

function setOutcome(element, answer, label) {
  element.classList.toggle("right", label !== null && answer === label);
  element.classList.toggle("wrong", label !== null && answer !== label);
}

export class Explorer {
  #dataset;
  #digit = { image: new Uint8Array(SIDE * SIDE), label: null, row: null };
  #dx = 0;
  #dy = 0;
  #drawn = false; // whether a redraw is due
  #timer = 0;
  #hardest = null; // the row that "Hardest" showed last
  #counting = 0; // the number of the latest drawing: answers to an older one are not computed further
  #panels;
  #byId = (name) => document.getElementById(name);

  constructor(dataset) {
    this.#dataset = dataset;
    const take = (row, column) => this.moveTo(dataset.dx[column], dataset.dy[row]);
    this.#panels = dataset.models.map((model) => {
      const article = this.#byId(`model-${model.name}`);
      return {
        model,
        article,
        digit: article.querySelector(".digit"),
        mark: article.querySelector(".mark"),
        share: article.querySelector(".share"),
        bars: [...article.querySelectorAll(".bars li")].map((item) => ({
          item,
          bar: item.querySelector("i"),
          value: item.querySelector(".value"),
        })),
        glance: document.querySelector(`#glance [data-model="${model.name}"]`),
        grid: new ShiftGrid(this.#byId(`grid-${model.name}`), take, take),
      };
    });
    this.#listenToFrame();
    this.#listenToControls();
  }

  /** Show a test image, unmoved unless a place is given. */
  show(row, dx = 0, dy = 0) {
    const { labels, indices } = this.#dataset;
    this.#digit = { image: this.#dataset.image(row), label: labels[row], row };
    this.#byId("number").value = indices[row];
    this.#byId("which").textContent = `Test image ${indices[row]}, label ${labels[row]}`;
    this.#counting++;
    for (const panel of this.#panels) {
      this.#fillGrid(panel, this.#dataset.answers(panel.model, row), "answered in the run");
    }
    this.moveTo(dx, dy);
  }

  /** Show a drawn digit; label null if none is chosen. */
  showDrawing(image, label) {
    this.#digit = { image, label, row: null };
    const said = label === null ? "" : `, meant as ${label}`;
    this.#byId("which").textContent = `Your own digit${said}`;
    this.#byId("number").value = "";
    this.moveTo(this.#dx, this.#dy);
    this.#answerEverywhere(++this.#counting);
  }

  /** Move the digit, at most until it has left the frame. */
  moveTo(dx, dy) {
    this.#dx = Math.min(SIDE, Math.max(-SIDE, dx));
    this.#dy = Math.min(SIDE, Math.max(-SIDE, dy));
    if (this.#drawn) return;
    this.#drawn = true;
    requestAnimationFrame(() => {
      this.#drawn = false;
      this.#draw();
    });
  }

  /** Scroll into view, with the frame ready for the arrow keys. */
  focus() {
    this.#byId("frame").focus({ preventScroll: true });
    this.#byId("explorer").scrollIntoView();
  }

  #draw() {
    const { label } = this.#digit;
    const [dx, dy] = [this.#dx, this.#dy];
    const image = moved(this.#digit.image, dx, dy);
    paint(this.#byId("frame"), image);
    this.#byId("dx").value = dx;
    this.#byId("dy").value = dy;
    const shift = this.#dataset.shiftAt(dx, dy);
    const said = [];
    for (const { model, article, digit, mark, share, bars, glance, grid } of this.#panels) {
      const logits = model.network(image);
      const answer = answerOf(logits);
      const shares = probabilities(logits);
      digit.textContent = answer;
      mark.textContent = markOf(answer, label);
      share.textContent = percent(shares[answer]);
      setOutcome(article, answer, label);
      for (let i = 0; i < 10; i++) {
        bars[i].bar.style.transform = `scaleY(${Number.isNaN(shares[i]) ? 0 : shares[i]})`;
        bars[i].item.classList.toggle("top", i === answer);
        bars[i].value.textContent = `: ${percent(shares[i])}`;
      }
      const word = wordOf(answer, label);
      glance.querySelector(".what").textContent = `${answer} ${markOf(answer, label)}`;
      setOutcome(glance, answer, label);
      grid.mark(shift < 0 ? null : shift);
      said.push(`${model.short}: ${answer}${word && `, ${word}`}`);
    }
    clearTimeout(this.#timer);
    const place = `dx ${signed(dx)}, dy ${signed(dy)}. `;
    this.#timer = setTimeout(() => {
      this.#byId("said").textContent = place + said.join("; ");
    }, PAUSE);
  }

  #fillGrid({ grid }, answers, how) {
    const { dx, dy } = this.#dataset;
    const { label } = this.#digit;
    grid.cells.forEach((cell, i) => {
      const answer = answers[i];
      const place = `dx ${signed(dx[i % dx.length])}, dy ${signed(dy[Math.floor(i / dx.length)])}`;
      cell.textContent = answer;
      setOutcome(cell, answer, label);
      cell.setAttribute("aria-label", `${place}: ${answer} ${wordOf(answer, label)}`);
      cell.title = `${place}: ${how} ${answer}`;
    });
  }

  /** Fill the grids for a drawn digit, a row at a time so that drawing goes on. */
  async #answerEverywhere(number) {
    const { dx, dy } = this.#dataset;
    for (const panel of this.#panels) {
      const answers = [];
      for (const y of dy) {
        await new Promise((done) => setTimeout(done));
        if (number !== this.#counting) return;
        for (const x of dx) {
          answers.push(answerOf(panel.model.network(moved(this.#digit.image, x, y))));
        }
      }
      this.#fillGrid(panel, answers, "the forward pass in this page gives");
    }
  }

  #listenToFrame() {
    const frame = this.#byId("frame");
    let grip = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.setPointerCapture(event.pointerId);
      grip = { x: event.clientX, y: event.clientY, dx: this.#dx, dy: this.#dy };
      frame.classList.add("held");
    });
    frame.addEventListener("pointermove", (event) => {
      if (grip === null) return;
      const pixel = frame.clientWidth / SIDE;
      this.moveTo(
        grip.dx + Math.round((event.clientX - grip.x) / pixel),
        grip.dy + Math.round((event.clientY - grip.y) / pixel),
      );
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
      if (event.key === "Home") this.moveTo(0, 0);
      else if (event.key in steps) {
        const size = event.shiftKey ? 5 : 1;
        const [x, y] = steps[event.key];
        this.moveTo(this.#dx + size * x, this.#dy + size * y);
      } else return;
      event.preventDefault();
    });
  }

  #listenToControls() {
    const on = (name, kind, act) => this.#byId(name)?.addEventListener(kind, act);
    const typed = () => {
      const [dx, dy] = ["dx", "dy"].map((name) => Math.round(Number(this.#byId(name).value)) || 0);
      this.moveTo(dx, dy);
    };
    on("dx", "change", typed);
    on("dy", "change", typed);
    on("centre", "click", () => this.moveTo(0, 0));
    on("number", "change", () => {
      const { value } = this.#byId("number");
      if (value !== "") this.#showIndex(Number(value));
    });
    on("label", "change", () => {
      if (this.#label() !== null) this.#step(1);
    });
    on("previous", "click", () => this.#step(-1));
    on("next", "click", () => this.#step(1));
    on("random", "click", () => {
      const rows = this.#dataset.rowsOf(this.#label());
      if (this.#some(rows)) this.show(rows[Math.floor(Math.random() * rows.length)]);
    });
    on("hardest", "click", () => {
      const rows = this.#dataset.hardest(this.#label());
      if (!this.#some(rows)) return;
      // Repeated clicks go on from the hardest image; the first click shows the hardest.
      const goesOn = this.#hardest === this.#digit.row;
      const rank = goesOn ? (rows.indexOf(this.#digit.row) + 1) % rows.length : 0;
      this.#hardest = rows[rank];
      this.show(this.#hardest);
      const { right, all } = this.#dataset.difficulty(this.#hardest);
      this.#byId("pick-said").textContent =
        `Number ${rank + 1} of the hardest: ${right} of ${all} answers in the run are right.`;
    });
    for (const button of document.querySelectorAll("button.go")) {
      const { dx, dy } = button.dataset;
      button.addEventListener("click", () => this.moveTo(Number(dx), Number(dy)));
    }
    for (const button of document.querySelectorAll("button.take")) {
      button.addEventListener("click", () => {
        this.#showIndex(Number(button.dataset.index));
        if (!this.#byId("explorer").contains(button)) this.focus();
      });
    }
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
    if (row !== undefined) this.show(row);
  }

  /** The next image of the chosen label in the test set's order, or the one before. */
  #step(direction) {
    const rows = this.#dataset.rowsOf(this.#label());
    if (!this.#some(rows)) return;
    const { indices } = this.#dataset;
    const here = this.#digit.row === null ? -1 : indices[this.#digit.row];
    const after = rows.findIndex((row) => indices[row] > here);
    const before = rows.findLastIndex((row) => indices[row] < here);
    const found = direction > 0 ? after : before;
    this.show(rows.at(found >= 0 ? found : direction > 0 ? 0 : -1));
  }
}

function percent(share) {
  return Number.isNaN(share) ? "not a number" : `${(100 * share).toFixed(share >= 0.9995 ? 0 : 1)} %`;
}
