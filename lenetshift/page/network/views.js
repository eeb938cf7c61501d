// Both maps of shifts, the choice of an image, and the confusions at a shift.

import { ShiftGrid } from "../parts/grid.js";
import { TypedField } from "../parts/typed.js";
import { markOf, setOutcome, signed, wordOf } from "../parts/words.js";
import { ShiftPicture } from "./shift_picture.js";

const byId = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";

/** The table or the picture of a grid of shifts. */
function gridOf(name, contents, choose) {
  const element = byId(name);
  if (element.tagName === "TABLE") return new ShiftGrid(element, choose, choose);
  return new ShiftPicture(element, [contents.dy.length, contents.dx.length], choose);
}

export function startViews(contents, scene) {
  const { dx, dy, names, labels, numbers } = contents;
  const choose = (row, column) => scene.set({ dx: dx[column], dy: dy[row] });
  const map = gridOf("map", contents, choose);
  const answers = gridOf("image-map", contents, choose);
  const isPicture = answers instanceof ShiftPicture;
  const number = startChoice(contents, scene);

  function showImage() {
    const { row } = scene;
    for (const place of document.querySelectorAll(".which")) {
      place.textContent = `Image ${numbers[row]}, label ${names[labels[row]]}`;
    }
    number.show(numbers[row]);
    byId("share").textContent = `Right at ${contents.nRight(row)} of ${contents.nShifts} shifts.`;
    if (isPicture) answers.paintOutcomes((shift) => contents.isRight(row, shift));
    else fillTable(row);
  }

  function fillTable(row) {
    answers.cells.forEach((cell, shift) => {
      const answer = contents.answer(row, shift);
      const at = `dx ${signed(dx[shift % dx.length])}, dy ${signed(dy[Math.floor(shift / dx.length)])}`;
      cell.textContent = contents.short ? names[answer] : markOf(answer, labels[row]);
      const shown = contents.short ? "" : `${cell.textContent} `;
      cell.setAttribute("aria-label", `${shown}${names[answer]} ${wordOf(answer, labels[row])} at ${at}`);
      cell.title = `${at}: ${names[answer]}`;
      setOutcome(cell, answer, labels[row]);
    });
  }

  function showShift() {
    const { shift, row } = scene;
    const at = `(${signed(scene.dx)}, ${signed(scene.dy)})`;
    const right = contents.right[shift];
    const all = contents.n_images;
    map.mark(shift);
    answers.mark(shift);
    const share = ((100 * right) / all).toFixed(1);
    byId("map-said").textContent =
      `At ${at}: ${share} % right, ${(all - right).toLocaleString("en")} of ${all.toLocaleString("en")} wrong.`;
    if (isPicture) {
      const answer = contents.answer(row, shift);
      byId("image-map-said").textContent = `At ${at}: ${names[answer]}, ${wordOf(answer, labels[row])}. A full square is a right answer, an empty one a wrong answer.`;
    }
    if (byId("here-taken") === null) return; // all answers are right
    byId("here-title").textContent = `At ${at}${right === all ? ": every answer is right" : ""}`;
    const taken = contents.taken(shift);
    byId("here-taken").replaceChildren(...taken.map((item) => takenItem(item, taken[0].count)));
  }

  scene.onChange((changed) => {
    if (changed.has("row")) showImage();
    showShift();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showImage);
}

/** A wrong answer and how often it is given, like those that Python wrote. */
function takenItem({ label, answer, count }, most) {
  const item = document.createElement("li");
  const pair = document.createElement("span");
  const name = document.createElement("b");
  const number = document.createElement("span");
  pair.className = "pair";
  name.textContent = label;
  pair.append(name, ` \u2192 ${answer}`);
  const bar = document.createElementNS(SVG, "svg");
  const filled = document.createElementNS(SVG, "rect");
  const attributes = { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) bar.setAttribute(key, value);
  filled.setAttribute("width", (100 * count) / most);
  filled.setAttribute("height", 8);
  bar.append(filled);
  number.className = "count";
  number.textContent = count.toLocaleString("en");
  item.append(pair, bar, number);
  return item;
}

/** Listen to the controls that choose an image; returns the field of its number. */
function startChoice(contents, scene) {
  const { numbers, hardest, length } = contents;
  let rank = -1;
  const show = (row) => {
    byId("pick-said").textContent = "";
    scene.set({ row });
  };
  const on = (name, kind, act) => byId(name).addEventListener(kind, act);
  on("previous", "click", () => show((scene.row + length - 1) % length));
  on("next", "click", () => show((scene.row + 1) % length));
  on("random", "click", () => show(Math.floor(Math.random() * length)));
  byId("hardest").hidden = hardest.length === 0;
  on("hardest", "click", () => {
    rank = (rank + 1) % hardest.length;
    show(hardest[rank]);
  });
  for (const button of document.querySelectorAll("button.to-shift")) {
    const { row, column } = button.dataset;
    button.addEventListener("click", () => {
      scene.set({ dx: contents.dx[Number(column)], dy: contents.dy[Number(row)] });
    });
  }
  return new TypedField(byId("number"), (text) => {
    const number = Number(text);
    if (contents.rowOf.has(number)) show(contents.rowOf.get(number));
    else byId("pick-said").textContent = `This page does not contain image ${number}.`;
  });
}
