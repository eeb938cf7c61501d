// How c3_conv divides its work: every kernel of c3_conv.cu cuts maps into the same patches.
//
// A lane computes two rows of a patch in registers, so that an input row is loaded once for both;
// a warp computes one map of several patches (of one image or of several), so that all its lanes
// share the weights and the table's gaps cost nothing; the warps of a block compute different maps
// from the same input, staged in shared memory.
#pragma once

#include "cuda/device.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kRowsPerLane = 2;

// A patch of 2 patch_lanes x columns results, and n_patches of them in a warp. The window of a
// patch is what it reads of an input map; `stride` is the distance between two windows in shared
// memory.
template <int patch_lanes, int columns, int n_patches, int stride>
struct PatchShape {
  static constexpr int kPatchLanes = patch_lanes;
  static constexpr int kRows = kRowsPerLane * patch_lanes;
  static constexpr int kColumns = columns;
  static constexpr int kPatches = n_patches;
  static constexpr int kLanes = patch_lanes * n_patches;
  static constexpr int kResults = kRowsPerLane * columns;  // a lane's
  static constexpr int kResultPitch = kResults | 1;
  static constexpr int kWindowRows = kRows + kTaps - 1;
  static constexpr int kWindowColumns = columns + kTaps - 1;
  static constexpr int kWindowPitch = kWindowColumns | 1;
  static constexpr int kWindowStride = stride;

  // Whether the lanes of a warp read 32-bit values of their windows from different banks.
  static constexpr bool conflict_free() {
    std::uint32_t banks = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      const int at = lane / patch_lanes * stride + lane % patch_lanes * kRowsPerLane * kWindowPitch;
      if (banks >> at % 32 & 1) return false;
      banks |= 1u << at % 32;
    }
    return true;
  }
  static_assert(kLanes <= kWarp, "a warp has no lanes for so many patches");
  static_assert(stride >= kWindowRows * kWindowPitch, "windows overlap");
  static_assert(conflict_free(), "another stride is needed");
};

// LeNet-5's 10 x 10 maps are one patch each, six in a warp: 30 of 32 lanes work. Its 14 x 14 maps
// are two patches of 14 x 7, four in a warp: 28 of 32.
using PatchOf10 = PatchShape<5, 10, 6, 213>;
using PatchOf14 = PatchShape<7, 7, 4, 211>;

// Maps of height x width, cut into patches.
struct Patches {
  std::int64_t n;  // of all images
  std::int64_t across, per_image;
};

template <class Shape>
Patches patches_of(std::int64_t n_images, std::int64_t height, std::int64_t width) {
  const std::int64_t down = divide_up(height, Shape::kRows);
  const std::int64_t across = divide_up(width, Shape::kColumns);
  return {n_images * down * across, across, down * across};
}

struct Patch {
  std::int64_t image;  // -1: none, beyond the last
  std::int64_t y, x;   // its first row and column
};

template <class Shape>
__device__ Patch patch_at(const Patches& patches, std::int64_t i) {
  if (i >= patches.n) return {-1, 0, 0};
  const std::int64_t within = i % patches.per_image;
  return {i / patches.per_image, within / patches.across * Shape::kRows,
          within % patches.across * Shape::kColumns};
}

// The whole block copies the windows of maps first_map ... first_map + n_maps - 1 into shared
// memory, [map][patch][row][column] with the shape's pitches; values outside the map are 0. A
// window begins `margin` rows above and `margin` columns to the left of its patch. source [images,
// n_source, h, w].
template <class Shape, class T>
__device__ void stage_windows(const Patch* patch, const T* __restrict__ source, int n_source,
                              std::int64_t height, std::int64_t width, int margin, int first_map,
                              int n_maps, T* windows) {
  constexpr int n_window = Shape::kWindowRows * Shape::kWindowColumns;
  for (int i = threadIdx.x; i < n_maps * Shape::kPatches * n_window; i += kThreads) {
    const int window = i / n_window, within = i % n_window;
    const int row = within / Shape::kWindowColumns, column = within % Shape::kWindowColumns;
    const Patch p = patch[window % Shape::kPatches];
    const int map = first_map + window / Shape::kPatches;
    const std::int64_t y = p.y + row - margin, x = p.x + column - margin;
    const bool inside = p.image >= 0 && y >= 0 && y < height && x >= 0 && x < width;
    windows[window * Shape::kWindowStride + row * Shape::kWindowPitch + column] =
        inside ? __ldg(source + ((p.image * n_source + map) * height + y) * width + x) : T(0);
  }
}

// Result i of a warp, i < kLanes * kResults in memory order: which patch it belongs to, and its
// place in the patch.
struct Place {
  int at;  // in the warp's shared memory, [lane][kResultPitch]
  int patch;
  int y, x;  // within the patch
};

template <class Shape>
__device__ Place place_of(int i) {
  const int lane = i / Shape::kResults, result = i % Shape::kResults;
  return {lane * Shape::kResultPitch + result, lane / Shape::kPatchLanes,
          lane % Shape::kPatchLanes * kRowsPerLane + result / Shape::kColumns,
          result % Shape::kColumns};
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
