// LeNet-5 on every shift of an image at once: the geometry.
//
// A layer's maps are computed once on a canvas, at every position that some shift needs, instead of
// once for each shift. Moving the image by (dx, dy) moves the canvas; pooling takes every second
// position, so a shift's maps are a grid on the canvas whose origin depends on the shift:
//
//   S2'(i, j) = S2(2i + e, 2j + f)
//   C3'(i, j) = C3(2i + e, 2j + f)
//   S4'(i, j) = S4(4i + e, 4j + f)
//
// with e = dy_last - dy and f = dx_last - dx: canvases start at the first position that the largest
// shift needs, and the offsets e, f run from 0. In image coordinates the origin of every canvas is
// (-dy_last, -dx_last). S2(y, x) pools C1 at y, y+1 and x, x+1; C3 correlates S2 at y + 2u, x + 2v;
// S4(y, x) pools C3 at y, y+2 and x, x+2: dilation instead of subsampling.
//
// This is exact where the moved image loses no ink. Where it does, only the outermost column (or
// row) of S2, C3 and S4 differs: cpu/lenet5/frame.h corrects it.
// (Shared computation: Giusti et al. 2013, arXiv 1302.1700; Li et al. 2014, arXiv 1412.4526.)
#pragma once

#include "cpu/simd/vec.h"
#include "kernels.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kMaxShifts = 55; // -27 ... 27

// The image lies in a border of zeros that C1's taps may read: pixel (y, x) is at
// [(y + kBorder) * kInkStride + x + kBorder].
constexpr int kBorder = 4;
constexpr int kInkStride = kImageSize + 2 * kBorder;

struct Canvas {
  int dy_last, dx_last, n_dy, n_dx;

  explicit Canvas(ShiftGrid g)
      : dy_last(g.dy_first + g.n_dy - 1), dx_last(g.dx_first + g.n_dx - 1), n_dy(g.n_dy),
        n_dx(g.n_dx) {}

  int s2_rows() const { return 26 + n_dy; }
  int s2_columns() const { return 26 + n_dx; }
  int c3_columns() const { return 18 + n_dx; }
  int s4_rows() const { return 16 + n_dy; }
  int s4_columns() const { return 16 + n_dx; }

  // A single dy needs only every second row of S2 and C3, a single dx every second column.
  int row_step() const { return n_dy == 1 ? 2 : 1; }
  int n_parities() const { return n_dx == 1 ? 1 : 2; }
};

// Columns are kept by parity, since a shift's maps use columns of one parity only: column x is
// number x / 2 of parity x % 2.
constexpr int columns_of_parity(int n_columns, int parity) {
  return (n_columns - parity + 1) / 2;
}
// The columns of one parity of an S2 row, and the zeros that the last block of tiles reads.
constexpr int kS2Parity = columns_of_parity(26 + kMaxShifts, 0) + 16;

// Whether S4 row r is used by some shift: r = 4i + e.
inline bool uses_s4_row(const Canvas& canvas, int r) {
  return canvas.n_dy >= 4 || r % 4 < canvas.n_dy;
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
