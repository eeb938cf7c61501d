// Forward passes of the package's networks in single precision: from an image to ten logits.

import { SIDE } from "./shift.js";
import { fieldOf, resized, units } from "./field.js";

const KERNEL = 5;

/** Pixels in [0, 1], rounded as the package rounds them. */
const SCALED = Float32Array.from({ length: 256 }, (_, value) => value / 255);

const ACTIVATIONS = {
  tanh: Math.tanh,
  relu: (value) => (value < 0 ? 0 : value), // NaN stays NaN
};

function activate(values, activation) {
  for (let i = 0; i < values.length; i++) values[i] = activation(values[i]);
}

/**
 * 5 x 5 convolution by a connection table: input maps [n, height, width] -> [table.length, height - 4,
 * width - 4]. `weight` has one kernel per connection, output by output, inputs ascending.
 */
function convolve(input, height, width, weight, bias, table, output) {
  const [rows, columns] = [height - KERNEL + 1, width - KERNEL + 1];
  let k = 0; // start of the kernel's row in `weight`
  for (let map = 0; map < table.length; map++) {
    const to = map * rows * columns;
    output.fill(bias[map], to, to + rows * columns);
    for (const channel of table[map]) {
      for (let ky = 0; ky < KERNEL; ky++, k += KERNEL) {
        const [w0, w1, w2, w3, w4] = weight.subarray(k, k + KERNEL);
        for (let y = 0; y < rows; y++) {
          let from = (channel * height + y + ky) * width;
          const row = to + y * columns;
          for (let x = row; x < row + columns; x++, from++) {
            output[x] +=
              w0 * input[from] +
              w1 * input[from + 1] +
              w2 * input[from + 2] +
              w3 * input[from + 3] +
              w4 * input[from + 4];
          }
        }
      }
    }
  }
}

/** A pooling over the values of a square: initial value, step for a value, final step. */
const POOLINGS = {
  average: [0, (sum, value) => sum + value, (sum, count) => sum / count],
  max: [-Infinity, Math.max, (most) => most],
};

/** Pooling of squares of `size` x `size`: [n, side, side] -> [n, side / size, side / size]. */
function pool(input, n, side, size, output, kind = "average") {
  const [begin, join, end] = POOLINGS[kind];
  const out = side / size;
  for (let map = 0; map < n; map++) {
    for (let y = 0; y < out; y++) {
      for (let x = 0; x < out; x++) {
        let value = begin;
        for (let i = 0; i < size; i++) {
          const from = (map * side + y * size + i) * side + x * size;
          for (let j = 0; j < size; j++) value = join(value, input[from + j]);
        }
        output[(map * out + y) * out + x] = end(value, size * size);
      }
    }
  }
}

/** weight [m, n] times input [n], plus bias [m]. */
function dense(input, weight, bias, output) {
  const n = input.length;
  for (let j = 0; j < output.length; j++) {
    let sum = 0;
    for (let i = 0, k = j * n; i < n; i++, k++) sum += weight[k] * input[i];
    output[j] = sum + bias[j];
  }
}

const SIX = [0, 1, 2, 3, 4, 5];
const C1_TABLE = SIX.map(() => [0]);

function lenet(p, activation, { connections, pooling }) {
  const padded = new Float32Array(32 * 32); // two black pixels on every side
  const c1 = new Float32Array(6 * 28 * 28);
  const s2 = new Float32Array(6 * 14 * 14);
  const c3 = new Float32Array(16 * 10 * 10);
  const s4 = new Float32Array(16 * 5 * 5);
  const c5 = new Float32Array(120);
  const f6 = new Float32Array(84);
  const logits = new Float32Array(10);
  const forward = (image) => {
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) padded[(y + 2) * 32 + x + 2] = SCALED[image[y * SIDE + x]];
    }
    convolve(padded, 32, 32, p["c1.weight"], p["c1.bias"], C1_TABLE, c1);
    activate(c1, activation);
    pool(c1, 6, 28, 2, s2, pooling);
    convolve(s2, 14, 14, p["c3.weight"], p["c3.bias"], connections, c3);
    activate(c3, activation);
    pool(c3, 16, 10, 2, s4, pooling);
    dense(s4, p["c5.weight"], p["c5.bias"], c5);
    activate(c5, activation);
    dense(c5, p["f6.weight"], p["f6.bias"], f6);
    activate(f6, activation);
    dense(f6, p["output.weight"], p["output.bias"], logits);
    return logits;
  };
  return Object.assign(forward, { layers: { c1, s2, c3, s4, c5, f6 } });
}

/** A perceptron with one hidden layer, after average pooling of `size` x `size`. */
function perceptron(p, activation, size) {
  const pixels = new Float32Array(SIDE * SIDE);
  const pooled = new Float32Array((SIDE / size) ** 2);
  const hidden = new Float32Array(p["hidden.bias"].length);
  const logits = new Float32Array(10);
  return (image) => {
    for (let i = 0; i < image.length; i++) pixels[i] = SCALED[image[i]];
    pool(pixels, 1, SIDE, size, pooled);
    dense(pooled, p["hidden.weight"], p["hidden.bias"], hidden);
    activate(hidden, activation);
    dense(hidden, p["output.weight"], p["output.bias"], logits);
    return logits;
  };
}

/** The largest value of 2 x 2 at every place: [n, height, width] -> [n, height - 1, width - 1]. */
function largest(input, n, height, width, output) {
  for (let map = 0, to = 0; map < n; map++) {
    for (let y = 0; y < height - 1; y++) {
      let from = (map * height + y) * width;
      for (let x = 0; x < width - 1; x++, from++, to++) {
        output[to] = Math.max(input[from], input[from + 1], input[from + width], input[from + width + 1]);
      }
    }
  }
}

/** Blurred by [1, 2, 1] / 4 along both axes, at every second place: [n, height, width] -> [n, rows, columns]. */
function blur(input, n, height, width, rows, columns, output) {
  for (let map = 0, to = 0; map < n; map++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++, to++) {
        const [a, b, c] = [0, 1, 2].map((i) => {
          const from = (map * height + 2 * y + i) * width + 2 * x;
          return input[from] + 2 * input[from + 1] + input[from + 2];
        });
        output[to] = (a + 2 * b + c) / 16;
      }
    }
  }
}

/** The largest value at any place of each map of a 3 x 3 convolution: [n, height, width] -> [bias.length]. */
function largestOfConvolution(input, n, height, width, weight, bias, output) {
  const [rows, columns] = [height - 2, width - 2];
  const sums = new Float32Array(rows * columns);
  for (let map = 0, k = 0; map < output.length; map++) {
    sums.fill(bias[map]);
    for (let channel = 0; channel < n; channel++) {
      for (let ky = 0; ky < 3; ky++, k += 3) {
        const [w0, w1, w2] = [weight[k], weight[k + 1], weight[k + 2]];
        for (let y = 0; y < rows; y++) {
          let from = (channel * height + y + ky) * width;
          for (let x = y * columns; x < (y + 1) * columns; x++, from++) {
            sums[x] += w0 * input[from] + w1 * input[from + 1] + w2 * input[from + 2];
          }
        }
      }
    }
    for (const value of sums) output[map] = Math.max(output[map], value);
  }
}

/**
 * The place-blind network: LeNet-5's layers on an image in 28 pixels of black, with max-BlurPool, a C5 of
 * 3 x 3, and of each C5 map its largest value. Units that see no ink all have one value in a map, what black
 * gives, so each layer is computed only where it sees ink.
 */
function placeBlind(p, activation, { connections }) {
  const BORDER = SIDE;
  const black = [];
  const constant = (weight, bias, table, below) => {
    const size = weight.length / table.flat().length;
    let k = 0;
    return Float32Array.from(table, (channels, map) => {
      let sum = bias[map];
      for (const channel of channels) {
        for (let i = 0; i < size; i++, k++) sum += weight[k] * below[channel];
      }
      return sum;
    });
  };
  black.push(constant(p["c1.weight"], p["c1.bias"], C1_TABLE, [0]).map(activation));
  black.push(constant(p["c3.weight"], p["c3.bias"], connections, black[0]).map(activation));
  const all = Array.from(p["c5.bias"], () => Array.from(connections, (_, map) => map));
  const blackC5 = constant(p["c5.weight"], p["c5.bias"], all, black[1]);
  const c5 = new Float32Array(blackC5.length);
  const f6 = new Float32Array(p["f6.bias"].length);
  const logits = new Float32Array(10);

  /** A convolution, the activation and max-BlurPool, where they see the field: [n, H, W] -> [.., H', W']. */
  function stage(field, reach, side, weight, bias, table, blackAfter) {
    const { top, left, rows, columns } = units(field, reach, 2, side);
    // The input of these units, in black where the field has no values.
    const [height, width] = [2 * (rows - 1) + reach, 2 * (columns - 1) + reach];
    const input = resized(field, 2 * top, 2 * left, height, width);
    const [h, w] = [height - 4, width - 4];
    const n = table.length;
    const convolved = new Float32Array(n * h * w);
    convolve(input, height, width, weight, bias, table, convolved);
    activate(convolved, activation);
    const most = new Float32Array(n * (h - 1) * (w - 1));
    largest(convolved, n, h, w, most);
    const values = new Float32Array(n * rows * columns);
    blur(most, n, h - 1, w - 1, rows, columns, values);
    return { values, n, top, left, rows, columns, black: blackAfter };
  }

  const forward = (image) => {
    const field = fieldOf(image, SCALED, BORDER);
    c5.set(blackC5);
    if (field !== null) {
      const s2 = stage(field, 8, 39, p["c1.weight"], p["c1.bias"], C1_TABLE, black[0]);
      const s4 = stage(s2, 8, 16, p["c3.weight"], p["c3.bias"], connections, black[1]);
      const { top, left, rows, columns } = units(s4, 3, 1, 14);
      // If all units of C5 see ink, none has the value of black.
      if (rows * columns === 14 * 14) c5.fill(-Infinity);
      const input = resized(s4, top, left, rows + 2, columns + 2);
      largestOfConvolution(input, s4.n, rows + 2, columns + 2, p["c5.weight"], p["c5.bias"], c5);
    }
    activate(c5, activation);
    dense(c5, p["f6.weight"], p["f6.bias"], f6);
    activate(f6, activation);
    dense(f6, p["output.weight"], p["output.bias"], logits);
    return logits;
  };
  return Object.assign(forward, { layers: { c5, f6 } });
}

/**
 * The forward pass of a network: a function from an image (784 bytes) to its logits. The next call
 * overwrites them. LeNet-5 and the place-blind network have the values of their `layers` too.
 */
export function makeNetwork(drawn, parameters, activationName) {
  const activation = ACTIVATIONS[drawn.activation ?? activationName];
  switch (drawn.kind) {
    case "lenet":
      return lenet(parameters, activation, drawn);
    case "place_blind":
      return placeBlind(parameters, activation, drawn);
    case "perceptron":
      return perceptron(parameters, activation, drawn.pooling);
    default:
      throw new Error(`unknown kind of network ${drawn.kind}`);
  }
}

/** The index of the largest logit, the first of equals; NaN counts as largest, as in PyTorch. */
export function answerOf(logits) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    if (!Number.isNaN(logits[best]) && !(logits[i] <= logits[best])) best = i;
  }
  return best;
}

/** Softmax: probabilities of logits. */
export function probabilities(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}
