// One epoch of SGD on the MLP, 784 pixels -> n_hidden -> 10: the input of cpu/perceptron/train.h,
// one strip of hidden units at a time. The algorithm:
//
//   forward   hidden[image] = bias + sum over pixels of x[image][pixel] * weight[pixel]
//   update    weight[pixel] -= sum over images of x[image][pixel] * hidden_grad[image]
//
// Four fifths of MNIST's pixels are 0 and need no work. The others differ from image to image, so
// the batch is turned around: each pair of neighbouring pixels has a list of the images in which
// either is not 0. The schedule of both:
//
//   sections of kListImages images     whose strip of hidden stays in the L1 cache
//     pixel pairs                      two rows of weights, or of their sums, in registers
//       the pair's list of images
//
// It is bound by loads and stores of hidden, one for two multiply-adds: taking pairs halves them.
// The pixels of a pair are mostly both ink or both blank (0.22 of the pairs have ink, and 0.19 of
// the pixels), and dense images lose nothing.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "cpu/perceptron/train.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace perceptron {

constexpr int kPairs = kPixels / 2;
constexpr int kUnit = 16;  // pixels that nonzero_bytes reads; a thread lists whole units
static_assert(kPixels % kUnit == 0);
// The most images in a list, so that a strip of hidden stays in the cache for any batch size.
constexpr int kListImages = 64;

// One image's entry in a pair's list: its two pixels, and its number in the section.
struct PairEntry {
  std::uint8_t x0, x1;
  std::uint16_t image;
};

// Bit i is set if byte i of kUnit is not 0.
inline std::uint32_t nonzero_bytes(const std::uint8_t* p) {
#if defined(__SSE2__)
  const __m128i zero = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i*)p), _mm_setzero_si128());
  return static_cast<std::uint32_t>(_mm_movemask_epi8(zero)) ^ 0xffff;
#else
  std::uint32_t bits = 0;
  for (int i = 0; i < kUnit; ++i) bits |= std::uint32_t{p[i] != 0} << i;
  return bits;
#endif
}

class PixelPairs {
 public:
  static constexpr int n_in = kPixels;

  PixelPairs(Workspace& workspace, int batch_size) {
    const std::int64_t n_sections = divide_up(batch_size, kListImages);
    for (int buffer = 0; buffer < kBuffers; ++buffer) {
      counts_[buffer] = workspace.take<std::int32_t>(n_sections * kPairs);
      entries_[buffer] = workspace.take<PairEntry>(n_sections * kPairs * kListImages);
    }
    for (int i = 0; i < 256; ++i) pixel_[i] = static_cast<float>(i) / 255.0f;
  }

  // A thread lists its own range of the pairs, for all images.
  void prepare(const Epoch& epoch, const Batch& batch, int buffer, int thread,
               int n_threads) const {
    const Share units = share_of(kPixels / kUnit, thread, n_threads);
    for (int b0 = 0, section = 0; b0 < batch.n_images; b0 += kListImages, ++section) {
      std::int32_t* const counts = counts_[buffer] + section * std::int64_t{kPairs};
      PairEntry* const entries = entries_[buffer] + section * std::int64_t{kPairs} * kListImages;
      for (std::int64_t pair = units.first * (kUnit / 2); pair < units.stop * (kUnit / 2); ++pair)
        counts[pair] = 0;
      const int n_images = images_in_section(batch.n_images, b0);
      for (int b = 0; b < n_images; ++b) {
        const std::uint8_t* const image = image_of(epoch, batch.first + b0 + b);
        for (std::int64_t unit = units.first; unit < units.stop; unit += 4) {
          // Bit i: pixel i of these 64 is not 0; then bit 2 i: pair i is not 0.
          std::uint64_t bits = 0;
          for (std::int64_t u = unit; u < unit + 4 && u < units.stop; ++u)
            bits |= std::uint64_t{nonzero_bytes(image + u * kUnit)} << (u - unit) * kUnit;
          bits = (bits | bits >> 1) & 0x5555555555555555;
          for (; bits != 0; bits &= bits - 1) {
            const std::int64_t pixel = unit * kUnit + __builtin_ctzll(bits), pair = pixel / 2;
            entries[pair * kListImages + counts[pair]++] = {image[pixel], image[pixel + 1],
                                                            static_cast<std::uint16_t>(b)};
          }
        }
      }
    }
  }

  void prefetch(const Epoch& epoch, const Batch& batch, int thread, int n_threads) const {
    const Share units = share_of(kPixels / kUnit, thread, n_threads);
    prefetch_images(epoch, batch.first, batch.first + batch.n_images, units.first * kUnit,
                    units.stop * kUnit);
  }

  void forward(int buffer, int n_images, const vec* weight, const vec* bias, vec* hidden) const {
    for (int b = 0; b < n_images; ++b)
      for (int v = 0; v < kStripVectors; ++v) hidden[b * kStripVectors + v] = bias[v];
    for_lists(buffer, n_images, [&](int b0, int pair, const PairEntry* list, int n) {
      vec w[2 * kStripVectors];
      for (int v = 0; v < 2 * kStripVectors; ++v) w[v] = weight[pair * 2 * kStripVectors + v];
      for (const PairEntry* e = list; e < list + n; ++e) {
        vec* const h = hidden + (b0 + e->image) * kStripVectors;
        const vec x0 = broadcast(pixel_[e->x0]), x1 = broadcast(pixel_[e->x1]);
#pragma GCC unroll 8
        for (int v = 0; v < kStripVectors; ++v) {
          vec sum = h[v] + x0 * w[v];
          sum += x1 * w[kStripVectors + v];
          h[v] = sum;
        }
      }
    });
  }

  void update(int buffer, int n_images, const vec* hidden_grad, vec* weight) const {
    for_lists(buffer, n_images, [&](int b0, int pair, const PairEntry* list, int n) {
      vec sum[2 * kStripVectors] = {};
      for (const PairEntry* e = list; e < list + n; ++e) {
        const vec* const g = hidden_grad + (b0 + e->image) * kStripVectors;
        const vec x0 = broadcast(pixel_[e->x0]), x1 = broadcast(pixel_[e->x1]);
#pragma GCC unroll 8
        for (int v = 0; v < kStripVectors; ++v) {
          const vec g_v = load_once<float>(g + v);
          sum[v] += x0 * g_v;
          sum[kStripVectors + v] += x1 * g_v;
        }
      }
      vec* const w = weight + pair * 2 * kStripVectors;
      for (int v = 0; v < 2 * kStripVectors; ++v) w[v] -= sum[v];
    });
  }

 private:
  static int images_in_section(int n_images, int b0) {
    return n_images - b0 < kListImages ? n_images - b0 : kListImages;
  }

  // Calls f(first image of the section, pair, list, its length) for every list that is not empty.
  template <class F>
  void for_lists(int buffer, int n_images, F&& f) const {
    for (int b0 = 0, section = 0; b0 < n_images; b0 += kListImages, ++section)
      for (int pair = 0; pair < kPairs; ++pair) {
        const std::int64_t list = section * std::int64_t{kPairs} + pair;
        const int n = counts_[buffer][list];
        if (n > 0) f(b0, pair, entries_[buffer] + list * kListImages, n);
      }
  }

  std::int32_t* counts_[kBuffers];  // [n_sections, kPairs]
  PairEntry* entries_[kBuffers];    // [n_sections, kPairs, kListImages]
  float pixel_[256];                // pixel / 255
};

}  // namespace perceptron

constexpr auto train_epoch_mlp = fused_kernel<perceptron::train<perceptron::PixelPairs>>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
