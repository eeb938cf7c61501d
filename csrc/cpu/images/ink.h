// Images as the caller gives them, uint8 [28, 28]: where they have ink, and how their pixels come
// into the lanes.
#pragma once

#include "cpu/simd/transpose.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The rows y0 ... y1 and columns x0 ... x1 within which an image, or any of some images, has ink.
// Without ink, y0 > y1.
struct InkBox {
  int y0 = kImageSize, y1 = -1, x0 = kImageSize, x1 = -1;
  bool empty() const { return y0 > y1; }
  void add(const InkBox& b) {
    y0 = b.y0 < y0 ? b.y0 : y0;
    y1 = b.y1 > y1 ? b.y1 : y1;
    x0 = b.x0 < x0 ? b.x0 : x0;
    x1 = b.x1 > x1 ? b.x1 : x1;
  }
};

inline InkBox ink_box(const std::uint8_t* image) {
  InkBox box;
  std::uint8_t any[kImageSize + 4] = {};
  for (int y = 0; y < kImageSize; ++y) {
    std::uint32_t row = 0;
    for (int x = 0; x < kImageSize; x += 4) {
      std::uint32_t pixels, columns;
      __builtin_memcpy(&pixels, image + y * kImageSize + x, 4);
      __builtin_memcpy(&columns, any + x, 4);
      columns |= pixels;
      __builtin_memcpy(any + x, &columns, 4);
      row |= pixels;
    }
    if (row == 0) continue;
    if (box.y0 > y) box.y0 = y;
    box.y1 = y;
  }
  for (int x = 0; x < kImageSize; ++x) {
    if (any[x] == 0) continue;
    if (box.x0 > x) box.x0 = x;
    box.x1 = x;
  }
  return box;
}

// kLanes pixels as floats 0 ... 255.
inline vec load_pixels(const std::uint8_t* p) {
#if defined(__AVX512F__)
  return (vec)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)));
#elif defined(__AVX2__)
  return (vec)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)));
#else
  ivec pixels;
  for (int lane = 0; lane < kLanes; ++lane) pixels[lane] = p[lane];
  return __builtin_convertvector(pixels, vec);
#endif
}

// Puts pixel i of n_images images, times scale, side by side in the lanes of place(i); lanes
// without an image get zeros.
template <class Place>
inline void pixels_to_lanes(const std::uint8_t* const* images, int n_images, float scale,
                            Place&& place) {
  static_assert(kPixels % kLanes == 0, "whole vectors of pixels");
  for (int i = 0; i < kPixels; i += kLanes) {
    vec square[kLanes] = {};
    for (int lane = 0; lane < n_images; ++lane)
      square[lane] = load_pixels(images[lane] + i) * scale;
    vec pixels[kLanes];
    transpose_square<float>(square, pixels);
    for (int j = 0; j < kLanes; ++j) place(i + j) = pixels[j];
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
