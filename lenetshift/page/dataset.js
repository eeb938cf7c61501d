// The images, their labels, and the models: each has kept answers, a forward pass, or both.

import { Damage, readBlock } from "./parts/payload.js";
import { makeNetwork } from "./forward.js";
import { SIDE } from "./shift.js";

/** Unpack everything that the manifest lists. */
export async function openDataset(manifest) {
  const names = Object.keys(manifest.blocks);
  const read = await Promise.all(names.map((name) => readBlock(name, manifest.blocks[name])));
  const blocks = Object.fromEntries(names.map((name, i) => [name, read[i]]));
  return new Dataset(manifest, blocks);
}

class Dataset {
  #images;
  #right = null; // counted when first needed

  constructor(manifest, blocks) {
    const { n_images: n, dx, dy } = manifest;
    this.length = n; // images in the page
    this.nTest = manifest.n_test; // the first nTest images are those of the tables
    this.dx = dx;
    this.dy = dy;
    this.figures = manifest.figures;
    this.#images = sized(blocks, "images", manifest.image_offset + n * SIDE * SIDE).subarray(
      manifest.image_offset,
    );
    this.labels = sized(blocks, "labels", n);
    this.indices = new Int32Array(sized(blocks, "indices", 4 * n).buffer);
    this.nShifts = dx.length * dy.length;
    this.models = manifest.models.map((model) => ({
      name: model.name,
      short: model.short,
      drawn: model.drawn,
      /** The answers to all images at all shifts, or null. */
      answers: model.kept ? sized(blocks, `answers-${model.name}`, n * this.nShifts) : null,
      /** The forward pass, or null. */
      network:
        model.drawn &&
        makeNetwork(model.drawn, views(blocks[`weights-${model.name}`], model), manifest.activation),
    }));
    this.kept = this.models.filter((model) => model.answers !== null);
    this.rowOf = new Map(Array.from(this.indices, (index, row) => [index, row]));
  }

  image(row) {
    return this.#images.subarray(row * SIDE * SIDE, (row + 1) * SIDE * SIDE);
  }

  /** An image as a scene's digit. */
  digit(row) {
    return { image: this.image(row), label: this.labels[row], row, kind: "test" };
  }

  /** The model of a name, or undefined. */
  model(name) {
    return this.models.find((model) => model.name === name);
  }

  /** The kept answers of a model to one image, [dy, dx] flattened. */
  answers(model, row) {
    return model.answers.subarray(row * this.nShifts, (row + 1) * this.nShifts);
  }

  /** The index of shift (dx, dy) among them, or -1. */
  shiftAt(dx, dy) {
    const column = this.dx.indexOf(dx);
    const row = this.dy.indexOf(dy);
    return row < 0 || column < 0 ? -1 : row * this.dx.length + column;
  }

  /** The tables' images that a model gets wrong at a shift. */
  wrongAt(model, shift) {
    const rows = [];
    for (let row = 0; row < this.nTest; row++) {
      if (model.answers[row * this.nShifts + shift] !== this.labels[row]) rows.push(row);
    }
    return rows;
  }

  /** All rows with a label (null for any), in the order of the test set. */
  rowsOf(label) {
    const rows = [...this.indices.keys()].filter((row) => label === null || this.labels[row] === label);
    return rows.sort((a, b) => this.indices[a] - this.indices[b]);
  }

  /** The number of right answers to an image, of all models that have kept answers, at all shifts. */
  difficulty(row) {
    this.#right ??= this.#countRight();
    return { right: this.#right[row], all: this.kept.length * this.nShifts };
  }

  /** Rows from the hardest to the easiest: by the number of right answers. */
  hardest(label) {
    const right = (row) => this.difficulty(row).right;
    return this.rowsOf(label).sort((a, b) => right(a) - right(b));
  }

  #countRight() {
    const right = new Uint32Array(this.length);
    for (const { answers } of this.kept) {
      for (let row = 0, i = 0; row < this.length; row++) {
        for (let shift = 0; shift < this.nShifts; shift++, i++) {
          if (answers[i] === this.labels[row]) right[row]++;
        }
      }
    }
    return right;
  }
}

function sized(blocks, name, length) {
  if (blocks[name]?.length !== length) throw new Damage(`its part “${name}” does not have the stated size`);
  return blocks[name];
}

/** The parameters of a model by name, from one block of little-endian floats. */
function views(bytes, model) {
  const result = {};
  let at = 0;
  for (const [name, shape] of model.parameters) {
    const length = shape.reduce((a, b) => a * b, 1);
    if (bytes === undefined || at + 4 * length > bytes.length) {
      throw new Damage(`its part “weights-${model.name}” does not have the stated size`);
    }
    result[name] = new Float32Array(bytes.buffer, bytes.byteOffset + at, length);
    at += 4 * length;
  }
  return result;
}
