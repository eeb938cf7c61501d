// C5, F6 and the output for the patterns of one tile: the shifts f, f + 4, f + 8 (all dy), whose
// C5 inputs are neighbouring windows on the same columns of S4. Across these windows C5 is a
// five-tap correlation, done in the form F(3, 5), or F(2, 5) and F(1, 5) where fewer are left.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/lenet5/s4.h"
#include "cpu/math/activation.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/product_block.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// One column of S4, or one of the form's combinations of columns, [.][16] each. The outermost rows
// of C5's window, at e and e + 16, are in top and bottom [n_dy][16] where any dy has its own.
struct S4Rows {
  const vec *rows, *top, *bottom;
  const vec* tap(int u, int e) const {
    if (u == 0 && top != nullptr) return top + e * kMaps3;
    if (u == 4 && bottom != nullptr) return bottom + e * kMaps3;
    return rows + (e + 4 * u) * kMaps3;
  }
};

// A thread's memory for one tile.
struct Lenet5Tile {
  vec* s4;                  // [7 products][s4_rows][16]
  vec *s4_top, *s4_bottom;  // [7][n_dy][16]
  vec* products;            // [7][120][kRowBlock]
  vec* c5;                  // [3 windows * kRowBlock dy][120]
  vec* f6;                  // [kRowBlock][84]
};

// Where a lane group's answers go: lane l's image starts at first[l] in the predictions; the
// group's shift (dx_last - f, dy_last - e) adds offset - f - e * stride.
struct Answers {
  const ShiftedImages* job;
  std::int64_t first[kLanes];
  int n_lanes;
  std::int64_t offset, stride;
};

// Into the products' inputs and from the products, for m windows.
template <int m>
inline void c5_inputs(const vec (&d)[m + kTaps - 1], vec* points, std::int64_t stride) {
  if constexpr (m == 1) {
    for (int v = 0; v < kTaps; ++v) points[v * stride] = d[v];
  } else {
    inputs_to_points<TileForm<m>>(d, points, stride);
  }
}
template <int m>
inline void c5_outputs(const vec* products, std::int64_t stride, vec (&y)[m]) {
  if constexpr (m == 1) {
    y[0] = vec{};
#pragma GCC unroll 5
    for (int v = 0; v < kTaps; ++v) y[0] += products[v * stride];
  } else {
    points_to_outputs<TileForm<m>>(products, stride, y);
  }
}

// Columns j = f + 4k of one row of S4, transformed: [t] at transformed + t * stride.
template <int m>
inline void transform_s4_row(const Canvas& canvas, const vec* s4, int f, vec* transformed,
                             std::int64_t stride) {
  const vec* const in = s4 + ((f & 1) * s4_columns_of_parity(canvas) + (f >> 1)) * kMaps3;
  for (int c = 0; c < kMaps3; ++c) {
    vec d[m + kTaps - 1];
#pragma GCC unroll 8
    for (int k = 0; k < m + kTaps - 1; ++k) d[k] = in[2 * k * kMaps3 + c];
    c5_inputs<m>(d, transformed + c, stride);
  }
}

template <int m>
[[gnu::noinline]] void transform_s4(const Lenet5Pass& pass, int f, const Lenet5Tile& tile) {
  const Canvas& canvas = pass.canvas;
  const Frame& frame = pass.frame;
  const vec *const s4 = pass.rows.s4, *const s4_edge = pass.rows.s4_edge;
  const int row = s4_row(canvas);
  for (int r = 0; r < canvas.s4_rows(); ++r)
    if (uses_s4_row(canvas, r))
      transform_s4_row<m>(canvas, s4 + r * row, f, tile.s4 + r * kMaps3,
                          canvas.s4_rows() * kMaps3);
  const auto transform_outermost = [&](Frame::Loss loss, int offset, vec* target) {
    for (int e = 0; e < canvas.n_dy; ++e)
      transform_s4_row<m>(canvas,
                          frame.loses(e, loss) ? s4_edge + e * row : s4 + (e + offset) * row, f,
                          target + e * kMaps3, canvas.n_dy * kMaps3);
  };
  if (frame.any_above) transform_outermost(Frame::above, 0, tile.s4_top);
  if (frame.any_below) transform_outermost(Frame::below, 16, tile.s4_bottom);
}

// The rows of taps that meet ink for one of the dy e ... e + n - 1: S4 is 0 at all others.
inline Taps inked_taps(const Lenet5Pass& pass, int e, int n) {
  // S4(y, x) depends on the image's rows y - 2 ... y + 13.
  const int first = pass.box.y0 + pass.canvas.dy_last - 13;
  const int last = pass.box.y1 + pass.canvas.dy_last + 2;
  Taps taps;
  while (taps.first < 5 && e + 4 * taps.first + n - 1 < first) ++taps.first;
  while (taps.last >= 0 && e + 4 * taps.last > last) --taps.last;
  return taps;
}

// products [120][n] of C5 with n rows (a row_block) of S4 from e on, for one plane of weights.
template <int n>
[[gnu::noinline]] void c5_row_products(const float* plane, const S4Rows& s4, int e, Taps taps,
                                       vec* products) {
  const vec* rows[5];
  for (int u = 0; u < 5; ++u) rows[u] = s4.tap(u, e);
  for (int o = 0; o < kC5Units; o += kOutputBlock, plane += 5 * kOutputBlock * kMaps3) {
    vec sum[n][kOutputBlock];
#pragma GCC unroll 8
    for (int r = 0; r < n; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < kOutputBlock; ++i) sum[r][i] = vec{};
    for (int u = taps.first; u <= taps.last; ++u)
      add_products(plane + u * kOutputBlock * kMaps3, rows[u], kMaps3, kMaps3, sum);
#pragma GCC unroll 8
    for (int i = 0; i < kOutputBlock; ++i)
#pragma GCC unroll 8
      for (int r = 0; r < n; ++r) products[(o + i) * n + r] = sum[r][i];
  }
}

inline void c5_products(int n, const float* plane, const S4Rows& s4, int e, Taps taps,
                        vec* products) {
  with_rows(n, [&](auto rows) { c5_row_products<rows.value>(plane, s4, e, taps, products); });
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
    add_products(weight, x, n_inputs, n_inputs, sum);
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

// F6 and the output for n patterns (a row_block): c5 [n][120] -> logits [n][10].
inline void answer_dense(Activation activation, const Lenet5Weights& w, int n, const vec* c5,
                         vec* f6, vec* logits) {
  dense_layer<kF6Block>(n, w.f6, w.f6_bias, c5, kC5Units, kF6Units, f6);
  activate(activation, f6, n * kF6Units);
  dense_layer<kOutputBlock>(n, w.output, w.output_bias, f6, kF6Units, kClasses, logits);
}

// All patterns of the m windows f, f + 4, ... : lossy [m] are the windows' corrections, or null.
template <int m>
[[gnu::noinline]] void answer_tile(const Lenet5Pass& pass, int f, const LossyColumn* const* lossy,
                                   const Lenet5Tile& tile, const Answers& answers) {
  const Canvas& canvas = pass.canvas;
  const Lenet5Weights& w = pass.w;
  const Activation activation = pass.activation;
  const auto outermost = [](bool any, const vec* rows) { return any ? rows : nullptr; };
  const bool any_above = pass.frame.any_above, any_below = pass.frame.any_below;
  transform_s4<m>(pass, f, tile);
  int n;
  for (int e = 0; e < canvas.n_dy; e += n) {
    n = row_block(canvas.n_dy - e);
    const Taps taps = inked_taps(pass, e, n);
    for (int t = 0; t < m + kTaps - 1; ++t)
      c5_products(n, w.c5 + plane_of<m>(t) * kC5Plane,
                  {tile.s4 + t * canvas.s4_rows() * kMaps3,
                   outermost(any_above, tile.s4_top + t * canvas.n_dy * kMaps3),
                   outermost(any_below, tile.s4_bottom + t * canvas.n_dy * kMaps3)},
                  e, taps, tile.products + t * kC5Units * n);
    for (int o = 0; o < kC5Units; ++o)
      for (int r = 0; r < n; ++r) {
        vec y[m];
        c5_outputs<m>(tile.products + o * n + r, kC5Units * n, y);
#pragma GCC unroll 3
        for (int k = 0; k < m; ++k)
          tile.c5[(k * n + r) * kC5Units + o] = y[k] + broadcast(w.c5_bias[o]);
      }
    for (int k = 0; k < m; ++k) {
      if (lossy[k] == nullptr) continue;
      c5_products(n, w.c5 + plane_of_tap(lossy[k]->tap()) * kC5Plane,
                  {lossy[k]->s4, outermost(any_above, lossy[k]->s4_top),
                   outermost(any_below, lossy[k]->s4_bottom)},
                  e, taps, tile.products);
      for (int o = 0; o < kC5Units; ++o)
        for (int r = 0; r < n; ++r)
          tile.c5[(k * n + r) * kC5Units + o] += tile.products[o * n + r];
    }
    activate(activation, tile.c5, m * n * kC5Units);
    for (int first = 0, count; first < m * n; first += count) {
      count = row_block(m * n - first);
      vec logits[kRowBlock * kClasses];
      answer_dense(activation, w, count, tile.c5 + first * kC5Units, tile.f6, logits);
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
