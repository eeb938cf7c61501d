// One epoch of SGD on the MLP: 784 pixels -> n_hidden -> 10. Four fifths of MNIST's pixels are 0
// and need no work, forward or backward. Which are not differs from image to image, so the batch is
// turned around: for each pair of neighbouring pixels, the list of the images in which either is
// not 0. The pair's two rows of weights, or their gradients, stay in registers along the list:
//
//   forward   hidden[image] += x0 * weight[pair][0] + x1 * weight[pair][1]   (hidden in L1 cache)
//   update    weight[pair][i] -= sum over images of xi * hidden_grad[image]
//
// A pair halves the loads and stores of hidden, which would otherwise bound the speed; its pixels
// are mostly both ink or both blank (0.22 of the pairs against 0.19 of the pixels), and dense
// images lose nothing.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "cpu/perceptron/train.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kPairs = kPixels / 2;
// Lists are cut after so many images, so that hidden's block stays in the cache whatever the batch.
constexpr int kListImages = 64;

// One image's part in a pair: its two pixels, and its number in the chunk.
struct PairEntry {
  std::uint8_t x0, x1;
  std::uint16_t image;
};

// Bit i is set where byte i of 16 is not 0.
inline std::uint32_t nonzero_bytes(const std::uint8_t* p) {
#if defined(__SSE2__)
  const __m128i zero = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i*)p), _mm_setzero_si128());
  return static_cast<std::uint32_t>(_mm_movemask_epi8(zero)) ^ 0xffff;
#else
  std::uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= std::uint32_t{p[i] != 0} << i;
  return bits;
#endif
}

class PixelPairs {
 public:
  static constexpr int n_in = kPixels;

  PixelPairs(Arena& arena, int batch_size) : n_chunks_(divide_up(batch_size, kListImages)) {
    for (int slot = 0; slot < 3; ++slot) {
      counts_[slot] = arena.take<std::int32_t>(n_chunks_ * kPairs);
      entries_[slot] = arena.take<PairEntry>(n_chunks_ * kPairs * kListImages);
    }
    for (int i = 0; i < 256; ++i) pixel_[i] = static_cast<float>(i) / 255.0f;
  }

  // A thread lists its own range of the pairs, from all images: units of 16 pixels.
  void prepare(const Epoch& epoch, const Batch& batch, int slot, int thread, int n_threads) {
    const Share units = share_of(kPixels / 16, thread, n_threads);
    for (int b0 = 0, chunk = 0; b0 < batch.n_images; b0 += kListImages, ++chunk) {
      std::int32_t* const counts = counts_[slot] + chunk * std::int64_t{kPairs};
      PairEntry* const entries = entries_[slot] + chunk * std::int64_t{kPairs} * kListImages;
      for (std::int64_t pair = units.first * 8; pair < units.stop * 8; ++pair) counts[pair] = 0;
      const int n_images = images_in_chunk(batch.n_images, b0);
      for (int b = 0; b < n_images; ++b) {
        const std::uint8_t* const image = image_of(epoch, batch.first + b0 + b);
        for (std::int64_t unit = units.first; unit < units.stop; unit += 4) {
          // Bit i: pixel i of these 64 is not 0; then bit 2 i: pair i is not 0.
          std::uint64_t bits = 0;
          for (std::int64_t u = unit; u < unit + 4 && u < units.stop; ++u)
            bits |= std::uint64_t{nonzero_bytes(image + u * 16)} << (u - unit) * 16;
          bits = (bits | bits >> 1) & 0x5555555555555555;
          for (; bits != 0; bits &= bits - 1) {
            const std::int64_t pixel = unit * 16 + __builtin_ctzll(bits), pair = pixel / 2;
            entries[pair * kListImages + counts[pair]++] = {image[pixel], image[pixel + 1],
                                                            static_cast<std::uint16_t>(b)};
          }
        }
      }
    }
  }

  void prefetch(const Epoch& epoch, const Batch& batch, int thread, int n_threads) const {
    const Share units = share_of(kPixels / 16, thread, n_threads);
    prefetch_images(epoch, batch.first, batch.first + batch.n_images, units.first * 16,
                    units.stop * 16);
  }

  void forward(int slot, int n_images, const vec* weight, const vec* bias, vec* hidden) const {
    for (int b = 0; b < n_images; ++b)
      for (int v = 0; v < kBlockVecs; ++v) hidden[b * kBlockVecs + v] = bias[v];
    for_lists(slot, n_images, [&](int b0, int pair, const PairEntry* list, int n) {
      vec w[2 * kBlockVecs];
      for (int v = 0; v < 2 * kBlockVecs; ++v) w[v] = weight[pair * 2 * kBlockVecs + v];
      for (const PairEntry* e = list; e < list + n; ++e) {
        vec* const h = hidden + (b0 + e->image) * kBlockVecs;
        const vec x0 = broadcast(pixel_[e->x0]), x1 = broadcast(pixel_[e->x1]);
#pragma GCC unroll 8
        for (int v = 0; v < kBlockVecs; ++v) {
          vec sum = h[v] + x0 * w[v];
          sum += x1 * w[kBlockVecs + v];
          h[v] = sum;
        }
      }
    });
  }

  void update(int slot, int n_images, const vec* hidden_grad, vec* weight) const {
    for_lists(slot, n_images, [&](int b0, int pair, const PairEntry* list, int n) {
      vec sum[2 * kBlockVecs] = {};
      for (const PairEntry* e = list; e < list + n; ++e) {
        const vec* const g = hidden_grad + (b0 + e->image) * kBlockVecs;
        const vec x0 = broadcast(pixel_[e->x0]), x1 = broadcast(pixel_[e->x1]);
#pragma GCC unroll 8
        for (int v = 0; v < kBlockVecs; ++v) {
          const vec g_v = load_once<float>(g + v);
          sum[v] += x0 * g_v;
          sum[kBlockVecs + v] += x1 * g_v;
        }
      }
      vec* const w = weight + pair * 2 * kBlockVecs;
      for (int v = 0; v < 2 * kBlockVecs; ++v) w[v] -= sum[v];
    });
  }

 private:
  static int images_in_chunk(int n_images, int b0) {
    return n_images - b0 < kListImages ? n_images - b0 : kListImages;
  }

  // Calls f(first image of the chunk, pair, list, its length) for every list that is not empty.
  template <class F>
  void for_lists(int slot, int n_images, F&& f) const {
    for (int b0 = 0, chunk = 0; b0 < n_images; b0 += kListImages, ++chunk)
      for (int pair = 0; pair < kPairs; ++pair) {
        const std::int64_t list = chunk * std::int64_t{kPairs} + pair;
        const int n = counts_[slot][list];
        if (n > 0) f(b0, pair, entries_[slot] + list * kListImages, n);
      }
  }

  std::int64_t n_chunks_;
  std::int32_t* counts_[3];  // [n_chunks, kPairs]
  PairEntry* entries_[3];    // [n_chunks, kPairs, kListImages]
  float pixel_[256];         // pixel / 255
};

inline std::int64_t train_epoch_mlp_workspace(int n_hidden, int batch_size, int n_threads) {
  return perceptron_workspace<PixelPairs>(n_hidden, batch_size, n_threads);
}

inline bool train_epoch_mlp(Activation activation, const MlpParameters& parameters,
                            const Epoch& epoch, void* workspace, Execution execution) {
  return train_perceptron<PixelPairs>(activation, parameters, epoch, workspace, execution);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
