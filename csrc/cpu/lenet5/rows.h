// The inputs of the canvases of one lane group, and the rows in which they are computed.
//
// Only S4's canvas is ever whole: a row lives as long as the next layer needs it. There are two
// kinds of rows, each with its own type: a canvas row is what every shift sees that loses no ink;
// an edge row is what one lossy dy sees instead of it. An edge column is what one lossy dx sees
// instead of a column of the canvas (cpu/lenet5/frame.h).
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
  int first = 0, last = kTaps - 1;
};

// C3 row y needs S2 rows y, y + 2, ... y + 8: a ring of the last rows, row r at r % kS2Ring.
constexpr int kS2Ring = 10;
// S4 row y needs C3 rows y and y + 2.
constexpr int kC3Ring = 3;

// C3's tiles are computed in blocks of five, which the default grid fills; the last block may
// compute columns that no code reads.
constexpr int kTileBlock = 5;
constexpr int c3_tiles(int n_columns) {
  return round_up(divide_up(columns_of_parity(n_columns, 0), kMaxTile), kTileBlock);
}
inline int c3_tiles(const Canvas& canvas) { return c3_tiles(canvas.x.c3()); }
// The columns of one parity of an S2 row, and zeros: all that the last block of tiles reads.
constexpr int kS2Parity = kMaxTile * c3_tiles(kC3Last + kMaxShifts) + kTaps - 1;
static_assert(kS2Parity >= columns_of_parity(kS2Last + kMaxShifts, 0), "the columns themselves");
inline int s4_columns_of_parity(const Canvas& canvas) {
  return columns_of_parity(canvas.x.s4(), 0);
}
// Vectors in one row of each kind.
constexpr int kS2Row = 2 * kMaps1 * kS2Parity;
inline int s2_points_row(const Canvas& canvas) { return 2 * kC3Planes * kMaps1 * c3_tiles(canvas); }
inline int c3_parity(const Canvas& canvas) { return kMaxTile * c3_tiles(canvas) * kMaps3; }
inline int c3_row(const Canvas& canvas) { return 2 * c3_parity(canvas); }
inline int s4_parity(const Canvas& canvas) { return s4_columns_of_parity(canvas) * kMaps3; }
inline int s4_row(const Canvas& canvas) { return 2 * s4_parity(canvas); }

// A row of S2 (sums of four), [2 parities][6 maps][kS2Parity].
struct CanvasS2 {
  vec* values;
};
struct EdgeS2 {
  vec* values;
};
inline vec& s2_at(vec* row, int x, int c) {
  return row[((x & 1) * kMaps1 + c) * kS2Parity + (x >> 1)];
}

// A row of C3 before its activation, [2 parities][kMaxTile * n_tiles columns][16 maps].
struct CanvasC3 {
  vec* sums;
  vec* edge_column_sums;  // [lossy dx][16]: what each edge column adds to its column of this row
};
struct EdgeC3 {
  vec* sums;
};
inline vec* c3_at(const Canvas& canvas, vec* row, int x) {
  return row + (x & 1) * c3_parity(canvas) + (x >> 1) * kMaps3;
}

// The inputs that stay the same while the canvases of a lane group are computed.
struct Lenet5Inputs {
  Activation activation;
  const Canvas& canvas;
  const Lenet5Weights& w;
  InkBox box;  // where any image of the group has ink
  LossyShifts lossy;
  const vec* ink;  // [kInkStride + 1][kInkStride]: the images, pixel / 255
};

// A thread's memory for canvas rows. The x-sum of a row at x is the sum of the two columns that are
// pooled there: pooling along x comes first.
struct CanvasRows {
  vec* c1;         // one row: [s2 columns + 1][6]
  vec* c1_x_sums;  // two rows of [s2 columns][6]
  CanvasS2 s2;     // one row
  vec* s2_points;  // ring of rows at the form's points: [2 parities][7][6][n_tiles]
  vec* products;   // [7][16][kTileBlock]
  CanvasC3 c3;     // one row
  vec* c3_x_sums;  // ring of rows like c3
  vec* s4;         // all rows, minus s4_blank: [s4 rows][2 parities][columns of parity][16]
};

// A thread's memory for the edge rows of one lossy dy after the other.
struct EdgeRows {
  vec* c1_x_sums;  // two rows, as above
  EdgeS2 s2;
  vec* s2_points;  // the edge row minus the canvas's, at the form's points
  EdgeC3 c3;
  vec* s4;  // the edge row of each lossy dy: [n_dy] rows of S4
};

// An edge column: what one lossy dx sees instead of one column of each canvas, minus that column.
struct EdgeColumn {
  int f;  // dx = dx_last - f
  End end;
  vec* c1_x_sums;  // two rows of [6], without the canvas's subtracted
  vec* s2;         // ring of [kS2Ring][6]
  vec* c3;         // ring of [kC3Ring][16]
  vec* s4;         // [s4 rows][16]
  // [n_dy][16] each: the outermost rows, whose values under a lossy dy are corners.
  vec *s4_top, *s4_bottom;

  int s2_column() const { return outermost_line(end, f, kS2Last); }
  int c3_column() const { return outermost_line(end, f, kC3Last); }
  // The tap, of five, at which the next layer meets this column.
  int tap() const { return end == End::high ? 4 : 0; }
};

// The lossy dx of a lane group, in the order of LossyEnds.
struct EdgeColumns {
  int n;
  EdgeColumn column[kMaxShifts];

  const EdgeColumn* begin() const { return column; }
  const EdgeColumn* end() const { return column + n; }
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
