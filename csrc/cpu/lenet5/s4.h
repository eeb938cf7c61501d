// The canvases of C1 to S4 for one lane group, in one run down the rows.
//
// The algorithm, on the canvas (canvas.h):
//   S2(y, x) = C1(y, x) + C1(y, x + 1) + C1(y + 1, x) + C1(y + 1, x + 1)
//   C3(y, x) from S2(y + 2u, x + 2v)                    c3.h
//   S4(y, x) = C3(y, x) + C3(y, x + 2) + C3(y + 2, x) + C3(y + 2, x + 2) - blank value
//
// The schedule:
//   for each row r of S2
//     C1's row r + 1, pooled along x                      c1.h; row r is there already
//     S2's row r = the x-sums of rows r and r + 1
//     the edge columns of S2                              frame.h
//     S2's row r to the points of C3's form               c3.h; into a ring of ten rows
//     C3's row y = r - 8, from rows y, y + 2, ... y + 8 of the ring
//     the edge columns of C3 and S4
//     the edge row of a dy that loses ink at the top (e = y) or bottom (e = y - 18)
//     C3's activation, pooled along x; into a ring of three rows
//     S4's row y - 2 = the x-sums of rows y - 2 and y
//
// It goes row by row so that what lies between C1 and S4 stays in the second-level cache: on the
// default grid, with 16 images in the lanes, a row of S2 takes 14 KB, its points 26 KB, and a row
// of C3 30 KB. Of the run's instructions (AVX2, MNIST), the products of C3 are 56 %, its activation
// and pooling 16 %, C1 14 %, the transforms to the points and back 9 %, and edge columns and rows 4
// %.
#pragma once

#include "cpu/lenet5/frame.h"
#include "cpu/math/activation.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// From in.ink to rows.s4 (sums of four minus s4_blank), edge.s4 and the edge columns.
template <class Table>
[[gnu::noinline]] void compute_s4(const Lenet5Inputs& in, const CanvasRows& rows,
                                  const EdgeRows& edge, const EdgeColumns& columns) {
  const Canvas& canvas = in.canvas;
  const int s2_columns = canvas.x.s2() * kMaps1, dy_last = canvas.y.last_shift;
  const auto c1_x_sums = [&](int r) { return rows.c1_x_sums + (r & 1) * s2_columns; };
  const int points_row = s2_points_row(canvas);
  const auto s2_points = [&](int r) { return rows.s2_points + r % kS2Ring * points_row; };
  const auto c3_x_sums = [&](int y) { return rows.c3_x_sums + y % kC3Ring * c3_row(canvas); };
  const auto loses = [&](int e, End end) {
    return e >= 0 && e < canvas.y.n && in.lossy.y.loses(e, end, canvas.y.n);
  };
  // A row's last tile reads columns beyond its end; they cancel, but must be finite.
  for (int i = 0; i < kS2Row; ++i) rows.s2.values[i] = vec{};
  if (in.lossy.y.count() > 0)
    for (int i = 0; i < kS2Row; ++i) edge.s2.values[i] = vec{};
  c1_row(in, -dy_last, {}, rows.c1, c1_x_sums(0));
  for (int r = 0; r < canvas.y.s2(); ++r) {
    c1_row(in, r + 1 - dy_last, {}, rows.c1, c1_x_sums(r + 1));
    const bool used = r % canvas.y.step() == 0;
    if (used) s2_row(canvas, c1_x_sums(r), c1_x_sums(r + 1), rows.s2.values);
    for (const EdgeColumn& column : columns) edge_column_s2(in, column, r, rows.s2);
    if (!used) continue;
    s2_to_points(canvas, rows.s2.values, s2_points(r));

    const int y = r - 8;  // the row of C3 that can now be computed
    if (y < 0) continue;
    CanvasRowsAt at = {y, {}, rows.c3, y < 2 ? nullptr : c3_x_sums(y - 2)};
    for (int u = 0; u < 5; ++u) at.s2_points[u] = s2_points(y + 2 * u);
    c3_row_sums<Table>(in, at.s2_points, {}, nullptr, rows.products, rows.c3.sums);
    for (int k = 0; k < columns.n; ++k)
      edge_column_c3(in, columns.column[k], y, rows.c3, rows.c3.edge_column_sums + k * kMaps3);
    if (loses(y, End::low))
      edge_row<Table>(in, y, End::low, at, columns, edge, rows.c1, rows.products);
    if (loses(y - kC3Last, End::high))
      edge_row<Table>(in, y - kC3Last, End::high, at, columns, edge, rows.c1, rows.products);
    for (int parity = 0; parity < canvas.n_parities(); ++parity) {
      const int first = parity * c3_parity(canvas), n = s4_parity(canvas);
      vec* const c3 = rows.c3.sums + first;
      activate(in.activation, c3, n + kMaps3);
      vec* const x_sums = c3_x_sums(y) + first;
      for (int i = 0; i < n; ++i) x_sums[i] = c3[i] + c3[i + kMaps3];
      if (y < 2) continue;
      const vec* const above = at.c3_x_sums + first;
      vec* const s4 = rows.s4 + (y - 2) * s4_row(canvas) + parity * n;
      for (int i = 0; i < n; ++i) s4[i] = above[i] + x_sums[i] - in.w.s4_blank[i % kMaps3];
    }
    if (loses(y - 2, End::low)) complete_top_row(in, y, c3_x_sums(y), columns, edge);
  }
  if (in.lossy.y.count() > 0) fill_corners(in, columns);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
