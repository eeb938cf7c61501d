// Images as cells of pixels: which cells have ink, which images share them, and the pixels at the
// points of a subgrid's forms. See cpu/perceptron/predict_mlp.h.
#pragma once

#include "cpu/perceptron/mlp_subgrid.h"
#include "cpu/simd/constant.h"
#include "host/image_order.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

// Which cells of an image have ink: bit j * kCells + i for row j, column i of cells.
constexpr int kAllCells = kCells * kCells;
static_assert(kAllCells + kChunkBits <= 64, "a sort key holds them (host/image_order.h)");
inline std::uint64_t inked_cells(const std::uint8_t* image) {
  std::uint64_t cells = 0;
  for (int j = 0; j < kCells; ++j)
    for (int i = 0; i < kCells; ++i) {
      std::uint32_t any = 0, row;
      static_assert(sizeof row == kSide);
      for (int y = 0; y < kSide; ++y) {
        __builtin_memcpy(&row, image + (j * kSide + y) * kImageSize + i * kSide, kSide);
        any |= row;
      }
      cells |= std::uint64_t{any != 0} << (j * kCells + i);
    }
  return cells;
}

// A few images, and the cells that have ink in any of them.
struct SharingGroup {
  int n_images, n_cells;
  std::int64_t image[kSharing];
  std::int64_t position[kAllCells];  // of a cell's weights among its point's, in vectors
};

// Puts the images of a piece into sharing groups, so that images with ink in about the same cells
// are together: the image with the most cells takes those that add the fewest to it. The piece's
// keys hold the inked cells; order [piece.n] is scratch. Returns how many groups there are.
inline int make_groups(const Piece& piece, int* order, SharingGroup* groups) {
  const std::uint64_t* const keys = piece.keys;
  const int n = piece.n;
  const auto size_of = [&](int i) { return __builtin_popcountll(sorted_by(keys[i])); };
  for (int i = 0; i < n; ++i) {
    int k = i;
    for (; k > 0 && size_of(order[k - 1]) < size_of(i); --k) order[k] = order[k - 1];
    order[k] = i;
  }
  int n_groups = 0;
  for (int left = n; left > 0; ++n_groups) {
    SharingGroup& group = groups[n_groups];
    std::uint64_t all = 0;
    for (group.n_images = 0; group.n_images < kSharing && left > 0; ++group.n_images) {
      int best = 0, best_cost = 1 << 20;
      // The first image of a group is the largest one left. For the others, the cells that an image
      // adds count twice as much as the cells that it has, because large images are hard to place
      // later.
      for (int k = 0; k < left && group.n_images > 0; ++k) {
        const std::uint64_t cells = sorted_by(keys[order[k]]);
        const int cost = 2 * __builtin_popcountll(cells & ~all) - __builtin_popcountll(cells);
        if (cost < best_cost) best = k, best_cost = cost;
      }
      all |= sorted_by(keys[order[best]]);
      group.image[group.n_images] = piece.first + number_of(keys[order[best]]);
      --left;
      for (int k = best; k < left; ++k) order[k] = order[k + 1];
    }
    group.n_cells = 0;
    for (; all != 0; all &= all - 1) group.position[group.n_cells++] = __builtin_ctzll(all);
  }
  return n_groups;
}

// A point's pixels: [cells, kSharing], padded to whole vectors.
constexpr int kMaxPixelRow = round_up(kAllCells * kSharing, kLanes);
inline int pixel_row(const SharingGroup& group) {
  return round_up(group.n_cells * kSharing, kLanes);
}

// Transforms a group's pixels, a cell of an image in each lane, to points: pixels [points,
// pixel_row]. Turns the group's cell numbers into positions.
inline void pixel_points(const std::uint8_t* images, const Subgrid& s, SharingGroup& group,
                         float* pixels) {
  float pixel[kSide][kSide][kMaxPixelRow];
  const int row = pixel_row(group), nx = s.points_x();
  for (int i = 0; i < kSide * kSide; ++i)
    for (int b = 0; b < row; ++b) pixel[i / kSide][i % kSide][b] = 0;
  for (int cell = 0; cell < group.n_cells; ++cell) {
    const int number = static_cast<int>(group.position[cell]);
    const int j = number / kCells, i = number % kCells;
    const int corner = (j * kImageSize + i) * kSide;
    for (int image = 0; image < group.n_images; ++image)
      for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x)
          pixel[y][x][cell * kSharing + image] =
              images[group.image[image] * kPixels + corner + y * kImageSize + x];
    group.position[cell] = (j * s.n_positions() + i) * kStripVectors;
  }
  for (int b = 0; b < row; b += kLanes) {
    vec columns[kMaxPointsX][kSide];
    with_constant<kTileDx>(s.tile_dx, [&](auto n_dx) {
      for (int y = 0; y < kSide; ++y) {
        vec in[kSide];
        for (int x = 0; x < kSide; ++x) in[x] = load(&pixel[y][x][b]);
        taps_to_points<PixelForm<n_dx.value, kSide>>(in, &columns[0][y], kSide);
      }
    });
    with_constant<kMaxDy>(s.grid.n_dy, [&](auto n_dy) {
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
