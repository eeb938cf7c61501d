// C5, F6 and the output for all patterns of a lane group.
//
// The algorithm, for the shift at offsets e, f of one image:
//   for unit o
//     C5[o] = act(bias[o] + sum over maps c, rows i, columns j of weight[o][c][i][j]
//                                                                 * S4[c][e + 4i][f + 4j])
//   F6 = act(F6 weights * C5);  logits = output weights * F6;  answer = argmax
//
// The shifts f, f + 4, f + 8 read neighbouring windows on the same columns of S4. Across these
// windows C5 is a correlation of five taps, computed in the form F(3, 5): a tile is the three
// windows of one dy, and takes 7 products for each map, row and unit instead of 15. If fewer
// windows are left, the form is F(2, 5), with 6 products instead of 10, or the direct form F(1, 5).
//
// The schedule, for the windows f, f + 4, f + 8 under all dy (answer_windows):
//   every row of S4 to points: 7 columns -> 7 points
//   for each block of 5 dy (then 2, then 1)
//     for each of the 7 points, of as many products with C5's weights at that point
//       for each block of 5 units            25 sums, 5 inputs and a weight fit 32 registers
//         for u, for map c                   (5 x 2 units fit 16); rows u without ink are left out
//           5 inputs, 5 weights, 25 multiply-adds
//     for each unit, dy: 7 points -> 3 windows, plus bias
//     for each window with an edge column: its products, at one tap (frame.h)
//     for each block of 5 of the 15 patterns: F6 in blocks of 4 units, the output in blocks of 5,
//       the answers
//
// A block has five dy because the default grid has five. It is bound by multiply-adds: the products
// of C5 and F6 run at 93 to 97 % of the peak.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/lenet5/s4.h"
#include "cpu/math/activation.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/product_block.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// S4's rows at one point of the form, or of one column: [s4 rows][16]. If any dy is lossy, the
// outermost rows of C5's window, at e and e + kS4Last, are in top and bottom [n_dy][16].
struct S4Points {
  const vec *rows, *top, *bottom;
  const vec* tap(int u, int e) const {
    if (u == 0 && top != nullptr) return top + e * kMaps3;
    if (u == 4 && bottom != nullptr) return bottom + e * kMaps3;
    return rows + (e + 4 * u) * kMaps3;
  }
};

// A thread's memory for the windows of one tile, all dy.
struct C5Memory {
  vec* s4;                  // [7 points][s4 rows][16]
  vec *s4_top, *s4_bottom;  // [7][n_dy][16]
  vec* products;            // [7][120][kRowBlock]
  vec* c5;                  // [3 windows * kRowBlock dy][120]
  vec* f6;                  // [kRowBlock][84]
};

// To the points of F(m, 5), and from the products to m windows.
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

// Columns f + 4k of one row of S4 at the points of F(m, 5): point t at points + t * stride.
template <int m>
inline void s4_row_to_points(const Canvas& canvas, const vec* s4, int f, vec* points,
                             std::int64_t stride) {
  const vec* const in = s4 + ((f & 1) * s4_columns_of_parity(canvas) + (f >> 1)) * kMaps3;
  for (int c = 0; c < kMaps3; ++c) {
    vec d[m + kTaps - 1];
#pragma GCC unroll 8
    for (int k = 0; k < m + kTaps - 1; ++k) d[k] = in[2 * k * kMaps3 + c];
    c5_inputs<m>(d, points + c, stride);
  }
}

// All rows of S4 that C5 reads, edge rows included.
template <int m>
[[gnu::noinline]] void s4_to_points(const Lenet5Inputs& in, const vec* s4, const vec* edge_s4,
                                    int f, const C5Memory& memory) {
  const Canvas& canvas = in.canvas;
  const LossyEnds& lossy = in.lossy.y;
  const int row = s4_row(canvas), n_dy = canvas.y.n;
  for (int r = 0; r < canvas.y.s4(); ++r)
    if (uses_s4_row(canvas, r))
      s4_row_to_points<m>(canvas, s4 + r * row, f, memory.s4 + r * kMaps3, canvas.y.s4() * kMaps3);
  const auto outermost = [&](End end, vec* points) {
    for (int e = 0; e < n_dy; ++e) {
      const vec* const from = lossy.loses(e, end, n_dy)
                                  ? edge_s4 + e * row
                                  : s4 + outermost_line(end, e, kS4Last) * row;
      s4_row_to_points<m>(canvas, from, f, points + e * kMaps3, n_dy * kMaps3);
    }
  };
  if (lossy.any(End::low)) outermost(End::low, memory.s4_top);
  if (lossy.any(End::high)) outermost(End::high, memory.s4_bottom);
}

// The rows of taps that meet ink for one of the dy e ... e + n - 1: S4 is 0 at all others.
inline Taps inked_taps(const Lenet5Inputs& in, int e, int n) {
  const int dy_last = in.canvas.y.last_shift;
  const int first = in.box.y0 + dy_last - kS4Below, last = in.box.y1 + dy_last + kS4Above;
  Taps taps;
  while (taps.first < 5 && e + 4 * taps.first + n - 1 < first) ++taps.first;
  while (taps.last >= 0 && e + 4 * taps.last > last) --taps.last;
  return taps;
}

// products [120][n] of C5 with n rows (a row_block) of S4 from e on, for one plane of weights.
template <int n>
[[gnu::noinline]] void c5_row_products(const float* plane, const S4Points& s4, int e, Taps taps,
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

inline void c5_products(int n, const float* plane, const S4Points& s4, int e, Taps taps,
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

// All patterns of the m windows f, f + 4, ... edge_column [m] are the windows' edge columns, or
// null.
template <int m>
[[gnu::noinline]] void answer_windows(const Lenet5Inputs& in, const vec* s4, const vec* edge_s4,
                                      int f, const EdgeColumn* const* edge_column,
                                      const C5Memory& memory, const Answers& answers) {
  const Lenet5Weights& w = in.w;
  const int n_dy = in.canvas.y.n;
  const bool any_top = in.lossy.y.any(End::low), any_bottom = in.lossy.y.any(End::high);
  const auto where = [](bool any, const vec* rows) { return any ? rows : nullptr; };
  s4_to_points<m>(in, s4, edge_s4, f, memory);
  int n;
  for (int e = 0; e < n_dy; e += n) {
    n = row_block(n_dy - e);
    const Taps taps = inked_taps(in, e, n);
    for (int t = 0; t < m + kTaps - 1; ++t)
      c5_products(n, w.c5 + plane_of<m>(t) * kC5Plane,
                  {memory.s4 + t * in.canvas.y.s4() * kMaps3,
                   where(any_top, memory.s4_top + t * n_dy * kMaps3),
                   where(any_bottom, memory.s4_bottom + t * n_dy * kMaps3)},
                  e, taps, memory.products + t * kC5Units * n);
    for (int o = 0; o < kC5Units; ++o)
      for (int r = 0; r < n; ++r) {
        vec y[m];
        c5_outputs<m>(memory.products + o * n + r, kC5Units * n, y);
#pragma GCC unroll 3
        for (int k = 0; k < m; ++k)
          memory.c5[(k * n + r) * kC5Units + o] = y[k] + broadcast(w.c5_bias[o]);
      }
    for (int k = 0; k < m; ++k) {
      if (edge_column[k] == nullptr) continue;
      const EdgeColumn& column = *edge_column[k];
      c5_products(n, w.c5 + plane_of_tap(column.tap()) * kC5Plane,
                  {column.s4, where(any_top, column.s4_top), where(any_bottom, column.s4_bottom)},
                  e, taps, memory.products);
      for (int o = 0; o < kC5Units; ++o)
        for (int r = 0; r < n; ++r)
          memory.c5[(k * n + r) * kC5Units + o] += memory.products[o * n + r];
    }
    activate(in.activation, memory.c5, m * n * kC5Units);
    for (int first = 0, count; first < m * n; first += count) {
      count = row_block(m * n - first);
      vec logits[kRowBlock * kClasses];
      answer_dense(in.activation, w, count, memory.c5 + first * kC5Units, memory.f6, logits);
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
