// Maps of an image in wide black: values where they see ink, and one value for all places that do not.

import { SIDE } from "./shift.js";

/**
 * An image's ink as a field: { values [n, rows, columns], n, top, left, rows, columns, black [n] }, where
 * (top, left) is the place of the first value, and `black` what all other places have. Null if there is no ink.
 */
export function fieldOf(image, scaled, border) {
  const [lines, crossing] = [new Set(), new Set()];
  for (let i = 0; i < image.length; i++) {
    if (image[i] === 0) continue;
    lines.add(Math.floor(i / SIDE));
    crossing.add(i % SIDE);
  }
  if (lines.size === 0) return null;
  const [top, left] = [Math.min(...lines), Math.min(...crossing)];
  const [rows, columns] = [Math.max(...lines) - top + 1, Math.max(...crossing) - left + 1];
  const values = new Float32Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      values[y * columns + x] = scaled[image[(top + y) * SIDE + left + x]];
    }
  }
  return { values, n: 1, top: top + border, left: left + border, rows, columns, black: [0] };
}

/** The units, of `side` along each axis, that see a field: unit k sees the places stride * k + [0, reach). */
export function units(field, reach, stride, side) {
  const [top, rows] = along(field.top, field.rows, reach, stride, side);
  const [left, columns] = along(field.left, field.columns, reach, stride, side);
  return { top, left, rows, columns };
}

function along(start, length, reach, stride, side) {
  const first = Math.max(0, Math.ceil((start - reach + 1) / stride));
  const last = Math.min(side - 1, Math.floor((start + length - 1) / stride));
  return [first, last - first + 1];
}

/** The values of a field at the places from (top, left), [n, height, width]. */
export function resized(field, top, left, height, width) {
  const result = new Float32Array(field.n * height * width);
  for (let map = 0; map < field.n; map++) {
    result.fill(field.black[map], map * height * width, (map + 1) * height * width);
    for (let y = 0; y < field.rows; y++) {
      const from = (map * field.rows + y) * field.columns;
      const to = (map * height + field.top + y - top) * width + field.left - left;
      result.set(field.values.subarray(from, from + field.columns), to);
    }
  }
  return result;
}
