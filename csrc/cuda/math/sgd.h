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

// y[o] = bias[o] + sum over i of weight[o][i] x[i], after the activation: a warp for each output.
template <class Activated>
__device__ void dense_forward(Activated act, const Layer& layer, const float* x, int n_inputs,
                              int n_outputs, float* y) {
  const int lane = threadIdx.x % kWarp;
  for (int o = static_cast<int>(threadIdx.x) / kWarp; o < n_outputs; o += kWarps) {
    float sum = 0;
    for (int i = lane; i < n_inputs; i += kWarp)
      sum = fmaf(layer.weight[static_cast<std::int64_t>(o) * n_inputs + i], x[i], sum);
    sum = warp_sum(sum) + layer.bias[o];
    if (lane == 0) y[o] = act.value(sum);
  }
}

// grad_x[i] = slope(x[i]) * sum over o of weight[o][i] grad_y[o].
template <class Activated>
__device__ void dense_backward(Activated act, const Layer& layer, const float* grad_y,
                               const float* x, int n_inputs, int n_outputs, float* grad_x) {
  for (int i = static_cast<int>(threadIdx.x); i < n_inputs; i += kThreads) {
    float sum = 0;
    for (int o = 0; o < n_outputs; ++o)
      sum = fmaf(layer.weight[static_cast<std::int64_t>(o) * n_inputs + i], grad_y[o], sum);
    grad_x[i] = sum * act.slope(x[i]);
  }
}

// One image's cross-entropy; grad[o] = (softmax(logits)[o] - (o == label)) * scale.
__device__ inline float cross_entropy(const float* logits, int label, float scale, float* grad) {
  float largest = logits[0];
  for (int o = 1; o < kClasses; ++o) largest = logits[o] > largest ? logits[o] : largest;
  float sum = 0;
  for (int o = 0; o < kClasses; ++o) {
    grad[o] = expf(logits[o] - largest);
    sum += grad[o];
  }
  for (int o = 0; o < kClasses; ++o) grad[o] = (grad[o] / sum - (o == label ? 1.0f : 0.0f)) * scale;
  return logf(sum) - (logits[label] - largest);
}

// sum over the batch of grad[n][n_outputs][o] x[n][n_inputs][i]; if x is null, of grad alone.
__device__ inline float batch_sum(const float* grad, int n_outputs, int o, const float* x,
                                  int n_inputs, int i, int n) {
  float sum = 0;
#pragma unroll 8
  for (int image = 0; image < n; ++image) {
    const float g = grad[static_cast<std::int64_t>(image) * n_outputs + o];
    sum = x == nullptr ? sum + g : fmaf(g, x[static_cast<std::int64_t>(image) * n_inputs + i], sum);
  }
  return sum;
}

// Updates parameter `number` of a layer, weights first, then biases; grad and x of the whole
// batch.
__device__ inline void update_dense(const Layer& layer, int number, const float* grad,
                                    int n_outputs, const float* x, int n_inputs, int n) {
  const int n_weights = n_outputs * n_inputs;
  if (number < n_weights)
    updated(layer.weight)[number] -=
        batch_sum(grad, n_outputs, number / n_inputs, x, n_inputs, number % n_inputs, n);
  else
    updated(layer.bias)[number - n_weights] -=
        batch_sum(grad, n_outputs, number - n_weights, nullptr, 0, 0, n);
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
