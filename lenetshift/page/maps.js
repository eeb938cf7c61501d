// Accuracy maps: a cell lists the images that its model gets wrong there, page by page.

import { ShiftGrid } from "./parts/grid.js";
import { signed } from "./parts/words.js";
import { moved, paint } from "./shift.js";

const PAGE = 48; // thumbnails at a time: three rows of sixteen on a wide screen

/** `onTake(row, dx, dy)` shows an image in the explorer. */
export function startMaps(dataset, onTake) {
  const byId = (name) => document.getElementById(name);
  const grids = new Map();
  let listed = { rows: [], model: null, shift: 0, dx: 0, dy: 0 };
  let page = 0;

  for (const model of dataset.kept) {
    const choose = (row, column) => {
      for (const [name, other] of grids) {
        other.mark(name === model.name ? row * dataset.dx.length + column : null);
      }
      show(model, row * dataset.dx.length + column, dataset.dx[column], dataset.dy[row]);
    };
    grids.set(model.name, new ShiftGrid(byId(`map-${model.name}`), choose));
  }

  function show(model, shift, dx, dy) {
    listed = { rows: dataset.wrongAt(model, shift), model, shift, dx, dy };
    page = 0;
    byId("wrong").hidden = false;
    const count = listed.rows.length.toLocaleString("en");
    byId("wrong-title").textContent =
      `${model.short} at dx ${signed(dx)}, dy ${signed(dy)}: ` +
      `${count} of ${dataset.nTest.toLocaleString("en")} test images wrong`;
    turn();
    byId("wrong").scrollIntoView({ block: "nearest" }); // it lies below the maps of all models
  }

  function turn() {
    const { rows, model, shift, dx, dy } = listed;
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    byId("wrong-page").textContent = `page ${page + 1} of ${pages}`;
    byId("wrong-before").disabled = page === 0;
    byId("wrong-after").disabled = page === pages - 1;
    const items = rows.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
      const answer = dataset.answers(model, row)[shift];
      const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
      paint(canvas, moved(dataset.image(row), dx, dy));
      const caption = document.createElement("span");
      caption.textContent = `${dataset.labels[row]} \u2192 ${answer}`;
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.index = dataset.indices[row];
      button.setAttribute("aria-label", `${caption.textContent}: explore test image ${dataset.indices[row]}`);
      button.append(canvas, caption);
      button.addEventListener("click", () => onTake(row, dx, dy));
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    byId("wrong-images").replaceChildren(...items);
  }

  for (const [name, step] of [["wrong-before", -1], ["wrong-after", 1]]) {
    byId(name).addEventListener("click", () => {
      page += step;
      turn();
      // A disabled button cannot keep the focus.
      if (byId(name).disabled) byId("wrong-title").focus();
    });
  }
}
