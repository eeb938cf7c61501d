// What the page holds: answers to its images at every shift, counts of all images, and pictures.

import { Damage, readBlock, readManifest } from "../parts/payload.js";

/** Unpack everything that the manifest lists. */
export async function openContents() {
  const manifest = readManifest();
  const names = Object.keys(manifest.blocks);
  const read = await Promise.all(names.map((name) => readBlock(name, manifest.blocks[name])));
  return new Contents(manifest, Object.fromEntries(names.map((name, i) => [name, read[i]])));
}

class Contents {
  #answers;
  #taken;
  #files;
  #pictures = new Map(); // row -> the promise of its picture
  #starts = [0];

  constructor(manifest, blocks) {
    Object.assign(this, manifest);
    this.length = this.numbers.length;
    this.nShifts = this.dx.length * this.dy.length;
    this.#answers = numbers(blocks, "answers", this.length * this.nShifts);
    this.right = numbers(blocks, "right", this.nShifts);
    this.#taken = numbers(blocks, "taken");
    for (const length of this.lengths) this.#starts.push(this.#starts.at(-1) + length);
    this.#files = blocks.pictures;
    if (this.#files.length !== this.#starts.at(-1)) throw sizeOf("pictures");
    this.rowOf = new Map(this.numbers.map((number, row) => [number, row]));
  }

  /** The number of a shift by the row and column of the grid. */
  shift(row, column) {
    return row * this.dx.length + column;
  }

  /** The class that an image gets at a shift. */
  answer(row, shift) {
    return this.#answers[row * this.nShifts + shift];
  }

  isRight(row, shift) {
    return this.answer(row, shift) === this.labels[row];
  }

  /** At how many shifts an image is answered right. */
  nRight(row) {
    let n = 0;
    for (let shift = 0; shift < this.nShifts; shift++) n += this.isRight(row, shift);
    return n;
  }

  /** The commonest wrong answers at a shift: { label, answer, count }. */
  taken(shift) {
    const each = this.#taken.length / this.nShifts;
    const found = [];
    for (let at = shift * each; at < (shift + 1) * each; at += 3) {
      const [label, answer, count] = this.#taken.subarray(at, at + 3);
      if (count > 0) found.push({ label: this.names[label], answer: this.names[answer], count });
    }
    return found;
  }

  /** The picture of an image, or null if the page has none. */
  picture(row) {
    if (this.frame === null) return Promise.resolve(null);
    if (!this.#pictures.has(row)) {
      const file = this.#files.subarray(this.#starts[row], this.#starts[row + 1]);
      this.#pictures.set(row, createImageBitmap(new Blob([file])));
    }
    return this.#pictures.get(row);
  }
}

function sizeOf(name) {
  return new Damage(`its part “${name}” does not have the stated size`);
}

/** Little-endian numbers of 4 bytes. */
function numbers(blocks, name, length = null) {
  const bytes = blocks[name];
  if (bytes === undefined || (length !== null && bytes.length !== 4 * length)) throw sizeOf(name);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
