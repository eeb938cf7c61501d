// The pooled MLP's sizes, and the subgrid of shifts that is computed at once. See
// cpu/perceptron/predict_pooled_mlp.h for the method.
#pragma once

#include "cpu/perceptron/pixel_form.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

constexpr int kPool = 4;
constexpr int kPooled = kImageSize / kPool;  // pooled rows and columns
static_assert(kImageSize % kPool == 0, "whole pooled pixels");
// The taps of a form: a span of columns of windows, kPool apart. Any image's ink fits into kSpans.
constexpr int kSpan = 6, kSpans = 2;
static_assert(kSpans * kSpan > kPooled, "whatever phase and column the ink begins in");
// A tile: the t of one phase (dx = kPool t - phase).
constexpr int kMaxTile = 3, kMaxDx = kPool * kMaxTile;
constexpr int kMaxPoints = PixelForm<kMaxTile, kSpan>::points;
// A span that begins at column c meets, in a tile that begins at t, the pooled columns from
// position c + t on: weights outside the frame are 0.
constexpr int kFirstPosition = 1 - kMaxPoints, kPositions = kPooled - kFirstPosition;
// Windows begin at rows and columns -3 ... 27.
constexpr int kFirstWindow = 1 - kPool, kWindows = kImageSize - kFirstWindow;
// The register block: dy by hidden units. Each row of windows is loaded once for kUnits
// multiply-adds, each weight once for kMaxDy. The hidden values and logits of kMaxDy * kMaxDx
// patterns fit into the L1 cache.
constexpr int kMaxDy = 3;
constexpr int kUnits = kRegisters >= 32 ? 8 : 4;
static_assert(kMaxDy * kUnits + kMaxDy <= kRegisters, "sums, and rows of windows");
// A block reads rows of windows for kMaxDy dy at once; a few blank rows beyond them make a test
// unnecessary.
constexpr int kFirstRow = kFirstWindow - (kMaxDy - 1);
constexpr int kRows = kImageSize + kMaxDy - 1 - kFirstRow;

constexpr int floor_divide(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

struct Subgrid {
  int dx_first, n_dx, first_column;  // first_column: where its dx start in the whole grid
  int t_first[kPool];                // of each phase
  int tile;                          // the most t that a phase has
  int n_points() const { return tile + kSpan - 1; }
};

inline int n_subgrids(const ShiftGrid& grid) { return divide_up(grid.n_dx, kMaxDx); }

inline Subgrid subgrid_of(const ShiftGrid& grid, int i) {
  Subgrid s;
  s.first_column = i * kMaxDx;
  s.dx_first = grid.dx_first + s.first_column;
  s.n_dx = grid.n_dx - s.first_column < kMaxDx ? grid.n_dx - s.first_column : kMaxDx;
  s.tile = 0;
  for (int phase = 0; phase < kPool; ++phase) {
    s.t_first[phase] = floor_divide(s.dx_first + phase + kPool - 1, kPool);
    const int t_last = floor_divide(s.dx_first + s.n_dx - 1 + phase, kPool);
    const int n_t = t_last - s.t_first[phase] + 1;
    if (n_t > s.tile) s.tile = n_t;
  }
  return s;
}

}  // namespace pooled_mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
