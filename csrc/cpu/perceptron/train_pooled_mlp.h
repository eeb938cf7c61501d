// One epoch of SGD on the pooled MLP, 4 x 4 average pooling of the image -> 49 -> n_hidden -> 10:
// the input of cpu/perceptron/train.h, one strip of hidden units at a time. The algorithm:
//
//   forward   hidden[image] = bias + sum over k of pooled[image][k] * weight[k]
//   update    weight[k] -= sum over images of pooled[image][k] * hidden_grad[image]
//
// The schedule of both: blocks of kRows images (or pooled pixels) by kVecs vectors of hidden units
// in registers, through the whole sum. Pooled pixels are dense: it is bound by multiply-adds.
#pragma once

#include "cpu/perceptron/train.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace perceptron {

constexpr int kPooled = kImageSize / 4, kPooledPixels = kPooled * kPooled;

// pooled[i] = mean of the i-th 4 x 4 cell of pixel / 255. A cell's row of four bytes is one 32-bit
// word. A row of the image has seven words, taken as four and four, with the middle one twice. Even
// and odd bytes are summed separately, in 16-bit halves.
inline void pool_image(const std::uint8_t* image, float* pooled) {
  typedef std::uint32_t words __attribute__((vector_size(16)));
  typedef std::int32_t signed_words __attribute__((vector_size(16)));
  typedef float floats __attribute__((vector_size(16)));
  for (int y = 0; y < kPooled; ++y, image += 4 * kImageSize, pooled += kPooled)
    for (int x = 0; x <= 3; x += 3) {
      words sum = {};
      for (int row = 0; row < 4; ++row) {
        words cells;
        __builtin_memcpy(&cells, image + row * kImageSize + x * 4, sizeof cells);
        sum += (cells & 0x00ff00ff) + (cells >> 8 & 0x00ff00ff);
      }
      sum = (sum & 0xffff) + (sum >> 16);
      const floats mean = __builtin_convertvector((signed_words)sum, floats) * (1.0f / (16 * 255));
      __builtin_memcpy(pooled + x, &mean, sizeof mean);
    }
}

class PooledPixels {
 public:
  static constexpr int n_in = kPooledPixels;

  PooledPixels(Workspace& workspace, int batch_size) {
    for (float*& x : x_) x = workspace.take<float>(std::int64_t{batch_size} * n_in);
  }

  void prepare(const Epoch& epoch, const Batch& batch, int buffer, int thread,
               int n_threads) const {
    const Share images = share_of(batch.n_images, thread, n_threads);
    for (std::int64_t b = images.first; b < images.stop; ++b)
      pool_image(image_of(epoch, batch.first + b), x_[buffer] + b * n_in);
  }

  void prefetch(const Epoch& epoch, const Batch& batch, int thread, int n_threads) const {
    const Share images = share_of(batch.n_images, thread, n_threads);
    prefetch_images(epoch, batch.first + images.first, batch.first + images.stop, 0, kPixels);
  }

  void forward(int buffer, int n_images, const vec* weight, const vec* bias, vec* hidden) const {
    for_blocks<kRows>(n_images, [&](int b, auto size) {
      constexpr int n = decltype(size)::value;
      const float* const x = x_[buffer] + b * std::int64_t{n_in};
      for (int v0 = 0; v0 < kStripVectors; v0 += kVecs) {
        vec sum[n][kVecs];
        for (int i = 0; i < n; ++i)
          for (int v = 0; v < kVecs; ++v) sum[i][v] = bias[v0 + v];
        for (int k = 0; k < n_in; ++k)
#pragma GCC unroll 6
          for (int i = 0; i < n; ++i) {
            const vec x_i = broadcast(x[i * n_in + k]);
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) sum[i][v] += x_i * weight[k * kStripVectors + v0 + v];
          }
        for (int i = 0; i < n; ++i)
          for (int v = 0; v < kVecs; ++v) hidden[(b + i) * kStripVectors + v0 + v] = sum[i][v];
      }
    });
  }

  void update(int buffer, int n_images, const vec* hidden_grad, vec* weight) const {
    for_blocks<kRows>(n_in, [&](int k, auto size) {
      constexpr int n = decltype(size)::value;
      for (int v0 = 0; v0 < kStripVectors; v0 += kVecs) {
        vec* const w = weight + k * kStripVectors + v0;
        vec sum[n][kVecs] = {};
        const float* x = x_[buffer] + k;
        for (int b = 0; b < n_images; ++b, x += n_in)
#pragma GCC unroll 6
          for (int i = 0; i < n; ++i) {
            const vec x_i = broadcast(x[i]);
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v)
              sum[i][v] += x_i * hidden_grad[b * kStripVectors + v0 + v];
          }
        for (int i = 0; i < n; ++i)
          for (int v = 0; v < kVecs; ++v) w[i * kStripVectors + v] -= sum[i][v];
      }
    });
  }

 private:
  // The register block: images (or inputs) times vectors of hidden units.
  static constexpr int kRows = kRegisters >= 32 ? 6 : 3, kVecs = 4;
  float* x_[kBuffers];  // [batch_size, 49]
};

}  // namespace perceptron

constexpr auto train_epoch_pooled_mlp = fused_kernel<perceptron::train<perceptron::PooledPixels>>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
