// LeNet-5 on many shifts of an image at once: the geometry. As on the CPU (cpu/lenet5/canvas.h
// gives the reason and the sources), a layer's maps are computed once, on a canvas of all positions
// that some shift needs. With e = dy_last - dy and f = dx_last - dx, the maps of the shift (dx, dy)
// are
//
//   S2'(i, j) = S2(2i + e, 2j + f)
//   C3'(i, j) = C3(2i + e, 2j + f)
//   S4'(i, j) = S4(4i + e, 4j + f)
//
// where S2(y, x) pools C1 at y, y + 1 and x, x + 1, C3 correlates S2 at y + 2u, x + 2v, and S4(y,
// x) pools C3 at y, y + 2 and x, x + 2.
//
// This is exact if the moved image loses no ink. A lossy shift has a different outermost line (row
// or column) of S2, C3 and S4 (drawn in cpu/lenet5/frame.h). Every lossy dx of an image gets its
// own edge column behind the canvas's columns, and every lossy dy an edge row behind its rows, in
// all three layers. S2's edge lines are computed from the pixels inside the frame. In C3, S4 and
// C5, a line that would read the outermost line of a lossy shift reads that shift's edge line
// instead. Where an edge row crosses an edge column it has both, so every shift is exact. The CPU,
// with many images in the lanes, computes differences from the canvas instead.
#pragma once

#include "cuda/math/fused_device.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

// How many shifts of an axis are lossy: the first `high` offsets push ink out at the high end
// (right or bottom), the last `low` at the low end. Edge lines are numbered in that order.
struct LossyEnds {
  int high, low;
  __device__ int count() const { return high + low; }
  // The offset of edge line k; there are n offsets.
  __device__ int offset(int k, int n) const { return k < high ? k : n - count() + k; }
  // The edge line of an offset, or -1.
  __device__ int edge_of(int f, int n) const {
    return f < high ? f : f >= n - low ? f - (n - count()) : -1;
  }
};

// The lines of the previous layer that a line reads: first, middle + step, middle + 2 step ...,
// last. Only the first or the last can be an edge line.
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
  __device__ LossyEnds lossy(int first, int last) const {
    if (first > last) return {0, 0};
    return {clamp(last_shift - (kImageSize - 1 - last), 0, n),
            clamp(-first - (last_shift - n + 1), 0, n)};
  }

  // The S2 lines of C3 line p, the C3 lines of S4 line p (first and last only), the S4 lines of
  // the shift at offset f.
  __device__ Lines c3_lines(int p, LossyEnds lossy) const {
    return lines(p, c3(), kC3Last, 8, s2(), lossy);
  }
  __device__ Lines s4_lines(int p, LossyEnds lossy) const {
    return lines(p, s4(), kS4Last, 2, c3(), lossy);
  }
  __device__ Lines shift_lines(int f, LossyEnds lossy) const {
    const int edge = lossy.edge_of(f, n);
    if (edge < 0) return {f, f, f + kS4Last};
    return edge < lossy.high ? Lines{f, f, s4() + edge} : Lines{s4() + edge, f, f + kS4Last};
  }

 private:
  // Line p of n_lines and the edge lines after them. It spans `span` lines of the previous layer,
  // which has n_before; a shift's own last line is own_last after its offset.
  __device__ Lines lines(int p, int n_lines, int own_last, int span, int n_before,
                         LossyEnds lossy) const {
    if (p < n_lines) return {p, p, p + span};
    const int edge = p - n_lines, f = lossy.offset(edge, n);
    return edge < lossy.high ? Lines{f + own_last, f + own_last, n_before + edge}
                             : Lines{n_before + edge, f, f + span};
  }
};

struct Canvas {
  Axis y, x;
};

// The most shifts of a subgrid; the default grid is one. Maps in memory always have room for these
// and their edge lines: addresses are then constants, and a block needs less than 64 KB of shared
// memory, which all cards from compute capability 7.5 on have.
constexpr int kSubgridDy = 5, kSubgridDx = 11;
constexpr int kC1Rows = kS2Last + kSubgridDy + 1, kInkRows = kC1Rows + 4;
constexpr int kC1Pitch = round_up(kS2Last + kSubgridDx + 1, 4);  // four columns at once
constexpr int kInkPitch = kC1Pitch + 4;
constexpr int kS2Rows = kS2Last + 2 * kSubgridDy, kS2Pitch = kS2Last + 2 * kSubgridDx + 2;
constexpr int kC3Rows = kC3Last + 2 * kSubgridDy, kC3Pitch = kC3Last + 2 * kSubgridDx;
constexpr int kS4Rows = kS4Last + 2 * kSubgridDy, kS4Pitch = kS4Last + 2 * kSubgridDx;
constexpr int kC1Map = kC1Rows * kC1Pitch, kS2Map = kS2Rows * kS2Pitch;
constexpr int kC3Map = kC3Rows * kC3Pitch, kS4Map = kS4Rows * kS4Pitch;
constexpr int kS4Size = kMaps3 * kS4Map;
// Lanes that read S2 are eight columns apart in x and one row in y; with this pitch they use all
// banks. The last run of C3 columns reads up to 8 columns too far.
static_assert(kS2Pitch % 8 == 2 && kS2Pitch >= kS2Last + kSubgridDx + 8);

// The shifts of a subgrid that push ink of one image out of the frame.
struct LossyShifts {
  LossyEnds y, x;
};

// The part of a grid that is computed at once, and its place in the predictions.
struct Subgrid {
  Canvas canvas;
  int first_dy, first_dx;  // within the grid
  ShiftGrid grid;          // the whole
  __host__ __device__ int n_patterns() const { return canvas.y.n * canvas.x.n; }
};

inline int subgrids_dy(ShiftGrid grid) { return divide_up(grid.n_dy, kSubgridDy); }
inline int subgrids_dx(ShiftGrid grid) { return divide_up(grid.n_dx, kSubgridDx); }

inline Subgrid subgrid_of(ShiftGrid grid, int row, int column) {
  const int rows = subgrids_dy(grid), columns = subgrids_dx(grid);
  const int y0 = grid.n_dy * row / rows, y1 = grid.n_dy * (row + 1) / rows;
  const int x0 = grid.n_dx * column / columns, x1 = grid.n_dx * (column + 1) / columns;
  return {{{grid.dy_first + y1 - 1, y1 - y0}, {grid.dx_first + x1 - 1, x1 - x0}}, y0, x0, grid};
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
