// The frame, and the lossy shifts, which push ink out of it.
//
// Beyond its frame the moved image has zeros, but the canvas still sees ink. The drawing shows one
// axis at the right end of the frame under dx = 2 (the grid's largest, so f = 0); x' counts the
// columns of the moved image and of its maps, and [ ] marks what differs from the canvas:
//
//   image x      18  19  20  21  22  23  24  25 | 26  27
//   moved x'     20  21  22  23  24  25  26  27 | 28  29
//   image         .   .   .   .   .   .   .   . | #   #     #: ink outside the frame
//   C1'          20  21  22  23  24  25 [26][27]            reads the image at x' - 2 ... x' + 2
//   S2'          10      11      12     [13]                column j pools C1' 2j, 2j + 1
//   C3'           8 reads S2' 8 ... 12      [9] reads S2' 9 ... [13]
//   S4'           3 pools C3' 6, 7          [4] pools C3' 8, [9]
//   C5           meets S4' [4] at its last tap
//
// So one column of S2', of C3' and of S4' differs, the outermost one, and it is the same for every
// dy. Likewise one row differs under a lossy dy, and it is the same for every dx. They meet in a
// corner:
//
//   S4' of a shift that         .  .  .  .  c     .  the canvas's
//   loses ink on the right      .  .  .  .  c     c  edge column of dx
//   and below:                  .  .  .  .  c     r  edge row of dy
//                               .  .  .  .  c     x  corner
//                               r  r  r  r  x
//
// The algorithm: instead of the canvas's outermost line, a shift's maps read the edge line of their
// own dx or dy. The S2 of an edge line is computed from the pixels inside the frame.
//
// The schedule uses that C3, S4 and C5 are linear except for the activations:
//   for each lossy dx, along with each canvas row                              edge_column_...
//     the edge column minus the canvas's column, through C3 (one column of taps) and S4;
//     C5 adds its product with that difference
//   for each lossy dy, at its own row                                          edge_row
//     the edge row of S2 minus the canvas's, through C3 (one row of taps, in the form that C3 uses
//     along a row); C5 reads this dy's own row of S4
//     for each lossy dx: the corner, as the difference of the edge column's difference
//
// The cost is proportional to the number of lossy shifts of a lane group. The order of images
// (predict.h) puts images with the same lossy shifts into a lane group. On MNIST and the default
// grid an image has on average 0.72 lossy dx and 0.11 lossy dy.
#pragma once

#include "cpu/lenet5/c3.h"
#include "cpu/math/activation.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The x-sum [6] of C1's two outermost columns in row y (image coordinates), without the taps
// outside the frame.
inline void edge_column_c1(const Lenet5Inputs& in, const EdgeColumn& column, int y, Taps taps,
                           vec* x_sum) {
  const int x = column.s2_column() - in.canvas.x.last_shift;
  vec c1[2][kMaps1];
  for (int i = 0; i < 2; ++i)
    if (c1_row_sees_ink(in.box, y))
      c1_columns<1>(in.ink, in.w, y, x + i, taps, taps_in_frame(column.end, i), c1[i]);
    else
      for (int c = 0; c < kMaps1; ++c) c1[i][c] = broadcast(in.w.c1_bias[c]);
  for (int c = 0; c < kMaps1; ++c)
    x_sum[c] = activate(in.activation, c1[0][c]) + activate(in.activation, c1[1][c]);
}

// Row r of S2's edge column, minus that of the canvas.
[[gnu::noinline]] inline void edge_column_s2(const Lenet5Inputs& in, const EdgeColumn& column,
                                             int r, const CanvasS2& s2) {
  const int y = r - in.canvas.y.last_shift;
  vec* const upper = column.c1_x_sums + (r & 1) * kMaps1;
  vec* const lower = column.c1_x_sums + (~r & 1) * kMaps1;
  if (r == 0) edge_column_c1(in, column, y, {}, upper);
  edge_column_c1(in, column, y + 1, {}, lower);
  if (r % in.canvas.y.step() != 0) return;
  for (int c = 0; c < kMaps1; ++c)
    column.s2[r % kS2Ring * kMaps1 + c] =
        upper[c] + lower[c] - s2_at(s2.values, column.s2_column(), c);
}

// sums [16] += s2 [6], a row of the edge column that meets tap u, times C3's column of taps.
inline void add_column_taps(const Lenet5Inputs& in, const EdgeColumn& column, int u, const vec* s2,
                            vec (&sums)[kMaps3]) {
  const float* weight = in.w.c3_edge + ((column.end == End::high ? kMaps1 : 0) * 5 + u) * kMaps3;
  for (int c = 0; c < kMaps1; ++c, weight += 5 * kMaps3) {
    const vec x = s2[c];
#pragma GCC unroll 16
    for (int o = 0; o < kMaps3; ++o) sums[o] += weight[o] * x;
  }
}

// difference [16] = act(sums + added) - act(sums).
inline void activated_difference(Activation activation, const vec* sums, const vec* added,
                                 vec* difference) {
  for (int o = 0; o < kMaps3; ++o)
    difference[o] = activate(activation, sums[o] + added[o]) - activate(activation, sums[o]);
}

// Row y of C3's edge column, minus that of the canvas, and row y - 2 of S4's. added [16] is what
// the edge column adds to the canvas row before the activation.
[[gnu::noinline]] inline void edge_column_c3(const Lenet5Inputs& in, const EdgeColumn& column,
                                             int y, const CanvasC3& canvas_c3, vec* added) {
  vec sums[kMaps3];
#pragma GCC unroll 16
  for (int o = 0; o < kMaps3; ++o) sums[o] = vec{};
  for (int u = 0; u < 5; ++u)
    add_column_taps(in, column, u, column.s2 + (y + 2 * u) % kS2Ring * kMaps1, sums);
  for (int o = 0; o < kMaps3; ++o) added[o] = sums[o];
  vec* const c3 = column.c3 + y % kC3Ring * kMaps3;
  activated_difference(in.activation, c3_at(in.canvas, canvas_c3.sums, column.c3_column()), sums,
                       c3);
  if (y < 2) return;
  const vec* const above = column.c3 + (y - 2) % kC3Ring * kMaps3;
  for (int o = 0; o < kMaps3; ++o) column.s4[(y - 2) * kMaps3 + o] = above[o] + c3[o];
}

// An edge row of C3, and that of S2 from which it is made.
struct EdgeRow {
  End end;
  int r, u;  // S2's edge row, and the tap that it meets
  const EdgeS2& s2;
  const EdgeC3& c3;
};

// The corner of C3: corner [16] is the edge column's difference from the edge row. added [16] is
// what the edge column adds to the canvas's row.
inline void corner_c3(const Lenet5Inputs& in, const EdgeColumn& column, const EdgeRow& row,
                      const vec* added, vec* corner) {
  const int y = row.r - in.canvas.y.last_shift;
  vec upper[kMaps1], lower[kMaps1], s2[kMaps1];
  edge_column_c1(in, column, y, taps_in_frame(row.end, 0), upper);
  edge_column_c1(in, column, y + 1, taps_in_frame(row.end, 1), lower);
  for (int c = 0; c < kMaps1; ++c)
    s2[c] = upper[c] + lower[c] - s2_at(row.s2.values, column.s2_column(), c) -
            column.s2[row.r % kS2Ring * kMaps1 + c];
  vec sums[kMaps3];
  for (int o = 0; o < kMaps3; ++o) sums[o] = added[o];
  add_column_taps(in, column, row.u, s2, sums);
  activated_difference(in.activation, c3_at(in.canvas, row.c3.sums, column.c3_column()), sums,
                       corner);
}

// The canvas rows that an edge row of C3 starts from.
struct CanvasRowsAt {
  int y;                    // C3's row
  const vec* s2_points[5];  // S2's rows y, y + 2, ... y + 8
  CanvasC3 c3;              // row y, before its activation
  const vec* c3_x_sums;     // row y - 2, after it; null at the top
};

// The outermost row of S4 for the lossy dy at offset e, in edge.s4 and in the corners of the edge
// columns. At the bottom it is complete; at the top row y + 2 of C3 is still missing: see
// complete_top_row. c1 and products are scratch.
template <class Table>
[[gnu::noinline]] void edge_row(const Lenet5Inputs& in, int e, End end, const CanvasRowsAt& at,
                                const EdgeColumns& columns, const EdgeRows& edge, vec* c1,
                                vec* products) {
  const Canvas& canvas = in.canvas;
  const int u = end == End::high ? 4 : 0, r = at.y + 2 * u;  // S2's edge row, and the tap it meets
  vec* const upper = edge.c1_x_sums;
  vec* const lower = upper + canvas.x.s2() * kMaps1;
  c1_row(in, r - canvas.y.last_shift, taps_in_frame(end, 0), c1, upper);
  c1_row(in, r + 1 - canvas.y.last_shift, taps_in_frame(end, 1), c1, lower);
  s2_row(canvas, upper, lower, edge.s2.values);
  s2_to_points(canvas, edge.s2.values, edge.s2_points);
  for (int i = 0; i < s2_points_row(canvas) * canvas.n_parities() / 2; ++i)
    edge.s2_points[i] -= at.s2_points[u][i];
  const vec* points[5];
  points[u] = edge.s2_points;
  c3_row_sums<Table>(in, points, {u, u}, at.c3.sums, products, edge.c3.sums);

  for (int k = 0; k < columns.n; ++k) {
    const EdgeColumn& column = columns.column[k];
    vec corner[kMaps3];
    corner_c3(in, column, {end, r, u, edge.s2, edge.c3}, at.c3.edge_column_sums + k * kMaps3,
              corner);
    vec* const s4 = (end == End::high ? column.s4_bottom : column.s4_top) + e * kMaps3;
    for (int o = 0; o < kMaps3; ++o)
      s4[o] =
          end == End::high ? column.c3[(at.y - 2) % kC3Ring * kMaps3 + o] + corner[o] : corner[o];
  }

  for (int parity = 0; parity < canvas.n_parities(); ++parity) {
    const int first = parity * c3_parity(canvas), n = s4_parity(canvas);
    activate(in.activation, edge.c3.sums + first, n + kMaps3);
    vec* const s4 = edge.s4 + e * s4_row(canvas) + parity * n;
    for (int i = 0; i < n; ++i) {
      const vec x_sum = edge.c3.sums[first + i] + edge.c3.sums[first + i + kMaps3];
      s4[i] =
          (end == End::high ? at.c3_x_sums[first + i] + x_sum : x_sum) - in.w.s4_blank[i % kMaps3];
    }
  }
}

// Completes the top row of S4 for the lossy dy at offset e = y - 2 with the canvas's row y of C3.
inline void complete_top_row(const Lenet5Inputs& in, int y, const vec* c3_x_sums,
                             const EdgeColumns& columns, const EdgeRows& edge) {
  const Canvas& canvas = in.canvas;
  const int e = y - 2, n = s4_parity(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity) {
    vec* const s4 = edge.s4 + e * s4_row(canvas) + parity * n;
    for (int i = 0; i < n; ++i) s4[i] += c3_x_sums[parity * c3_parity(canvas) + i];
  }
  for (const EdgeColumn& column : columns)
    for (int o = 0; o < kMaps3; ++o)
      column.s4_top[e * kMaps3 + o] += column.c3[y % kC3Ring * kMaps3 + o];
}

// For a dy that loses no ink, the outermost rows of an edge column are rows of its s4.
inline void fill_corners(const Lenet5Inputs& in, const EdgeColumns& columns) {
  const Axis& axis = in.canvas.y;
  for (const EdgeColumn& column : columns)
    for (int e = 0; e < axis.n; ++e)
      for (int o = 0; o < kMaps3; ++o) {
        if (!in.lossy.y.loses(e, End::low, axis.n))
          column.s4_top[e * kMaps3 + o] = column.s4[e * kMaps3 + o];
        if (!in.lossy.y.loses(e, End::high, axis.n))
          column.s4_bottom[e * kMaps3 + o] = column.s4[(e + kS4Last) * kMaps3 + o];
      }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
