// LeNet-5 on every shift of an image at once: the geometry.
//
// A layer's maps are computed once, on a canvas of all positions that some shift needs, instead of
// once for each shift. Moving the image by (dx, dy) moves the canvas, and pooling takes every
// second position, so the maps S2', C3' and S4' of one shift are a grid on the canvas whose first
// line depends on the shift:
//
//   S2'(i, j) = S2(2i + e, 2j + f)        e = dy_last - dy, f = dx_last - dx
//   C3'(i, j) = C3(2i + e, 2j + f)
//   S4'(i, j) = S4(4i + e, 4j + f)
//
// The offsets e and f run from 0: canvases start at the first position that the largest shift
// needs, which in image coordinates is (-dy_last, -dx_last). Subsampling becomes dilation: S2(y,
// x) pools C1 at y, y + 1 and x, x + 1; C3 correlates S2 at y + 2u, x + 2v; S4(y, x) pools C3 at
// y, y + 2 and x, x + 2.
//
// This is exact if the moved image loses no ink. A lossy shift, one that pushes ink out of the
// frame, has a different outermost row (or column) of S2, C3 and S4: cpu/lenet5/frame.h. (Shared
// computation: Giusti et al. 2013, arXiv 1302.1700; Li et al. 2014, arXiv 1412.4526.)
#pragma once

#include "cpu/simd/vec.h"
#include "kernels.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kMaxShifts = 2 * kImageSize - 1;  // -27 ... 27

// S4(y, x) depends on the image's rows y - kS4Above ... y + kS4Below. Above, these are C1's taps;
// below, they are C3's two rows, its taps, S2's two rows and C1's taps.
constexpr int kS4Above = kTaps / 2, kS4Below = 2 + 2 * (kTaps - 1) + 1 + kTaps / 2;

// The image lies in a border of zeros that C1's taps may read: pixel (y, x) is at
// [(y + kBorder) * kInkStride + x + kBorder].
constexpr int kBorder = 4;
constexpr int kInkStride = kImageSize + 2 * kBorder;

// The two ends of an axis: left or top, right or bottom.
enum class End : char { low, high };

// The outermost line on the canvas, at one end, of the shift at offset f; `last` is its layer's
// kS2Last, kC3Last or kS4Last.
constexpr int outermost_line(End end, int f, int last) { return end == End::high ? f + last : f; }

// How many shifts of an axis are lossy: the first `high` offsets push ink out at the high end, the
// last `low` at the low end. No shift does both, because an image and its frame have the same size.
struct LossyEnds {
  int high, low;
  int count() const { return high + low; }
  // The offset of the k-th lossy shift of n shifts, and its end.
  int offset(int k, int n) const { return k < high ? k : n - count() + k; }
  End end(int k) const { return k < high ? End::high : End::low; }
  bool any(End end) const { return (end == End::high ? high : low) > 0; }
  // Whether the shift at offset f loses ink at that end.
  bool loses(int f, End end, int n) const { return end == End::high ? f < high : f >= n - low; }
  // The number of the shift at offset f among the lossy ones, or -1.
  int edge_of(int f, int n) const { return f < high ? f : f >= n - low ? f - (n - count()) : -1; }
};

// One axis of the canvas: n shifts, the largest is last_shift.
struct Axis {
  int last_shift, n;

  int s2() const { return kS2Last + n; }  // lines of the canvas
  int c3() const { return kC3Last + n; }
  int s4() const { return kS4Last + n; }

  // A single shift uses only every second line of S2 and C3.
  int step() const { return n == 1 ? 2 : 1; }

  // The shifts that are lossy for images with ink in lines first ... last.
  LossyEnds lossy(int first, int last) const {
    const auto clamp = [this](int count) { return count < 0 ? 0 : count < n ? count : n; };
    return {clamp(last_shift - (kImageSize - 1 - last)), clamp(-first - (last_shift - n + 1))};
  }
};

struct Canvas {
  Axis y, x;

  explicit Canvas(ShiftGrid g)
      : y{g.dy_first + g.n_dy - 1, g.n_dy}, x{g.dx_first + g.n_dx - 1, g.n_dx} {}

  int n_parities() const { return x.n == 1 ? 1 : 2; }
};

// The shifts of a grid that push ink out of the frame.
struct LossyShifts {
  LossyEnds y, x;
};

// Columns are stored by parity, because a shift's maps use columns of only one parity: column x is
// number x / 2 of parity x % 2.
constexpr int columns_of_parity(int n_columns, int parity) { return (n_columns - parity + 1) / 2; }

// Whether S4 row r is used by some shift: r = 4i + e.
inline bool uses_s4_row(const Canvas& canvas, int r) {
  return canvas.y.n >= 4 || r % 4 < canvas.y.n;
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
