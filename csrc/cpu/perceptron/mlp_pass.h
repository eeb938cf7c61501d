// What the MLP's shifted predictions are computed from: the transformed weights of a pass, and
// images as transformed blocks of pixels. See cpu/perceptron/predict_mlp.h for the method.
#pragma once

#include "cpu/perceptron/pixel_form.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/vec.h"
#include "host/image_order.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

constexpr int kSide = 4;                        // of a block, in pixels
constexpr int kBlocks = kImageSize / kSide;     // in a row and in a column
constexpr int kAllBlocks = kBlocks * kBlocks;
constexpr int kTileDx = 4, kMaxTiles = 3;       // a pass: so many dx ...
constexpr int kMaxDx = kTileDx * kMaxTiles;
constexpr int kMaxDy = 5;                       // ... and dy
constexpr int kMaxPointsX = kTileDx + kSide - 1, kMaxPointsY = kMaxDy + kSide - 1;
constexpr int kMaxPoints = kMaxPointsX * kMaxPointsY;
constexpr int kPositions = kBlocks + kMaxTiles - 1;
// Hidden units of a strip: the weights of one row of points must fit into L1 (31 KiB on MNIST).
constexpr int kStripVectors = 2;
constexpr int kStrip = kStripVectors * kLanes;
// Images that share each load of a weight. A load costs nearly as much as a multiply-add; more
// images would share fewer inked blocks, and more registers there are not: 4 * 3 tiles * 2 sums.
constexpr int kTogether = kRegisters >= 32 ? 4 : 2;

// The shifts of one pass.
struct Pass {
  ShiftGrid grid;            // the pass's part
  int first_dx, first_dy;    // where that part starts in the whole
  int tile_dx, n_tiles;
  int points_x() const { return tile_dx + kSide - 1; }
  int points_y() const { return grid.n_dy + kSide - 1; }
  int n_points() const { return points_x() * points_y(); }
  int n_positions() const { return kBlocks + n_tiles - 1; }
  int n_patterns() const { return grid.n_dx * grid.n_dy; }
  int n_groups() const { return divide_up(n_patterns(), kLanes); }
  // A point's and a strip's weights, in vectors.
  std::int64_t point_size() const { return kBlocks * n_positions() * kStripVectors; }
  std::int64_t strip_size() const { return n_points() * point_size(); }
};

inline int passes_dx(const ShiftGrid& grid) { return divide_up(grid.n_dx, kMaxDx); }
inline int passes_dy(const ShiftGrid& grid) { return divide_up(grid.n_dy, kMaxDy); }

inline Pass pass_of(const ShiftGrid& grid, int row, int column) {
  Pass pass;
  pass.first_dx = column * kMaxDx;
  const int n_dx = grid.n_dx - pass.first_dx < kMaxDx ? grid.n_dx - pass.first_dx : kMaxDx;
  pass.first_dy = grid.n_dy * row / passes_dy(grid);
  const int n_dy = grid.n_dy * (row + 1) / passes_dy(grid) - pass.first_dy;
  pass.grid = {grid.dx_first + pass.first_dx, n_dx, grid.dy_first + pass.first_dy, n_dy};
  pass.tile_dx = n_dx < kTileDx ? n_dx : kTileDx;
  pass.n_tiles = divide_up(n_dx, kTileDx);
  return pass;
}

// The network, packed for a pass, hidden units in the lanes and padded with zeros to whole strips.
struct Weights {
  vec* hidden;    // [strips, points, y positions, x positions, kStripVectors]
  vec* bias;      // [strips, kStripVectors]
  float* output;  // [strips * kStrip, 10]
};

// A thread's memory while packing.
struct Packing {
  vec* weight;   // [28, 28]
  vec* columns;  // [28, x positions, x points]
};
constexpr int kPackingColumns = kImageSize * kPositions * kMaxPointsX;

// Rows of weights [28, 28] to points in x: columns [28, x positions, x points].
template <class F>
inline void weight_points_x(const Pass& pass, const vec* weight, vec* columns) {
  for (int y = 0; y < kImageSize; ++y)
    for (int i = 0; i < pass.n_positions(); ++i, columns += F::points) {
      vec d[F::inputs];
      for (int k = 0; k < F::inputs; ++k) {
        const int x = kSide * i + pass.grid.dx_first + k;
        d[k] = x >= 0 && x < kImageSize ? weight[y * kImageSize + x] * (1.0f / 255) : vec{};
      }
      inputs_to_points<F>(d, columns, 1);
    }
}

// These to points in y: target [y points, x points, y positions, x positions, kStripVectors].
template <class F>
inline void weight_points_y(const Pass& pass, const vec* columns, vec* target) {
  const int nx = pass.points_x(), row_size = pass.n_positions() * nx;
  for (int j = 0; j < kBlocks; ++j)
    for (int i = 0; i < row_size; ++i) {
      vec d[F::inputs];
      for (int k = 0; k < F::inputs; ++k) {
        const int y = kSide * j + pass.grid.dy_first + k;
        d[k] = y >= 0 && y < kImageSize ? columns[y * row_size + i] : vec{};
      }
      inputs_to_points<F>(d,
                          target + i % nx * pass.point_size() +
                              (j * pass.n_positions() + i / nx) * kStripVectors,
                          nx * pass.point_size());
    }
}

// Packs one vector of hidden units. The pixels' 1 / 255 becomes a factor of the weights.
inline void pack(const MlpParameters& parameters, const Pass& pass, int block, const Packing& w,
                 const Weights& weights) {
  const int first = block * kLanes, left = parameters.n_hidden - first;
  const int n = left < 0 ? 0 : left < kLanes ? left : kLanes;
  vec bias = {};
  for (int l = 0; l < n; ++l) bias[l] = parameters.hidden.bias[first + l];
  weights.bias[block] = bias;
  for (int l = 0; l < kLanes; ++l)
    for (int o = 0; o < kClasses; ++o)
      weights.output[(first + l) * kClasses + o] =
          l < n ? parameters.output.weight[std::int64_t{o} * parameters.n_hidden + first + l]
                : 0.0f;

  rows_to_lanes<float>(parameters.hidden.weight + std::int64_t{first} * kPixels, kPixels, n,
                       kPixels, w.weight);
  vec* const target = weights.hidden + block / kStripVectors * pass.strip_size() +
                      block % kStripVectors;
  with_constant<kTileDx>(pass.tile_dx, [&](auto n_dx) {
    weight_points_x<PixelForm<n_dx.value, kSide>>(pass, w.weight, w.columns);
  });
  with_constant<kMaxDy>(pass.grid.n_dy, [&](auto n_dy) {
    weight_points_y<PixelForm<n_dy.value, kSide>>(pass, w.columns, target);
  });
}

// A few images with the blocks that have ink in any of them.
struct Group {
  int n_images, n_blocks;
  std::int64_t image[kTogether];
  std::int64_t position[kAllBlocks];  // of a block's weights among its point's, in vectors
};

// Which blocks have ink: bit j * kBlocks + i for block row j, block column i.
inline std::uint64_t ink_of(const std::uint8_t* image) {
  std::uint64_t ink = 0;
  for (int j = 0; j < kBlocks; ++j)
    for (int i = 0; i < kBlocks; ++i) {
      std::uint32_t any = 0, row;
      for (int y = 0; y < kSide; ++y) {
        __builtin_memcpy(&row, image + (j * kSide + y) * kImageSize + i * kSide, kSide);
        any |= row;
      }
      ink |= std::uint64_t{any != 0} << (j * kBlocks + i);
    }
  return ink;
}

// Groups n images, so that those of a group have ink in about the same blocks: the one with the
// most blocks takes those that add the fewest to it. keys [n] hold their ink (host/image_order.h), first is
// the chunk's first image; order [n] is scratch. Returns how many groups.
inline int make_groups(const std::uint64_t* keys, std::int64_t first, int n, int* order,
                       Group* groups) {
  const auto size_of = [&](int i) { return __builtin_popcountll(sorted_by(keys[i])); };
  for (int i = 0; i < n; ++i) {
    int k = i;
    for (; k > 0 && size_of(order[k - 1]) < size_of(i); --k) order[k] = order[k - 1];
    order[k] = i;
  }
  int n_groups = 0;
  for (int left = n; left > 0; ++n_groups) {
    Group& group = groups[n_groups];
    std::uint64_t all = 0;
    for (group.n_images = 0; group.n_images < kTogether && left > 0; ++group.n_images) {
      int best = 0, best_cost = 1 << 20;
      // The first of a group is the largest left; then the cost of blocks that it adds weighs
      // twice the blocks that it has, for large ones are hard to place later.
      for (int k = 0; k < left && group.n_images > 0; ++k) {
        const std::uint64_t ink = sorted_by(keys[order[k]]);
        const int cost = 2 * __builtin_popcountll(ink & ~all) - __builtin_popcountll(ink);
        if (cost < best_cost) best = k, best_cost = cost;
      }
      all |= sorted_by(keys[order[best]]);
      group.image[group.n_images] = first + number_of(keys[order[best]]);
      --left;
      for (int k = best; k < left; ++k) order[k] = order[k + 1];
    }
    group.n_blocks = 0;
    for (; all != 0; all &= all - 1) group.position[group.n_blocks++] = __builtin_ctzll(all);
  }
  return n_groups;
}

// A point's pixels: [blocks, kTogether], padded to whole vectors.
constexpr int kPixelRow = round_up(kAllBlocks * kTogether, kLanes);
inline int pixel_row(const Group& group) { return round_up(group.n_blocks * kTogether, kLanes); }

// Transforms a group's pixels, a block of an image in each lane, to pixels [points, pixel_row], and
// turns its blocks into positions.
inline void transform_pixels(const std::uint8_t* images, const Pass& pass, Group& group,
                             float* pixels) {
  float pixel[kSide * kSide][kPixelRow];
  const int row = pixel_row(group);
  for (int i = 0; i < kSide * kSide; ++i)
    for (int b = 0; b < row; ++b) pixel[i][b] = 0;
  for (int b = 0; b < group.n_blocks; ++b) {
    const int block = static_cast<int>(group.position[b]);
    const int corner = (block / kBlocks * kImageSize + block % kBlocks) * kSide;
    for (int image = 0; image < group.n_images; ++image)
      for (int i = 0; i < kSide * kSide; ++i)
        pixel[i][b * kTogether + image] =
            images[group.image[image] * kPixels + corner + i / kSide * kImageSize + i % kSide];
    group.position[b] = (block / kBlocks * pass.n_positions() + block % kBlocks) * kStripVectors;
  }
  const int nx = pass.points_x();
  for (int b = 0; b < row; b += kLanes) {
    vec columns[kMaxPointsX][kSide];
    with_constant<kTileDx>(pass.tile_dx, [&](auto n_dx) {
      for (int y = 0; y < kSide; ++y) {
        vec in[kSide];
        for (int x = 0; x < kSide; ++x) in[x] = load(&pixel[y * kSide + x][b]);
        taps_to_points<PixelForm<n_dx.value, kSide>>(in, &columns[0][y], kSide);
      }
    });
    with_constant<kMaxDy>(pass.grid.n_dy, [&](auto n_dy) {
      using F = PixelForm<n_dy.value, kSide>;
      for (int p = 0; p < nx; ++p) {
        vec out[F::points];
        taps_to_points<F>(columns[p], out, 1);
        for (int q = 0; q < F::points; ++q) store(pixels + (q * nx + p) * row + b, out[q]);
      }
    });
  }
}

}  // namespace mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
