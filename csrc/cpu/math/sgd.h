// What the three training kernels share: the steps of an epoch.
#pragma once

#include "cpu/math/softmax.h"
#include "cpu/simd/vec.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The images of one step: entries first ... first + n_images - 1 of the epoch's permutation.
struct Batch {
  std::int64_t first;
  int n_images;
};

inline std::int64_t n_steps(const Epoch& epoch) {
  return (epoch.n_images + epoch.batch_size - 1) / epoch.batch_size;
}

inline Batch batch_of(const Epoch& epoch, std::int64_t step) {
  const std::int64_t first = step * epoch.batch_size, left = epoch.n_images - first;
  return {first, static_cast<int>(left < epoch.batch_size ? left : epoch.batch_size)};
}

inline const std::uint8_t* image_of(const Epoch& epoch, std::int64_t i) {
  return epoch.images + epoch.permutation[i] * kPixels;
}

// Fetches bytes first_byte ... stop_byte - 1 of images first ... stop - 1 of the permutation into
// the second-level cache, a step before they are used: the permutation scatters the images over the
// whole data set, and no hardware prefetcher finds them.
inline void prefetch_images(const Epoch& epoch, std::int64_t first, std::int64_t stop,
                            std::int64_t first_byte, std::int64_t stop_byte) {
  for (std::int64_t i = first; i < stop; ++i) {
    const std::uint8_t* const image = image_of(epoch, i);
    for (std::int64_t byte = first_byte; byte < stop_byte; byte += 64)
      __builtin_prefetch(image + byte, 0, 2);
    __builtin_prefetch(image + stop_byte - 1, 0, 2);
    asm volatile("");  // otherwise the compiler drops the loop as without effect
  }
}

// The labels and the gradient scale of one lane group of a batch. The scale of images is
// learning_rate / batch, so every gradient computed from it is already the update. Lanes without an
// image have scale 0, so all their gradients are 0.
struct LaneGroup {
  ivec label = {};
  vec scale = {};
  int n_images;

  LaneGroup(const Epoch& epoch, const Batch& batch, int group) {
    const int first = group * kLanes, left = batch.n_images - first;
    n_images = left < kLanes ? left : kLanes;
    for (int lane = 0; lane < n_images; ++lane) {
      label[lane] =
          static_cast<std::int32_t>(epoch.labels[epoch.permutation[batch.first + first + lane]]);
      scale[lane] = epoch.learning_rate / static_cast<float>(batch.n_images);
    }
  }
};

// The parameters are updated in place; Layer's pointers are to const because prediction, which uses
// Layer too, only reads.
inline float* updated(const float* parameter) { return const_cast<float*>(parameter); }

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
