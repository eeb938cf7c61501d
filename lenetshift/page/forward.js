// Forward passes of the package's networks in single precision: from an image to ten logits.

import { SIDE } from "./shift.js";

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
 * 5 x 5 convolution by a connection table: input maps [n, side, side] -> [table.length, out, out],
 * out = side - 4. `weight` has one kernel per connection, output by output, inputs ascending.
 */
function convolve(input, side, weight, bias, table, output) {
  const out = side - KERNEL + 1;
  let k = 0; // start of the kernel's row in `weight`
  for (let map = 0; map < table.length; map++) {
    const to = map * out * out;
    output.fill(bias[map], to, to + out * out);
    for (const channel of table[map]) {
      for (let ky = 0; ky < KERNEL; ky++, k += KERNEL) {
        const [w0, w1, w2, w3, w4] = weight.subarray(k, k + KERNEL);
        for (let y = 0; y < out; y++) {
          let from = (channel * side + y + ky) * side;
          const row = to + y * out;
          for (let x = row; x < row + out; x++, from++) {
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
  return (image) => {
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) padded[(y + 2) * 32 + x + 2] = SCALED[image[y * SIDE + x]];
    }
    convolve(padded, 32, p["c1.weight"], p["c1.bias"], C1_TABLE, c1);
    activate(c1, activation);
    pool(c1, 6, 28, 2, s2, pooling);
    convolve(s2, 14, p["c3.weight"], p["c3.bias"], connections, c3);
    activate(c3, activation);
    pool(c3, 16, 10, 2, s4, pooling);
    dense(s4, p["c5.weight"], p["c5.bias"], c5);
    activate(c5, activation);
    dense(c5, p["f6.weight"], p["f6.bias"], f6);
    activate(f6, activation);
    dense(f6, p["output.weight"], p["output.bias"], logits);
    return logits;
  };
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

/**
 * The forward pass of a network: a function from an image (784 bytes) to its logits. The next call
 * overwrites them.
 */
export function makeNetwork(drawn, parameters, activationName) {
  const activation = ACTIVATIONS[drawn.activation ?? activationName];
  switch (drawn.kind) {
    case "lenet":
      return lenet(parameters, activation, drawn);
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
