// The layers of a LeNet-5 as pictures: maps, which move with the digit, and units, each at one place. What is
// touched shows what it reads.

import { SIDE, moved } from "./shift.js";

/** Layer -> maps of `side` x `side` units, `across` of them side by side, each unit `size` pixels wide. */
const MAPS = {
  c1: { side: 28, across: 2, size: 3, n: 6 },
  s2: { side: 14, across: 2, size: 6, n: 6 },
  c3: { side: 10, across: 4, size: 6, n: 16 },
  s4: { side: 5, across: 4, size: 12, n: 16 },
};
const UNITS = { c5: 120, f6: 84 };
const UNITS_ACROSS = 12;
const UNIT = 12; // pixels of a unit with its gap
const GAP = 4; // pixels between maps

const POSITIVE = [255, 233, 150];
const NEGATIVE = [150, 125, 255];

/** A range of lines of a layer -> that of the layer below, first and last: how many, and from where. */
const BELOW = {
  s4: ([a, b]) => [2 * a, 2 * b + 1],
  c3: ([a, b]) => [a, b + 4],
  s2: ([a, b]) => [2 * a, 2 * b + 1],
  c1: ([a, b]) => [Math.max(0, a - 2), Math.min(SIDE - 1, b + 2)],
};
const ORDER = ["s4", "c3", "s2", "c1", "image"];

/**
 * What a unit of a map reads: layer -> { maps (null for all), rows, columns }, down to the image.
 */
export function reads(layer, map, y, x, connections) {
  const found = {};
  let [maps, rows, columns] = [[map], [y, y], [x, x]];
  for (let i = ORDER.indexOf(layer); i < ORDER.length - 1; i++) {
    const step = BELOW[ORDER[i]];
    [rows, columns] = [step(rows), step(columns)];
    if (ORDER[i] === "c3") maps = [...new Set(maps.flatMap((m) => connections[m]))];
    found[ORDER[i + 1]] = { maps, rows, columns };
  }
  return found;
}

/** How many values lie on another side of 0 than they did. */
export function changedSides(values, before) {
  return values.reduce((n, value, i) => n + (value > 0 !== before[i] > 0), 0);
}

/** One canvas: it draws values, and finds what lies at a point. */
class Picture {
  constructor(canvas, layer) {
    this.canvas = canvas;
    this.layer = layer;
    this.maps = MAPS[layer] ?? null;
    this.context = canvas.getContext("2d");
    this.context.imageSmoothingEnabled = false;
  }

  /** The place of a map or unit: left, top, width. */
  place(i) {
    if (this.maps === null) {
      return [(i % UNITS_ACROSS) * UNIT, Math.floor(i / UNITS_ACROSS) * UNIT, UNIT - 1];
    }
    const { side, across, size } = this.maps;
    const step = side * size + GAP;
    return [(i % across) * step, Math.floor(i / across) * step, side * size];
  }

  drawMaps(values, black, most) {
    const { side, n } = this.maps;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const small = new OffscreenCanvas(side, side);
    const pixels = new ImageData(side, side);
    for (let map = 0; map < n; map++) {
      for (let i = 0; i < side * side; i++) {
        const k = map * side * side + i;
        pixels.data.set([...shade((values[k] - black[k]) / most), 255], 4 * i);
      }
      small.getContext("2d").putImageData(pixels, 0, 0);
      const [left, top, width] = this.place(map);
      this.context.drawImage(small, left, top, width, width);
    }
  }

  /** Units; those on another side of 0 than `before` get an edge. */
  drawUnits(values, before, edge) {
    const { context } = this;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    values.forEach((value, i) => {
      const [left, top, width] = this.place(i);
      context.fillStyle = `rgb(${shade(value).join()})`;
      context.fillRect(left, top, width, width);
      if (value > 0 !== before[i] > 0) {
        context.strokeStyle = edge;
        context.lineWidth = 2.5;
        context.strokeRect(left + 1.25, top + 1.25, width - 2.5, width - 2.5);
      }
    });
  }

  /** A frame around a part of some maps (null for all), or around units. */
  mark({ maps, rows, columns }, colour) {
    const n = this.maps?.n ?? UNITS[this.layer];
    const size = this.maps?.size ?? UNIT;
    Object.assign(this.context, { strokeStyle: colour, lineWidth: 2 });
    for (const map of maps ?? Array.from({ length: n }, (_, i) => i)) {
      const [left, top] = this.place(map);
      const [height, width] = [rows[1] - rows[0] + 1, columns[1] - columns[0] + 1];
      this.context.strokeRect(
        left + columns[0] * size + 0.5,
        top + rows[0] * size + 0.5,
        width * size - 1,
        height * size - 1,
      );
    }
  }

  /** The map or unit at a point of the screen, with y and x within it; null for none. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * this.canvas.width) / box.width;
    const y = ((event.clientY - box.top) * this.canvas.height) / box.height;
    const n = this.maps?.n ?? UNITS[this.layer];
    for (let i = 0; i < n; i++) {
      const [left, top, width] = this.place(i);
      if (x < left || x >= left + width || y < top || y >= top + width) continue;
      const size = this.maps?.size ?? UNIT;
      return { map: i, y: Math.floor((y - top) / size), x: Math.floor((x - left) / size) };
    }
    return null;
  }

  /** The neighbour of a place in a direction; the same place at the end. */
  neighbour({ map, y, x }, [dx, dy]) {
    const side = this.maps?.side ?? 1;
    const across = this.maps?.across ?? UNITS_ACROSS;
    const n = this.maps?.n ?? UNITS[this.layer];
    const column = (map % across) * side + x + dx;
    const row = Math.floor(map / across) * side + y + dy;
    if (column < 0 || row < 0 || column >= across * side) return { map, y, x };
    const next = Math.floor(row / side) * across + Math.floor(column / side);
    return next < n ? { map: next, y: row % side, x: column % side } : { map, y, x };
  }
}

/** A value from -1 to 1 as red, green and blue: 0 is black. */
function shade(value) {
  const size = Math.min(1, Math.abs(value)) ** 0.8;
  return (value < 0 ? NEGATIVE : POSITIVE).map((part) => Math.round(14 + (part - 14) * size));
}

export class LayersPicture {
  #dataset;
  #scene;
  #pictures; // of the chosen network
  #beside = null; // the place-blind network and the picture of its C5
  #before = {}; // network -> its units for the unmoved digit
  #black = {}; // network -> its maps for black, and the largest difference from it
  #touched = null; // { picture, map, y, x }
  #byId = (name) => document.getElementById(name);

  constructor(dataset, scene) {
    this.#dataset = dataset;
    this.#scene = scene;
    const canvases = [...document.querySelectorAll("#layers .chosen canvas")];
    this.#pictures = canvases.map((canvas) => new Picture(canvas, canvas.dataset.layer));
    const beside = document.querySelector("#layers .beside canvas");
    if (beside !== null) {
      const model = dataset.models.find(({ drawn }) => drawn?.kind === "place_blind");
      this.#beside = { model, picture: new Picture(beside, beside.dataset.layer) };
    }
    for (const picture of this.#pictures) this.#listenTo(picture);
    this.#byId("drawn-network").addEventListener("change", ({ target }) => {
      scene.set({ network: target.value });
    });
    scene.onChange((changed) => {
      if (changed.has("digit")) this.#before = {};
      this.#draw();
    });
    // Colours of the page's style.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  #colour(name) {
    return getComputedStyle(this.#byId("layers")).getPropertyValue(name).trim();
  }

  #layersOf(model, image) {
    model.network(image);
    return Object.fromEntries(Object.entries(model.network.layers).map(([name, v]) => [name, v.slice()]));
  }

  #draw() {
    const { digit, dx, dy } = this.#scene;
    const model = this.#dataset.model(this.#scene.network);
    this.#byId("drawn-network").value = model.name;
    const now = moved(digit.image, dx, dy);
    const black = (this.#black[model.name] ??= this.#layersOf(model, new Uint8Array(SIDE * SIDE)));
    const before = (this.#before[model.name] ??= this.#layersOf(model, digit.image));
    const layers = this.#layersOf(model, now);
    for (const picture of this.#pictures) {
      const { layer } = picture;
      if (picture.maps === null) this.#drawUnits(picture, layers[layer], before[layer]);
      else picture.drawMaps(layers[layer], black[layer], largestDifference(before[layer], black[layer]));
    }
    if (this.#beside !== null) {
      const { model: blind, picture } = this.#beside;
      const unmoved = (this.#before[blind.name] ??= this.#layersOf(blind, digit.image));
      this.#drawUnits(picture, this.#layersOf(blind, now).c5, unmoved.c5);
    }
    this.#drawReads();
  }

  #drawUnits(picture, values, before) {
    picture.drawUnits(values, before, this.#colour("--changed"));
    const n = changedSides(values, before);
    const place = picture.canvas.closest(".layer").querySelector(".changed");
    place.textContent = `${n} of ${values.length} changed`;
  }

  /** Frames around what the touched unit reads, and the same in words. */
  #drawReads() {
    const box = this.#byId("reads-box");
    const said = this.#byId("reads");
    box.hidden = true;
    if (this.#touched === null) {
      said.textContent = said.dataset.rest;
      return;
    }
    const { picture, map, y, x } = this.#touched;
    const { connections } = this.#dataset.model(this.#scene.network).drawn;
    const colour = this.#colour("--touched");
    const { layer } = picture;
    const whole = (side) => ({ maps: null, rows: [0, side - 1], columns: [0, side - 1] });
    picture.mark({ maps: [map], rows: [y, y], columns: [x, x] }, colour);
    let found;
    if (layer === "f6") found = { c5: whole(1) };
    else if (layer === "c5") found = { s4: whole(5), image: whole(SIDE) };
    else found = reads(layer, map, y, x, connections);
    for (const other of this.#pictures) {
      if (found[other.layer]) other.mark(found[other.layer], colour);
    }
    if (found.image) {
      const { rows, columns } = found.image;
      const percent = (lines) => `${(100 * lines) / SIDE}%`;
      Object.assign(box.style, {
        left: percent(columns[0]),
        top: percent(rows[0]),
        width: percent(columns[1] - columns[0] + 1),
        height: percent(rows[1] - rows[0] + 1),
      });
      box.hidden = false;
    }
    said.textContent = sentence(layer, map, found);
  }

  #touch(picture, place) {
    this.#touched = place && { picture, ...place };
    this.#draw();
  }

  #listenTo(picture) {
    const { canvas } = picture;
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.#touch(picture, picture.at(event));
    });
    canvas.addEventListener("pointerdown", (event) => this.#touch(picture, picture.at(event)));
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.#touch(picture, null);
    });
    canvas.addEventListener("focus", () => {
      if (canvas.matches(":focus-visible")) this.#touch(picture, { map: 0, y: 0, x: 0 });
    });
    canvas.addEventListener("blur", () => this.#touch(picture, null));
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in steps)) return;
      const here = this.#touched ?? { map: 0, y: 0, x: 0 };
      this.#touch(picture, picture.neighbour(here, steps[event.key]));
      event.preventDefault();
    });
  }
}

function largestDifference(values, black) {
  let most = 1e-6;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] - black[i]));
  return most;
}

function sentence(layer, map, found) {
  if (layer === "f6") return `F6, unit ${map}: reads all 120 units of C5.`;
  if (layer === "c5") return `C5, unit ${map}: reads all of S4, each place with a weight of its own.`;
  const { rows, columns } = found.image;
  const pixels = `${rows[1] - rows[0] + 1} × ${columns[1] - columns[0] + 1} pixels of the image`;
  const name = `${layer.toUpperCase()}, map ${map}`;
  if (layer === "c1") return `${name}: this unit reads ${pixels}.`;
  const below = ORDER[ORDER.indexOf(layer) + 1];
  const maps = found[below].maps;
  const of = `${maps.length === 1 ? "map" : "maps"} ${maps.join(", ")} of ${below.toUpperCase()}`;
  return `${name}: this unit reads ${of}, which is ${pixels}; its neighbour reads the next ones, with the same weights.`;
}
