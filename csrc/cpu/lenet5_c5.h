// C5, F6 and the output for the patterns of one tile: the shifts f, f + 4, f + 8 (all dy), whose
// C5 inputs are neighbouring windows on the same columns of S4. Across these windows C5 is a
// five-tap correlation, done in the form F(3, 5), or F(2, 5) and F(1, 5) where fewer are left.
#pragma once

#include "answers.h"
#include "lenet5_c3.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kMaxTile = 3;

// A thread's memory for one tile.
struct Lenet5Tile {
  vec* s4;        // [7 products][s4_rows][16]
  vec* products;  // [7][120][kRowBlock]
  vec* c5;        // [3 windows * kRowBlock dy][120]
  vec* f6;        // [kRowBlock][84]
};

// Where a lane group's answers go: lane l's image starts at first[l] in the predictions; the
// group's shift (dx_last - f, dy_last - e) adds offset - f - e * stride.
struct Answers {
  const ShiftedImages* job;
  std::int64_t first[kLanes];
  int n_lanes;
  std::int64_t offset, stride;
};

// S4's columns j = f + 4k, transformed: tile.s4 [t][row][16].
template <int m>
[[gnu::noinline]] void transform_s4(const Canvas& canvas, const vec* s4, int f, vec* transformed) {
  const int s4_columns = s4_columns_of_parity(canvas);
  for (int r = 0; r < canvas.s4_rows(); ++r) {
    if (!uses_s4_row(canvas, r)) continue;
    const vec* const in = s4 + r * s4_row(canvas) + ((f & 1) * s4_columns + (f >> 1)) * kMaps3;
    for (int c = 0; c < kMaps3; ++c) {
      vec d[m + 4];
#pragma GCC unroll 8
      for (int k = 0; k < m + 4; ++k) d[k] = in[2 * k * kMaps3 + c];
      transform_input<m>(d, transformed + r * kMaps3 + c, canvas.s4_rows() * kMaps3);
    }
  }
}

// products [120][n] of C5 with n rows (a row_block) of S4, the first at s4 [.][16], for one plane
// of weights.
template <int n>
[[gnu::noinline]] void c5_row_products(const float* plane, const vec* s4, vec* products) {
  for (int o = 0; o < kC5Units; o += kOutputBlock, plane += kOutputBlock * 5 * kMaps3) {
    vec sum[n][kOutputBlock];
#pragma GCC unroll 8
    for (int r = 0; r < n; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < kOutputBlock; ++i) sum[r][i] = vec{};
    add_products(plane, s4, kMaps3, 5, 4 * kMaps3, kMaps3, sum);
#pragma GCC unroll 8
    for (int i = 0; i < kOutputBlock; ++i)
#pragma GCC unroll 8
      for (int r = 0; r < n; ++r) products[(o + i) * n + r] = sum[r][i];
  }
}

inline void c5_products(int n, const float* plane, const vec* s4, vec* products) {
  with_rows(n, [&](auto rows) { c5_row_products<rows.value>(plane, s4, products); });
}

// A fully connected layer on n patterns: x [n][n_inputs] -> y [n][n_outputs].
template <int n, int block>
[[gnu::noinline]] void dense_rows(const float* weight, const float* bias, const vec* x,
                                  int n_inputs, int n_outputs, vec* y) {
  for (int o = 0; o < n_outputs; o += block, weight += block * n_inputs) {
    vec sum[n][block];
#pragma GCC unroll 8
    for (int r = 0; r < n; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < block; ++i) sum[r][i] = broadcast(bias[o + i]);
    add_products(weight, x, n_inputs, 1, 0, n_inputs, sum);
#pragma GCC unroll 8
    for (int r = 0; r < n; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < block; ++i) y[r * n_outputs + o + i] = sum[r][i];
  }
}

template <int block>
inline void dense_layer(int n, const float* weight, const float* bias, const vec* x, int n_inputs,
                        int n_outputs, vec* y) {
  with_rows(n, [&](auto rows) {
    dense_rows<rows.value, block>(weight, bias, x, n_inputs, n_outputs, y);
  });
}

// All patterns of the m windows f, f + 4, ... : lossy [m] are the windows' corrections, or null.
template <int m>
[[gnu::noinline]] void answer_tile(Activation activation, const Canvas& canvas,
                                   const Lenet5Weights& w, const vec* s4, int f,
                                   const LossyShift* const* lossy, const Lenet5Tile& tile,
                                   const Answers& answers) {
  transform_s4<m>(canvas, s4, f, tile.s4);
  int n;
  for (int e = 0; e < canvas.n_dy; e += n) {
    n = row_block(canvas.n_dy - e);
    for (int t = 0; t < m + 4; ++t)
      c5_products(n, w.c5 + kFiveTap<m>.plane[t] * kC5Plane,
                  tile.s4 + (t * canvas.s4_rows() + e) * kMaps3, tile.products + t * kC5Units * n);
    for (int o = 0; o < kC5Units; ++o)
      for (int r = 0; r < n; ++r) {
        vec y[m];
#pragma GCC unroll 3
        for (int k = 0; k < m; ++k) y[k] = broadcast(w.c5_bias[o]);
        transform_output<m>(tile.products + o * n + r, kC5Units * n, y);
#pragma GCC unroll 3
        for (int k = 0; k < m; ++k) tile.c5[(k * n + r) * kC5Units + o] = y[k];
      }
    for (int k = 0; k < m; ++k) {
      if (lossy[k] == nullptr) continue;
      c5_products(n, w.c5 + kTapPlane[lossy[k]->tap()] * kC5Plane,
                  lossy[k]->delta_s4 + e * kMaps3, tile.products);
      for (int o = 0; o < kC5Units; ++o)
        for (int r = 0; r < n; ++r)
          tile.c5[(k * n + r) * kC5Units + o] += tile.products[o * n + r];
    }
    activate(activation, tile.c5, m * n * kC5Units);
    for (int first = 0, count; first < m * n; first += count) {
      count = row_block(m * n - first);
      dense_layer<kF6Block>(count, w.f6, w.f6_bias, tile.c5 + first * kC5Units, kC5Units, kF6Units,
                            tile.f6);
      activate(activation, tile.f6, count * kF6Units);
      vec logits[kRowBlock * kClasses];
      dense_layer<kOutputBlock>(count, w.output, w.output_bias, tile.f6, kF6Units, kClasses,
                                logits);
      for (int i = 0; i < count; ++i) {
        const int k = (first + i) / n, r = (first + i) % n;
        write_answers(logits + i * kClasses, answers.first,
                      answers.offset - (f + 4 * k) - (e + r) * answers.stride, answers.n_lanes,
                      *answers.job);
      }
    }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
