// Dense layers of one image, by one block.
#pragma once

#include "cuda/math/fused_device.h"

namespace lenetshift {
namespace cuda {
namespace {

// y[o] = bias[o] + sum over i of weight[o][i] x[i], after the activation: a warp for each output.
template <class Activated>
__device__ void dense_forward(Activated act, const Layer& layer, const float* x, int n_inputs,
                              int n_outputs, float* y) {
  const int lane = threadIdx.x % kWarp;
  for (int o = static_cast<int>(threadIdx.x) / kWarp; o < n_outputs; o += kWarps) {
    float sum = 0;
#pragma unroll 8
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

// For sizes known to the compiler: load() puts weights into registers, where they wait for the
// layer's inputs, and multiply() uses them.

// Forward: n outputs of a warp, a power of two, whose lanes take every 32nd input. Many weights are
// on their way at a time, and the outputs share their sums over lanes.
template <int n, int n_inputs>
class WarpRows {
 public:
  // Outputs first ... first + n - 1, of those below n_outputs. One address for all: the loads
  // differ by constants.
  __device__ __forceinline__ void load(const Layer& layer, int first, int n_outputs) {
    const int lane = threadIdx.x % kWarp;
    const float* const weight = layer.weight + first * n_inputs + lane;
    first_ = first, n_outputs_ = n_outputs;
#pragma unroll
    for (int k = 0; k < n; ++k)
#pragma unroll
      for (int s = 0; s < kSteps; ++s)
        weight_[k][s] = first + k < n_outputs && lane + s * kWarp < n_inputs
                            ? weight[k * n_inputs + s * kWarp]
                            : 0.0f;
    const int own = first + lane % n;
    bias_ = own < n_outputs ? layer.bias[own] : 0.0f;
  }

  // y[o] = bias[o] + sum over i of weight[o][i] x[i], after the activation.
  template <class Activated>
  __device__ __forceinline__ void multiply(Activated act, const float* x, float* y) const {
    const int lane = threadIdx.x % kWarp;
    float sum[n] = {};
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const int i = lane + s * kWarp;
      const float input = i < n_inputs ? x[i] : 0.0f;
#pragma unroll
      for (int k = 0; k < n; ++k) sum[k] = fmaf(weight_[k][s], input, sum[k]);
    }
    const float value = act.value(warp_sums(sum) + bias_);
    if (lane < n && first_ + lane < n_outputs_) y[first_ + lane] = value;
  }

 private:
  static constexpr int kSteps = divide_up(n_inputs, kWarp);
  float weight_[n][kSteps], bias_;
  int first_, n_outputs_;
};

// Backward: n outputs' weights for one input.
template <int n>
class ColumnPart {
 public:
  __device__ __forceinline__ void load(const Layer& layer, int n_inputs, int input, int first) {
    first_ = first;
#pragma unroll
    for (int k = 0; k < n; ++k) weight_[k] = layer.weight[(first + k) * n_inputs + input];
  }

  // Sum over these outputs of weight[o][input] grad_y[o], in up to four chains.
  __device__ __forceinline__ float multiply(const float* grad_y) const {
    constexpr int n_chains = n < 4 ? 1 : 4;
    float sum[4] = {};
#pragma unroll
    for (int k = 0; k < n; ++k)
      sum[k % n_chains] = fmaf(weight_[k], grad_y[first_ + k], sum[k % n_chains]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

 private:
  float weight_[n];
  int first_;
};

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
