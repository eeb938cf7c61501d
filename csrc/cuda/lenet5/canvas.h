// LeNet-5 on many shifts of an image at once: the geometry. As on the CPU (cpu/lenet5/canvas.h) a
// layer's maps are computed once, on a canvas of all positions that some shift needs. With
// e = dy_last - dy and f = dx_last - dx, the maps of the shift (dx, dy) are
//
//   S2'(i, j) = S2(2i + e, 2j + f)
//   C3'(i, j) = C3(2i + e, 2j + f)
//   S4'(i, j) = S4(4i + e, 4j + f)
//
// where S2(y, x) pools C1 at y, y+1 and x, x+1, C3 correlates S2 at y + 2u, x + 2v, and S4(y, x)
// pools C3 at y, y+2 and x, x+2.
//
// That is exact where the moved image loses no ink. Where dx pushes ink out at the left or right,
// only one column of S2', of C3' and of S4' differs, the outermost, and likewise one row for dy. So
// every lossy dx of an image gets an "edge column" of its own behind the canvas's columns, and
// every lossy dy an "edge row" behind its rows, in all three layers. Their S2 is computed from the
// pixels that stay in the frame. In C3, S4 and C5, a line (row or column) that would read the
// outermost line of a lossy shift reads that shift's edge line instead. Rows and columns do not
// know of each other, and where an edge row meets an edge column, both losses are in: it is exact
// for every shift.
#pragma once

#include "cuda/math/fused_device.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

// How far after its first a shift's own last line stands on the canvas: its 14 lines of S2 and 10
// of C3 are two apart, its 5 of S4 four.
constexpr int kS2Last = 13 * 2, kC3Last = 9 * 2, kS4Last = 4 * 4;

// The shifts of one axis that push ink out, by offset: the first `high` push it out at the high end
// (right or bottom), the last `low` at the low end. Edge lines are numbered in that order.
struct LossyShifts {
  int high, low;
  __device__ int count() const { return high + low; }
  // The offset of edge line k, of n offsets.
  __device__ int offset(int k, int n) const { return k < high ? k : n - count() + k; }
  // The edge line of an offset, or -1.
  __device__ int edge_of(int f, int n) const {
    return f < high ? f : f >= n - low ? f - (n - count()) : -1;
  }
};

// Which lines of the layer before a line reads: first, middle + step, middle + 2 step ..., last.
// Only the first or the last can be an edge line.
struct Lines {
  int first, middle, last;
};

// One axis of the canvas: n shifts, the largest is `last_shift`.
struct Axis {
  int last_shift, n;

  __host__ __device__ int s2() const { return kS2Last + n; }
  __host__ __device__ int c3() const { return kC3Last + n; }
  __host__ __device__ int s4() const { return kS4Last + n; }
  // C1 is one longer than S2; its taps reach two further at both ends.
  __host__ __device__ int c1() const { return s2() + 1; }
  __host__ __device__ int ink() const { return c1() + 4; }

  // Ink lies in lines first ... last of the image.
  __device__ LossyShifts lossy(int first, int last) const {
    if (first > last) return {0, 0};
    return {clamp(last_shift - (kImageSize - 1 - last), 0, n),
            clamp(-first - (last_shift - n + 1), 0, n)};
  }

  // The S2 lines of C3 line p, the C3 lines of S4 line p (first and last only), the S4 lines of the
  // shift at offset f.
  __device__ Lines c3_lines(int p, LossyShifts lossy) const {
    return lines(p, c3(), kC3Last, 8, s2(), lossy);
  }
  __device__ Lines s4_lines(int p, LossyShifts lossy) const {
    return lines(p, s4(), kS4Last, 2, c3(), lossy);
  }
  __device__ Lines shift_lines(int f, LossyShifts lossy) const {
    const int edge = lossy.edge_of(f, n);
    if (edge < 0) return {f, f, f + kS4Last};
    return edge < lossy.high ? Lines{f, f, s4() + edge} : Lines{s4() + edge, f, f + kS4Last};
  }

 private:
  // Line p of n_lines and edges after them; it spans `span` lines of the layer before, which has
  // n_before; a shift's own last line is own_last after its offset.
  __device__ Lines lines(int p, int n_lines, int own_last, int span, int n_before,
                         LossyShifts lossy) const {
    if (p < n_lines) return {p, p, p + span};
    const int edge = p - n_lines, f = lossy.offset(edge, n);
    return edge < lossy.high ? Lines{f + own_last, f + own_last, n_before + edge}
                             : Lines{n_before + edge, f, f + span};
  }
};

struct Canvas {
  Axis y, x;
};

// A pass is a part of the grid of at most so many shifts, the default grid among them. Maps in
// memory always have room for these and their edge lines: addresses then are constants, and a block
// needs less than 64 KB of shared memory, which all cards from compute capability 7.5 on have.
constexpr int kPassDy = 5, kPassDx = 11;
constexpr int kC1Rows = kS2Last + kPassDy + 1, kInkRows = kC1Rows + 4;
constexpr int kC1Pitch = round_up(kS2Last + kPassDx + 1, 4);  // four columns at once
constexpr int kInkPitch = kC1Pitch + 4;
constexpr int kS2Rows = kS2Last + 2 * kPassDy, kS2Pitch = kS2Last + 2 * kPassDx + 2;
constexpr int kC3Rows = kC3Last + 2 * kPassDy, kC3Pitch = kC3Last + 2 * kPassDx;
constexpr int kS4Rows = kS4Last + 2 * kPassDy, kS4Pitch = kS4Last + 2 * kPassDx;
constexpr int kC1Plane = kC1Rows * kC1Pitch, kS2Plane = kS2Rows * kS2Pitch;
constexpr int kC3Plane = kC3Rows * kC3Pitch, kS4Plane = kS4Rows * kS4Pitch;
constexpr int kS4Size = kMaps3 * kS4Plane;
// Lanes that read S2 are eight columns apart in x and one row in y: so rows spread over all banks.
// The last tile of C3 columns reads up to 8 columns too far.
static_assert(kS2Pitch % 8 == 2 && kS2Pitch >= kS2Last + kPassDx + 8);

// Per image: what its shifts lose.
struct ImageLoss {
  LossyShifts y, x;
};

// A part of the grid, and its place in the predictions.
struct Pass {
  Canvas canvas;
  int first_dy, first_dx;  // within the grid
  ShiftGrid grid;          // the whole
  __host__ __device__ int n_patterns() const { return canvas.y.n * canvas.x.n; }
};

inline int passes_dy(ShiftGrid grid) { return divide_up(grid.n_dy, kPassDy); }
inline int passes_dx(ShiftGrid grid) { return divide_up(grid.n_dx, kPassDx); }

inline Pass pass_of(ShiftGrid grid, int row, int column) {
  const int y0 = grid.n_dy * row / passes_dy(grid), y1 = grid.n_dy * (row + 1) / passes_dy(grid);
  const int x0 = grid.n_dx * column / passes_dx(grid);
  const int x1 = grid.n_dx * (column + 1) / passes_dx(grid);
  return {{{grid.dy_first + y1 - 1, y1 - y0}, {grid.dx_first + x1 - 1, x1 - x0}}, y0, x0, grid};
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
