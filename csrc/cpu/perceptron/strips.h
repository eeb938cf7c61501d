// The memory of a perceptron's training, and its strips of hidden units. See
// cpu/perceptron/train.h.
#pragma once

#include "cpu/math/sgd.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace perceptron {

// The weights of two inputs for a strip fill half of the registers.
constexpr int kStripVectors = kRegisters / 4;
constexpr int kStrip = kStripVectors * kLanes;
constexpr int kOutLanes = round_up(kClasses, kLanes);  // a row of logits
constexpr int kOutVecs = kOutLanes / kLanes;

// The number of batches whose inputs are kept (see train.h).
constexpr int kBuffers = 3;

// A strip's part of Memory.
struct Strip {
  vec *weight, *bias, *out_weight, *hidden;
  float* out_columns;
};

// A thread's memory.
struct OutputMemory {
  float* logits_grad;  // [n_rows, kOutLanes]
  float* bias;         // [kOutLanes]: a copy of its own

  OutputMemory(Workspace& workspace, std::int64_t n_rows)
      : logits_grad(workspace.take<float>(n_rows * kOutLanes)),
        bias(workspace.take<float>(kOutLanes)) {}
};

template <class Input>
struct Memory {
  std::int64_t n_strips, n_rows;  // n_rows: images of a batch, in whole lane groups
  Input input;
  vec* weight;         // [n_strips, n_in, kStripVectors]
  vec* bias;           // [n_strips, kStripVectors]
  vec* out_weight;     // [n_strips, kClasses, kStripVectors]
  float* out_columns;  // [n_strips, kStrip, kOutLanes], the same transposed
  vec* hidden;         // [n_strips, n_rows, kStripVectors]; gradients overwrite activations
  float* partial;      // [2, n_strips, n_rows, kOutLanes], by the step's parity
  ThreadParts<OutputMemory, std::int64_t> threads;

  Memory(Workspace& workspace, const Mlp& model, const Epoch& epoch, int n_threads)
      : n_strips(divide_up(model.parameters.n_hidden, kStrip)),
        n_rows(round_up(epoch.batch_size, kLanes)),
        input(workspace, epoch.batch_size),
        weight(workspace.take<vec>(n_strips * Input::n_in * kStripVectors)),
        bias(workspace.take<vec>(n_strips * kStripVectors)),
        out_weight(workspace.take<vec>(n_strips * kClasses * kStripVectors)),
        out_columns(workspace.take<float>(n_strips * kStrip * kOutLanes)),
        hidden(workspace.take<vec>(n_strips * n_rows * kStripVectors)),
        partial(workspace.take<float>(2 * n_strips * n_rows * kOutLanes)),
        threads(workspace, n_rows, n_threads) {}

  Strip strip(std::int64_t k) const {
    return {weight + k * Input::n_in * kStripVectors, bias + k * kStripVectors,
            out_weight + k * kClasses * kStripVectors, hidden + k * n_rows * kStripVectors,
            out_columns + k * kStrip * kOutLanes};
  }
  float* partial_of(std::int64_t step) const {
    return partial + step % 2 * n_strips * n_rows * kOutLanes;
  }
};

// A strip's hidden units as vectors: calls f(v, first unit, units in the vector, 0 ... kLanes).
template <class F>
inline void for_unit_vectors(std::int64_t strip, int n_hidden, F&& f) {
  for (int v = 0; v < kStripVectors; ++v) {
    const std::int64_t first = strip * kStrip + v * kLanes, left = n_hidden - first;
    f(v, first, static_cast<int>(left < 0 ? 0 : left < kLanes ? left : kLanes));
  }
}

inline void transpose_out_weight(const vec* out_weight, float* out_columns) {
  for (int v = 0; v < kStripVectors; ++v) {
    vec rows[kOutLanes] = {};
    for (int o = 0; o < kClasses; ++o) rows[o] = out_weight[o * kStripVectors + v];
    // rows[o] is what rows_to_lanes calls lanes: unit j in lane j.
    lanes_to_rows<float>(rows, out_columns + v * kLanes * kOutLanes, kOutLanes, kLanes, kOutLanes);
  }
}

// Parameters -> workspace, one strip.
template <class Input>
void load_strip(const MlpParameters& p, std::int64_t k, const Memory<Input>& memory) {
  constexpr int n_in = Input::n_in;
  const Strip strip = memory.strip(k);
  for_unit_vectors(k, p.n_hidden, [&](int v, std::int64_t first, int n) {
    for (int in = 0; in < n_in; in += kLanes) {
      const int width = n_in - in < kLanes ? n_in - in : kLanes;
      vec lanes[kLanes];
      rows_to_lanes<float>(p.hidden.weight + first * n_in + in, n_in, n, width, lanes);
      for (int i = 0; i < width; ++i) strip.weight[(in + i) * kStripVectors + v] = lanes[i];
    }
    vec bias = {};
    __builtin_memcpy(&bias, p.hidden.bias + first, n * sizeof(float));
    strip.bias[v] = bias;
    for (int o = 0; o < kClasses; ++o) {
      vec row = {};
      __builtin_memcpy(&row, p.output.weight + o * std::int64_t{p.n_hidden} + first,
                       n * sizeof(float));
      strip.out_weight[o * kStripVectors + v] = row;
    }
  });
  transpose_out_weight(strip.out_weight, strip.out_columns);
}

// Workspace -> parameters, one strip.
template <class Input>
void store_strip(const MlpParameters& p, std::int64_t k, const Memory<Input>& memory) {
  constexpr int n_in = Input::n_in;
  const Strip strip = memory.strip(k);
  for_unit_vectors(k, p.n_hidden, [&](int v, std::int64_t first, int n) {
    for (int in = 0; in < n_in; in += kLanes) {
      const int width = n_in - in < kLanes ? n_in - in : kLanes;
      vec lanes[kLanes];
      for (int i = 0; i < width; ++i) lanes[i] = strip.weight[(in + i) * kStripVectors + v];
      lanes_to_rows<float>(lanes, updated(p.hidden.weight) + first * n_in + in, n_in, n, width);
    }
    __builtin_memcpy(updated(p.hidden.bias) + first, &strip.bias[v], n * sizeof(float));
    for (int o = 0; o < kClasses; ++o)
      __builtin_memcpy(updated(p.output.weight) + o * std::int64_t{p.n_hidden} + first,
                       &strip.out_weight[o * kStripVectors + v], n * sizeof(float));
  });
}

}  // namespace perceptron
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
