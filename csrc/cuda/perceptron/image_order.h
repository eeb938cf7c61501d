// The images of a chunk in the order of the boxes of their ink, so that those of a group have ink
// in about the same places; images staged in shared memory, in that order or in their own.
#pragma once

#include "cuda/math/fused_device.h"

namespace lenetshift {
namespace cuda {
namespace {

struct ImageOrder {
  int* box;    // [n_images]: of each image's ink, as a number
  int* image;  // [n_images]: images in the order of their boxes; null if they stay as they come

  ImageOrder(Workspace& workspace, std::int64_t n_images, bool sorted = true)
      : box(sorted ? workspace.take<int>(n_images) : nullptr),
        image(sorted ? workspace.take<int>(n_images) : nullptr) {}

  __device__ std::int64_t at(std::int64_t place) const {
    return image == nullptr ? place : image[place];
  }
};

// Block x: the boxes of the ink of images 8 x ... 8 x + 7 of a chunk, in cells of side x side
// pixels. A warp takes an image, lanes take its rows.
__global__ void __launch_bounds__(kThreads)
    ink_boxes(ImageOrder order, const std::uint8_t* images, int n_images, int side) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int image = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarp);
  unsigned columns = 0;
  if (image < n_images && lane < kImageSize)
    for (int x = 0; x < kImageSize; ++x)
      columns |= (images[std::int64_t{image} * kPixels + lane * kImageSize + x] != 0 ? 1u : 0u)
                 << x;
  const unsigned rows = __ballot_sync(kAllLanes, columns != 0);
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2)
    columns |= __shfl_xor_sync(kAllLanes, columns, step);
  if (image >= n_images || lane != 0) return;
  // The first and the last cell of some lines; both 0 if there are none.
  const auto span = [side](unsigned lines) {
    const int first = __ffs(static_cast<int>(lines)) - 1;
    const int last = kWarp - 1 - __clz(static_cast<int>(lines));
    return first / side * kImageSize + last / side;
  };
  order.box[image] = span(columns) * kPixels + span(rows);
}

// The images of a chunk in the order of their boxes, those with equal ones as they come. A warp
// counts for each of its images how many go before it.
constexpr int kPlacedAtOnce = 4;
__global__ void __launch_bounds__(kThreads) place_images(ImageOrder order, int n_images) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarp);
  const int first = warp * kPlacedAtOnce;
  int box[kPlacedAtOnce], before[kPlacedAtOnce] = {};
#pragma unroll
  for (int i = 0; i < kPlacedAtOnce; ++i) box[i] = first + i < n_images ? order.box[first + i] : 0;
  for (int other = lane; other < n_images; other += kWarp) {
    // One comparison does for equal boxes too, except those of two of the warp's images.
    const int its = 2 * order.box[other] + (other < first ? 0 : 1);
#pragma unroll
    for (int i = 0; i < kPlacedAtOnce; ++i) before[i] += its < 2 * box[i] + 1 ? 1 : 0;
  }
#pragma unroll
  for (int i = 0; i < kPlacedAtOnce; ++i) {
    int place = warp_sum(before[i]);
#pragma unroll
    for (int j = 0; j < i; ++j) place += box[j] == box[i] ? 1 : 0;
    if (lane == 0 && first + i < n_images) order.image[place] = first + i;
  }
}

// Orders the images of a chunk by their boxes in cells of side x side pixels.
inline void order_images(const char* op, const ImageOrder& order, const std::uint8_t* images,
                         int n_images, int side, cudaStream_t stream) {
  launch(op, ink_boxes, blocks_for(n_images, kWarps), 0, stream, order, images, n_images, side);
  launch(op, place_images, blocks_for(n_images, kWarps * kPlacedAtOnce), 0, stream, order,
         n_images);
}

// Images in shared memory, one in each lane of a warp. The pitch is an odd number of words, so
// lanes that read the same pixel of their images use different banks.
constexpr int kStagedImages = kWarp;
constexpr int kStagedPitch = kPixels + 4;
static_assert(kStagedPitch % 8 == 4);

// Images first ... first + 31, in `order` unless it is null; blank ones from n_images on.
__device__ inline void stage_images(const std::uint8_t* images, std::int64_t first,
                                    std::int64_t n_images, std::uint8_t* staged,
                                    const int* order = nullptr) {
  for (int i = static_cast<int>(threadIdx.x); i < kStagedImages * kPixels; i += kThreads) {
    const std::int64_t place = first + i / kPixels;
    std::uint8_t pixel = 0;
    if (place < n_images)
      pixel = images[(order == nullptr ? place : order[place]) * kPixels + i % kPixels];
    staged[i / kPixels * kStagedPitch + i % kPixels] = pixel;
  }
  __syncthreads();
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
