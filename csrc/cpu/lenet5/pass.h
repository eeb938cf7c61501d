// What the canvases of one lane group are computed from and in.
#pragma once

#include "cpu/images/ink.h"
#include "cpu/lenet5/canvas.h"
#include "cpu/lenet5/weights.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// A run of a convolution's five taps, all of them by default.
struct Taps {
  int first = 0, last = 4;
};

// C3 needs S2 rows r, r + 2, ..., r + 8: a ring of the last rows.
constexpr int kRing = 10;

// C3's tiles are computed in blocks of five, which the default grid fills; a last one that is not
// full computes columns that nobody reads.
constexpr int kTileBlock = 5;
inline int c3_tiles(const Canvas& canvas) {
  return round_up(divide_up(columns_of_parity(canvas.c3_columns(), 0), kMaxTile), kTileBlock);
}
inline int s4_columns_of_parity(const Canvas& canvas) {
  return columns_of_parity(canvas.s4_columns(), 0);
}
// Vectors in one row of `tiles`, of `c3` and of `s4`.
inline int tiles_row(const Canvas& canvas) { return 2 * kC3Planes * kMaps1 * c3_tiles(canvas); }
inline int c3_row(const Canvas& canvas) { return 2 * kMaxTile * c3_tiles(canvas) * kMaps3; }
inline int s4_row(const Canvas& canvas) { return 2 * s4_columns_of_parity(canvas) * kMaps3; }

// A thread's memory for one lane group. An "edge row" is a row as it is for one dy that loses ink
// above or below (cpu/lenet5/frame.h).
struct Lenet5Rows {
  vec* ink;         // [kInkStride + 1][kInkStride]
  vec* c1;          // [s2_columns + 1][6]
  vec* pairs;       // two rows of [s2_columns][6]
  vec* edge_pairs;  // like pairs
  vec* s2;          // [2 parities][6][kS2Parity]: one row, padded with zeros
  vec* tiles;       // ring of rows, each [2 parities][7][6][n_tiles]
  vec* edge_tiles;  // one row like them: an edge row less the row of the canvas
  vec* products;    // [7][16][kTileBlock]
  vec* c3;          // one row: [2 parities][3 * n_tiles][16]
  vec* edge_c3;     // like c3
  vec* c3_pairs;    // ring of three rows like c3
  vec* s4;          // [s4_rows][2 parities][columns of parity][16], less s4_blank
  vec* s4_edge;     // [n_dy] rows like them: the edge row of each dy that loses rows
};

// A shift dx that loses ink on the left or right: its own column of S2, of C3 and of S4, less the
// canvas's.
struct LossyColumn {
  int f;       // dx = dx_last - f
  bool right;  // ink is lost on the right, else on the left
  vec* pairs;  // two rows of [6]: C1's two columns added
  vec* s2;     // ring of [kRing][6]
  vec* c3_sum; // [16]: in the last row of C3, before the activation
  vec* c3;     // ring of [3][16]
  vec* s4;     // [s4_rows][16]
  // [n_dy][16] each: the outermost rows, which depend on dy where it loses rows.
  vec *s4_top, *s4_bottom;

  int s2_column() const { return right ? f + 26 : f; }
  int c3_column() const { return right ? f + 18 : f; }
  // The tap, of five, at which the next layer meets this column.
  int tap() const { return right ? 4 : 0; }
};

// The shifts that push ink out of the frame.
struct Frame {
  enum Loss : char { none, above, below };
  LossyColumn columns[kMaxShifts];
  int n_columns = 0;
  Loss rows[kMaxShifts] = {};  // of dy = dy_last - e
  bool any_above = false, any_below = false;

  bool loses(int e, Loss loss) const { return rows[e] == loss; }
};

struct Lenet5Pass {
  Activation activation;
  const Canvas& canvas;
  const Lenet5Weights& w;
  const InkBox& box;
  const Frame& frame;
  const Lenet5Rows& rows;
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
