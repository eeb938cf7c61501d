// What the training kernels share. A step's gradients contain the factor learning_rate / batch from
// the start, so each is already the update. The order of every sum depends only on sizes: the same
// data gives the same bits.
#pragma once

#include "cuda/math/fused_device.h"

namespace lenetshift {
namespace cuda {
namespace {

// The images of one step: entries first ... first + n - 1 of the epoch's permutation.
struct Batch {
  const std::uint8_t* images;
  const std::int64_t* labels;
  const std::int64_t* permutation;  // of the step
  int n;
  float scale;  // learning_rate / n
  float* loss;  // where the step's mean loss goes

  Batch(const Epoch& epoch, std::int64_t step)
      : images(epoch.images),
        labels(epoch.labels),
        permutation(epoch.permutation + step * epoch.batch_size),
        n(static_cast<int>(smaller(epoch.n_images - step * epoch.batch_size, epoch.batch_size))),
        scale(epoch.learning_rate / static_cast<float>(n)),
        loss(epoch.losses + step) {}

  __device__ const std::uint8_t* image(int i) const { return images + permutation[i] * kPixels; }
  __device__ int label(int i) const { return static_cast<int>(labels[permutation[i]]); }
};

inline std::int64_t n_steps(const Epoch& epoch) {
  return divide_up(epoch.n_images, epoch.batch_size);
}

// The parameters are updated in place; Layer's pointers are to const because prediction, which uses
// Layer too, only reads.
__host__ __device__ inline float* updated(const float* parameter) {
  return const_cast<float*>(parameter);
}

// Between images' gradients of the logits: a multiple of four, as update_dense needs it.
constexpr int kClassPitch = 12;

// One image's cross-entropy, by threads 0 ... kClassPitch - 1, each of which writes its class's
// grad[o] = (softmax(logits)[o] - (o == label)) * scale, or a zero beyond the classes.
__device__ inline float cross_entropy(const float* logits, int label, float scale, float* grad) {
  const int own = threadIdx.x;
  float largest = logits[0];
#pragma unroll
  for (int o = 1; o < kClasses; ++o) largest = logits[o] > largest ? logits[o] : largest;
  float sum = 0;
#pragma unroll
  for (int o = 0; o < kClasses; ++o) sum += expf(logits[o] - largest);
  grad[own] = own < kClasses
                  ? (expf(logits[own] - largest) / sum - (own == label ? 1.0f : 0.0f)) * scale
                  : 0.0f;
  return logf(sum) - (logits[label] - largest);
}

// A block updates a tile of parameters, 4 rows x 64 columns: a lane has two columns of all rows,
// and the warps share the images, of which 8 x 8 are on their way at a time.
constexpr int kTileRows = 4, kTileColumns = 2 * kWarp, kTileImages = 8;
static_assert(kTileRows * kTileColumns == kThreads);

__device__ inline int tile_column(int j) { return threadIdx.x % kWarp + j * kWarp; }

// The sum over all warps of row threadIdx.x / 64, column threadIdx.x % 64.
template <int rows>
__device__ float tile_total(const float (&sum)[rows][2]) {
  __shared__ float parts[kWarps][rows * kTileColumns];
#pragma unroll
  for (int k = 0; k < rows; ++k)
#pragma unroll
    for (int j = 0; j < 2; ++j)
      parts[threadIdx.x / kWarp][k * kTileColumns + tile_column(j)] = sum[k][j];
  __syncthreads();
  float total = 0;
  if (static_cast<int>(threadIdx.x) < rows * kTileColumns)
    for (int w = 0; w < kWarps; ++w) total += parts[w][threadIdx.x];
  return total;
}

// The tiles of a layer with a further column, the biases.
__host__ __device__ constexpr int n_dense_tiles(int n_outputs, int n_inputs) {
  return divide_up(n_outputs, kTileRows) * divide_up(n_inputs + 1, kTileColumns);
}

// parameter -= sum over the batch of grad x, for a tile of a layer: grad [n][n_outputs, rounded up
// to a multiple of 4], x [n][n_inputs].
__device__ inline void update_dense(const Layer& layer, int tile, const float* grad, int n_outputs,
                                    const float* x, int n_inputs, int n) {
  const int n_across = divide_up(n_inputs + 1, kTileColumns);
  const int first_row = tile / n_across * kTileRows, first_column = tile % n_across * kTileColumns;
  // This thread's parameter: it is on its way while the sum is computed.
  const int o = first_row + static_cast<int>(threadIdx.x) / kTileColumns;
  const int i = first_column + static_cast<int>(threadIdx.x) % kTileColumns;
  const bool is_parameter = o < n_outputs && i <= n_inputs;
  float* const parameter = !is_parameter ? nullptr
                           : i < n_inputs
                               ? updated(layer.weight) + static_cast<std::int64_t>(o) * n_inputs + i
                               : updated(layer.bias) + o;
  const float before = is_parameter ? *parameter : 0.0f;

  float sum[kTileRows][2] = {};
  for (int first = threadIdx.x / kWarp; first < n; first += kTileImages * kWarps) {
    float value[kTileImages][2], g[kTileImages][kTileRows] = {};
#pragma unroll
    for (int m = 0; m < kTileImages; ++m) {
      const int image = first + m * kWarps;
      const float* const image_x = x + static_cast<std::int64_t>(image) * n_inputs;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int column = first_column + tile_column(j);
        value[m][j] = image < n && column < n_inputs ? image_x[column] : 1.0f;
      }
      if (image < n)
        load4_to(
            grad + static_cast<std::int64_t>(image) * round_up(n_outputs, kTileRows) + first_row,
            g[m]);
    }
#pragma unroll
    for (int m = 0; m < kTileImages; ++m)
#pragma unroll
      for (int k = 0; k < kTileRows; ++k)
#pragma unroll
        for (int j = 0; j < 2; ++j) sum[k][j] = fmaf(g[m][k], value[m][j], sum[k][j]);
  }
  const float total = tile_total(sum);
  if (is_parameter) *parameter = before - total;
}

// The mean of losses [n], by one whole block.
__device__ inline void mean_loss(const float* losses, int n, float* mean) {
  __shared__ float partial[kThreads];
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) sum += losses[i];
  partial[threadIdx.x] = sum;
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < step) partial[threadIdx.x] += partial[threadIdx.x + step];
  }
  if (threadIdx.x == 0) *mean = partial[0] / static_cast<float>(n);
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
