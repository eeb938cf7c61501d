// A drawn digit, made into an image like MNIST's.

import { SIDE } from "./shift.js";

const BOX = 20; // MNIST's digits were scaled to 20 x 20 pixels, their shape kept
const MIDDLE = 14; // and moved until their centre of mass lay there, by whole pixels
const PEN = 22; // of the pad's 280 pixels; about two of the image's
const STEP = 7; // of the pen by one arrow key

/**
 * Ink [height, width], 0..255 in any size, prepared like MNIST: the box around the ink is scaled so that its
 * longer side is 20 pixels, its centre of mass is in the middle of 28 x 28. Null if there is no ink.
 */
export function likeMnist(ink, width, height) {
  const box = boxAround(ink, width, height);
  if (box === null) return null;
  const scale = BOX / Math.max(box.width, box.height);
  const columns = Math.max(1, Math.round(box.width * scale));
  const rows = Math.max(1, Math.round(box.height * scale));
  const small = new Float64Array(rows * columns);
  let mass = 0;
  let massX = 0;
  let massY = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const value = meanOver(
        ink,
        width,
        box.left + (x * box.width) / columns,
        box.top + (y * box.height) / rows,
        box.width / columns,
        box.height / rows,
      );
      small[y * columns + x] = value;
      mass += value;
      massX += value * x;
      massY += value * y;
    }
  }
  const left = Math.round(MIDDLE - massX / mass);
  const top = Math.round(MIDDLE - massY / mass);
  const image = new Uint8Array(SIDE * SIDE);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [toX, toY] = [left + x, top + y];
      if (toX >= 0 && toX < SIDE && toY >= 0 && toY < SIDE) {
        image[toY * SIDE + toX] = Math.round(small[y * columns + x]);
      }
    }
  }
  return image;
}

function boxAround(ink, width, height) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (ink[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** Mean ink over a rectangle; pixels at its edge count by the part inside. */
function meanOver(ink, width, left, top, w, h) {
  let sum = 0;
  for (let y = Math.floor(top); y < top + h; y++) {
    const part = Math.min(y + 1, top + h) - Math.max(y, top);
    for (let x = Math.floor(left); x < left + w; x++) {
      sum += part * (Math.min(x + 1, left + w) - Math.max(x, left)) * (ink[y * width + x] ?? 0);
    }
  }
  return sum / (w * h);
}

/**
 * The pad. `onDigit(image, label, isNew)` gets the drawing as the pen moves: image null if the pad is empty, label
 * null if none is chosen, `isNew` for the first ink on an empty pad.
 */
export function startDrawing(onDigit) {
  const byId = (name) => document.getElementById(name);
  const pad = byId("pad");
  const context = pad.getContext("2d", { willReadFrequently: true });
  const { width, height } = pad;
  let last = null; // where the pen is while it draws
  let isEmpty = true;
  let isDue = false; // whether the drawing is handed over before the next frame
  let pen = { x: width / 2, y: height / 2, down: false }; // the one that keys move

  function clear() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  }

  function line(from, to) {
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  function hand() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      const { data } = context.getImageData(0, 0, width, height);
      const ink = Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]);
      const image = likeMnist(ink, width, height);
      const wasEmpty = isEmpty;
      isEmpty = image === null;
      const meant = byId("meant").value;
      if (!(wasEmpty && isEmpty)) onDigit(image, meant === "" ? null : Number(meant), wasEmpty);
    });
  }

  const placeOf = (event) => {
    const box = pad.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * width) / box.width,
      y: ((event.clientY - box.top) * height) / box.height,
    };
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    last = placeOf(event);
    line(last, last);
    hand();
  });
  pad.addEventListener("pointermove", (event) => {
    if (last === null) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const place = placeOf(each);
      line(last, place);
      last = place;
    }
    hand();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, () => {
      last = null;
    });
  }

  const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  pad.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      pen.down = !pen.down;
      byId("pad-said").textContent = pen.down ? "pen down" : "pen up";
      if (pen.down) {
        line(pen, pen);
        hand();
      }
    } else if (event.key in steps) {
      const [x, y] = steps[event.key];
      const next = {
        x: Math.min(width, Math.max(0, pen.x + x)),
        y: Math.min(height, Math.max(0, pen.y + y)),
        down: pen.down,
      };
      if (pen.down) line(pen, next);
      pen = next;
      if (pen.down) hand();
      byId("pad-said").textContent = `pen at ${Math.round(pen.x)}, ${Math.round(pen.y)}`;
    } else {
      return;
    }
    event.preventDefault();
  });

  byId("clear").addEventListener("click", () => {
    clear();
    pen = { x: width / 2, y: height / 2, down: false };
    byId("meant").value = "";
    byId("pad-said").textContent = "cleared";
    isEmpty = true;
    onDigit(null, null, true);
  });
  byId("meant").addEventListener("change", hand);
  byId("draw").addEventListener("toggle", ({ target }) => {
    byId("slide").classList.toggle("drawing", target.open);
  });
  clear();
}
