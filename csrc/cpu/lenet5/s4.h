// The canvases of C1 to S4 for one lane group, in one run down the rows: C1's row pairs in, rows of
// S4 out, and beside them what differs at the frame.
#pragma once

#include "cpu/lenet5/frame.h"
#include "cpu/math/activation.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// From rows.ink: fills rows.s4 (sums of four less s4_blank), rows.s4_edge and the frame's columns.
template <class Table>
[[gnu::noinline]] void compute_s4(const Lenet5Pass& pass) {
  const Canvas& canvas = pass.canvas;
  const Lenet5Rows& rows = pass.rows;
  const Frame& frame = pass.frame;
  const int n_pairs = canvas.s2_columns() * kMaps1, step = canvas.row_step();
  const int n_tiles = c3_tiles(canvas), s4_columns = s4_columns_of_parity(canvas);
  const auto pairs = [&](int r) { return rows.pairs + (r & 1) * n_pairs; };
  const auto c3_pairs = [&](int y) { return rows.c3_pairs + y % 3 * c3_row(canvas); };
  const auto loses = [&](int e, Frame::Loss loss) {
    return e >= 0 && e < canvas.n_dy && frame.loses(e, loss);
  };
  // A row's last tile reads columns beyond its end: they cancel, but must be finite.
  for (int i = 0; i < 2 * kMaps1 * kS2Parity; ++i) rows.s2[i] = vec{};
  c1_row_pairs(pass, -canvas.dy_last, {}, pairs(0));
  for (int r = 0; r < canvas.s2_rows(); ++r) {
    c1_row_pairs(pass, r + 1 - canvas.dy_last, {}, pairs(r + 1));
    const bool used = r % step == 0;
    if (used) s2_row(canvas, pairs(r), pairs(r + 1), rows.s2);
    for (int i = 0; i < frame.n_columns; ++i) column_s2(pass, frame.columns[i], r);
    if (!used) continue;
    s2_tiles(canvas, rows.s2, rows.tiles + r % kRing * tiles_row(canvas));

    const int y = r - 8;  // the row of C3 that is now complete
    if (y < 0) continue;
    const vec* tiles[5];
    for (int u = 0; u < 5; ++u) tiles[u] = rows.tiles + (y + 2 * u) % kRing * tiles_row(canvas);
    c3_row_sums<Table>(pass, tiles, {}, nullptr, rows.c3);
    for (int i = 0; i < frame.n_columns; ++i) column_c3(pass, frame.columns[i], y);
    if (loses(y, Frame::above)) edge_row<Table>(pass, y, false, y, tiles, nullptr);
    if (loses(y - 18, Frame::below))
      edge_row<Table>(pass, y - 18, true, y, tiles, c3_pairs(y - 2));
    for (int parity = 0; parity < canvas.n_parities(); ++parity) {
      const int first = parity * kMaxTile * n_tiles * kMaps3;
      activate(pass.activation, rows.c3 + first, (s4_columns + 1) * kMaps3);
      vec* const sums = c3_pairs(y) + first;
      for (int i = 0; i < s4_columns * kMaps3; ++i)
        sums[i] = rows.c3[first + i] + rows.c3[first + i + kMaps3];
      if (y < 2) continue;
      const vec* const above = c3_pairs(y - 2) + first;
      vec* const s4 = rows.s4 + (y - 2) * s4_row(canvas) + parity * s4_columns * kMaps3;
      for (int i = 0; i < s4_columns * kMaps3; ++i)
        s4[i] = above[i] + sums[i] - pass.w.s4_blank[i % kMaps3];
    }
    if (loses(y - 2, Frame::above)) complete_above(pass, y, c3_pairs(y));
  }
  if (frame.any_above || frame.any_below) fill_corners(pass);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
