// The frame: shifts that push ink out of it.
//
// There the moved image has zeros beyond its frame where the canvas still sees ink. C1's two
// outermost columns (rows) see two pixels beyond the frame, no other column (row) sees any; so one
// column of S2, one of C3 and one of S4 differ. They are the same for every dy, and the rows that
// differ the same for every dx, except where they meet: at the corner of a shift that loses both.
//
// Columns: the difference of S2's column is computed directly, carried through C3 (one column of
// taps) and S4, and C5 adds its product with the difference of S4. Rows: the difference of S2's row
// is carried through C3 (one row of taps, in the form that C3 has along a row), and C5 takes this
// dy's own row of S4. Corners: the difference of the columns' difference.
#pragma once

#include "cpu/lenet5/c3.h"
#include "cpu/math/activation.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// pairs [6] = sum of C1's two outermost columns in row y, without the taps outside the frame.
// On the right these are columns 26 - dx, 27 - dx in image coordinates, on the left -dx, 1 - dx.
inline void column_pairs(const Lenet5Pass& pass, const LossyColumn& column, int y, Taps taps,
                         vec* pairs) {
  const int x = column.s2_column() - pass.canvas.dx_last;
  vec c1[2][kMaps1];
  for (int i = 0; i < 2; ++i)
    if (y >= pass.box.y0 - 2 && y <= pass.box.y1 + 2)
      c1_columns<1>(pass.rows.ink, pass.w, y, x + i, taps, frame_taps(column.right, i), c1[i]);
    else
      for (int c = 0; c < kMaps1; ++c) c1[i][c] = broadcast(pass.w.c1_bias[c]);
  for (int c = 0; c < kMaps1; ++c)
    pairs[c] = activate(pass.activation, c1[0][c]) + activate(pass.activation, c1[1][c]);
}

// Row r of a column of S2; rows.s2 holds the canvas's.
[[gnu::noinline]] inline void column_s2(const Lenet5Pass& pass, const LossyColumn& column, int r) {
  const int y = r - pass.canvas.dy_last;
  vec* const upper = column.pairs + (r & 1) * kMaps1;
  vec* const lower = column.pairs + (~r & 1) * kMaps1;
  if (r == 0) column_pairs(pass, column, y, {}, upper);
  column_pairs(pass, column, y + 1, {}, lower);
  if (r % pass.canvas.row_step() != 0) return;
  for (int c = 0; c < kMaps1; ++c)
    column.s2[r % kRing * kMaps1 + c] =
        upper[c] + lower[c] - s2_at(pass.rows.s2, column.s2_column(), c);
}

// sum [16] += what C3's column of taps makes of s2 [6], differences in a row that meets tap u.
inline void add_column_taps(const Lenet5Pass& pass, const LossyColumn& column, int u,
                            const vec* s2, vec (&sum)[kMaps3]) {
  const float* weight = pass.w.c3_edge + ((column.right ? kMaps1 : 0) * 5 + u) * kMaps3;
  for (int c = 0; c < kMaps1; ++c, weight += 5 * kMaps3) {
    const vec in = s2[c];
#pragma GCC unroll 16
    for (int o = 0; o < kMaps3; ++o) sum[o] += weight[o] * in;
  }
}

// difference [16] = act(before + sum) - act(before).
inline void activated_difference(Activation activation, const vec* before, const vec* sum,
                                 vec* difference) {
  for (int o = 0; o < kMaps3; ++o)
    difference[o] = activate(activation, before[o] + sum[o]) - activate(activation, before[o]);
}

// Row y of a column of C3, and row y - 2 of S4; rows.c3 holds the canvas's, before its activation.
[[gnu::noinline]] inline void column_c3(const Lenet5Pass& pass, const LossyColumn& column, int y) {
  vec sum[kMaps3];
#pragma GCC unroll 16
  for (int o = 0; o < kMaps3; ++o) sum[o] = vec{};
  for (int u = 0; u < 5; ++u)
    add_column_taps(pass, column, u, column.s2 + (y + 2 * u) % kRing * kMaps1, sum);
  for (int o = 0; o < kMaps3; ++o) column.c3_sum[o] = sum[o];
  vec* const c3 = column.c3 + y % 3 * kMaps3;
  activated_difference(pass.activation, c3_at(pass.canvas, pass.rows.c3, column.c3_column()), sum,
                       c3);
  if (y < 2) return;
  const vec* const above = column.c3 + (y - 2) % 3 * kMaps3;
  for (int o = 0; o < kMaps3; ++o) column.s4[(y - 2) * kMaps3 + o] = above[o] + c3[o];
}

// The corner of C3 for a shift that loses a row and a column: corner [16] is the difference that
// the column makes to C3's edge row. It meets S2's edge row r at tap u; rows.s2 and rows.edge_c3
// hold the edge rows, the latter before its activation.
inline void corner_c3(const Lenet5Pass& pass, const LossyColumn& column, bool below, int r, int u,
                      vec* corner) {
  const int y = r - pass.canvas.dy_last;
  vec upper[kMaps1], lower[kMaps1], s2[kMaps1];
  column_pairs(pass, column, y, frame_taps(below, 0), upper);
  column_pairs(pass, column, y + 1, frame_taps(below, 1), lower);
  for (int c = 0; c < kMaps1; ++c)
    s2[c] = upper[c] + lower[c] - s2_at(pass.rows.s2, column.s2_column(), c) -
            column.s2[r % kRing * kMaps1 + c];
  vec sum[kMaps3];
  for (int o = 0; o < kMaps3; ++o) sum[o] = column.c3_sum[o];
  add_column_taps(pass, column, u, s2, sum);
  activated_difference(pass.activation,
                       c3_at(pass.canvas, pass.rows.edge_c3, column.c3_column()), sum, corner);
}

// The edge row y of C3 for the dy of e, in rows.edge_c3, and with it the outermost row of S4: below
// it is complete; above it still lacks row y + 2 of C3, which complete_above adds.
// tiles [5] points to the canvas's rows of taps, above to row y - 2 of C3's pairs.
template <class Table>
[[gnu::noinline]] void edge_row(const Lenet5Pass& pass, int e, bool below, int y,
                                const vec* const* tiles, const vec* above) {
  const Canvas& canvas = pass.canvas;
  const Lenet5Rows& rows = pass.rows;
  const int u = below ? 4 : 0, r = y + 2 * u;
  vec* const lower = rows.edge_pairs + canvas.s2_columns() * kMaps1;
  c1_row_pairs(pass, r - canvas.dy_last, frame_taps(below, 0), rows.edge_pairs);
  c1_row_pairs(pass, r + 1 - canvas.dy_last, frame_taps(below, 1), lower);
  s2_row(canvas, rows.edge_pairs, lower, rows.s2);
  s2_tiles(canvas, rows.s2, rows.edge_tiles);
  for (int i = 0; i < tiles_row(canvas) * canvas.n_parities() / 2; ++i)
    rows.edge_tiles[i] -= tiles[u][i];
  const vec* edge_tiles[5];
  edge_tiles[u] = rows.edge_tiles;
  c3_row_sums<Table>(pass, edge_tiles, {u, u}, rows.c3, rows.edge_c3);

  for (int i = 0; i < pass.frame.n_columns; ++i) {
    const LossyColumn& column = pass.frame.columns[i];
    vec corner[kMaps3];
    corner_c3(pass, column, below, r, u, corner);
    vec* const s4 = (below ? column.s4_bottom : column.s4_top) + e * kMaps3;
    for (int o = 0; o < kMaps3; ++o)
      s4[o] = below ? column.c3[(y - 2) % 3 * kMaps3 + o] + corner[o] : corner[o];
  }

  const int n_tiles = c3_tiles(canvas), s4_columns = s4_columns_of_parity(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity) {
    const int first = parity * kMaxTile * n_tiles * kMaps3;
    activate(pass.activation, rows.edge_c3 + first, (s4_columns + 1) * kMaps3);
    vec* const s4 = rows.s4_edge + e * s4_row(canvas) + parity * s4_columns * kMaps3;
    for (int i = 0; i < s4_columns * kMaps3; ++i) {
      const vec pair = rows.edge_c3[first + i] + rows.edge_c3[first + i + kMaps3];
      s4[i] = (below ? above[first + i] + pair : pair) - pass.w.s4_blank[i % kMaps3];
    }
  }
}

// Completes the top row of S4 for the dy of e = y - 2 with row y of C3's pairs.
inline void complete_above(const Lenet5Pass& pass, int y, const vec* pairs) {
  const Canvas& canvas = pass.canvas;
  const int e = y - 2, s4_columns = s4_columns_of_parity(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity) {
    vec* const s4 = pass.rows.s4_edge + e * s4_row(canvas) + parity * s4_columns * kMaps3;
    for (int i = 0; i < s4_columns * kMaps3; ++i)
      s4[i] += pairs[parity * kMaxTile * c3_tiles(canvas) * kMaps3 + i];
  }
  for (int i = 0; i < pass.frame.n_columns; ++i) {
    const LossyColumn& column = pass.frame.columns[i];
    for (int o = 0; o < kMaps3; ++o)
      column.s4_top[e * kMaps3 + o] += column.c3[y % 3 * kMaps3 + o];
  }
}

// Where a lossy column meets a dy that keeps its rows, the outermost rows are those of the rest.
inline void fill_corners(const Lenet5Pass& pass) {
  const Frame& frame = pass.frame;
  for (int i = 0; i < frame.n_columns; ++i) {
    const LossyColumn& column = frame.columns[i];
    for (int e = 0; e < pass.canvas.n_dy; ++e)
      for (int o = 0; o < kMaps3; ++o) {
        if (!frame.loses(e, Frame::above))
          column.s4_top[e * kMaps3 + o] = column.s4[e * kMaps3 + o];
        if (!frame.loses(e, Frame::below))
          column.s4_bottom[e * kMaps3 + o] = column.s4[(e + 16) * kMaps3 + o];
      }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
