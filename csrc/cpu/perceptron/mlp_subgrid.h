// The MLP's sizes, and the subgrid of shifts that is computed at once. See
// cpu/perceptron/predict_mlp.h for the method.
#pragma once

#include "cpu/perceptron/pixel_form.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

// Images are cut into cells of kSide x kSide pixels.
constexpr int kSide = 4;
constexpr int kCells = kImageSize / kSide;  // in a row and in a column
static_assert(kImageSize % kSide == 0, "whole cells");
// A cell's pixels are the taps of two nested forms, in x and in y; a tile, the shifts that they
// give, has kTileDx dx and all dy of the subgrid. A subgrid has up to kMaxTiles tiles.
constexpr int kTileDx = 4, kMaxTiles = 3;
constexpr int kMaxDx = kTileDx * kMaxTiles, kMaxDy = 5;
constexpr int kMaxPointsX = PixelForm<kTileDx, kSide>::points;
constexpr int kMaxPointsY = PixelForm<kMaxDy, kSide>::points;
constexpr int kMaxPoints = kMaxPointsX * kMaxPointsY;
// Tiles are as far apart as cells: cell i of a row meets in tile t the weights of position i + t.
static_assert(kTileDx == kSide);
constexpr int kMaxPositions = kCells + kMaxTiles - 1;
// Hidden units of a strip: the inked cells' weights at one point in y must fit into the first-level
// cache (31 KiB on MNIST), those of all points into the second-level cache (at most 441 KiB).
constexpr int kStripVectors = 2;
constexpr int kStrip = kStripVectors * kLanes;
// The number of images in a sharing group, which share each load of a weight. A load costs nearly
// as much as a multiply-add; but more images would have fewer inked cells in common, and the
// registers are full.
constexpr int kSharing = kRegisters >= 32 ? 4 : 2;
static_assert(kSharing * kMaxTiles * kStripVectors + 1 + kSharing <= kRegisters,
              "sums, a weight and the pixels that it meets");

struct Subgrid {
  ShiftGrid grid;          // the shifts of the subgrid
  int first_dx, first_dy;  // where they start in the whole grid
  int tile_dx, n_tiles;

  int points_x() const { return tile_dx + kSide - 1; }
  int points_y() const { return grid.n_dy + kSide - 1; }
  int n_points() const { return points_x() * points_y(); }
  int n_positions() const { return kCells + n_tiles - 1; }
  int n_patterns() const { return grid.n_dx * grid.n_dy; }  // of an image
  int n_pattern_vectors() const { return divide_up(n_patterns(), kLanes); }
  // A point's and a strip's weights, in vectors.
  std::int64_t point_size() const { return kCells * n_positions() * kStripVectors; }
  std::int64_t strip_size() const { return n_points() * point_size(); }
};
constexpr int kMaxPatternVectors = divide_up(kMaxDx * kMaxDy, kLanes);

inline int subgrids_dx(const ShiftGrid& grid) { return divide_up(grid.n_dx, kMaxDx); }
inline int subgrids_dy(const ShiftGrid& grid) { return divide_up(grid.n_dy, kMaxDy); }

inline Subgrid subgrid_of(const ShiftGrid& grid, int row, int column) {
  Subgrid s;
  s.first_dx = column * kMaxDx;
  const int n_dx = grid.n_dx - s.first_dx < kMaxDx ? grid.n_dx - s.first_dx : kMaxDx;
  s.first_dy = grid.n_dy * row / subgrids_dy(grid);
  const int n_dy = grid.n_dy * (row + 1) / subgrids_dy(grid) - s.first_dy;
  s.grid = {grid.dx_first + s.first_dx, n_dx, grid.dy_first + s.first_dy, n_dy};
  s.tile_dx = n_dx < kTileDx ? n_dx : kTileDx;
  s.n_tiles = divide_up(n_dx, kTileDx);
  return s;
}

}  // namespace mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
