// LeNet-5 forward and backward for one image, by one block:
//   image [32, 32] (28 x 28 in a border of zeros)
//   C1 [6, 28, 28] -> S2 [6, 14, 14] -> C3 [16, 10, 10] -> S4 [16, 5, 5] = [400]
//   -> C5 [120] -> F6 [84] -> logits [10]
// and back; C1's and C3's activations are overwritten by their gradients.
//
// In the convolutions a thread computes a run of 4 or 5 neighbouring columns of a map, and loads
// their inputs once for each row of taps. In the weight gradients it computes a row of five taps of
// a connection, and moves a window of five inputs along the map. All values stay in shared memory.
#pragma once

#include "cuda/conv/table_rows.h"
#include "cuda/math/sgd.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kPadded = kImageSize + 4;  // an image's side with C1's border
constexpr int kC1Side = kImageSize;
constexpr int kS2Pixels = kS2Side * kS2Side, kC3Pixels = kC3Side * kC3Side;
constexpr int kS4Units = kMaps3 * kS4Pixels;
constexpr int kC1Parts = 7;  // C1's weight gradients are summed in this many parts of its rows

// A block's values, in shared memory.
struct Lenet5Values {
  float image[kPadded * kPadded];
  float c1[kMaps1 * kPixels];
  float s2[kMaps1 * kS2Pixels], s2_grad[kMaps1 * kS2Pixels];
  float c3[kMaps3 * kC3Pixels];
  float s4[kS4Units], s4_grad[kS4Units];
  float c5[kC5Units], c5_grad[kC5Units];
  float f6[kF6Units], f6_grad[kF6Units];
  float logits[kClasses], output_grad[kClasses];
};
static_assert(sizeof(Lenet5Values) <= 48 << 10, "more would have to be requested");
static_assert(kMaps1 * 25 * kC1Parts <= kMaps1 * kS2Pixels, "the parts lie in s2_grad");

// Gradients of the convolutions, in this order: C1 weight, C1 bias, C3 weight, C3 bias.
constexpr int kC1BiasAt = kMaps1 * 25, kC3WeightAt = kMaps1 * 26;
__host__ __device__ inline int c3_bias_at(const TableRows& table) {
  return kC3WeightAt + table.n_connections * 25;
}
__host__ __device__ inline int n_conv_grads(const TableRows& table) {
  return c3_bias_at(table) + kMaps3;
}

__device__ inline void load_padded(const std::uint8_t* image, float* padded) {
  for (int i = static_cast<int>(threadIdx.x); i < kPadded * kPadded; i += kThreads) {
    const int y = i / kPadded - 2, x = i % kPadded - 2;
    const bool inside = y >= 0 && y < kImageSize && x >= 0 && x < kImageSize;
    padded[i] = inside ? static_cast<float>(image[y * kImageSize + x]) * (1.0f / 255) : 0.0f;
  }
}

// sum[k] += the 5 taps of one row at n neighbouring columns.
template <int n>
__device__ inline void add_row(const float* in, const float* weight, float (&sum)[n]) {
  float x[n + 4];
#pragma unroll
  for (int k = 0; k < n + 4; ++k) x[k] = in[k];
#pragma unroll
  for (int v = 0; v < 5; ++v) {
    const float w = weight[v];
#pragma unroll
    for (int k = 0; k < n; ++k) sum[k] = fmaf(w, x[k + v], sum[k]);
  }
}

__device__ inline void c1_forward(Act act, const Layer& layer, const float* image, float* c1) {
  constexpr int n = 4, runs = kC1Side / n;
  for (int i = static_cast<int>(threadIdx.x); i < kMaps1 * kC1Side * runs; i += kThreads) {
    const int x = i % runs * n, y = i / runs % kC1Side, o = i / (runs * kC1Side);
    float sum[n];
#pragma unroll
    for (int k = 0; k < n; ++k) sum[k] = layer.bias[o];
    for (int u = 0; u < 5; ++u)
      add_row<n>(image + (y + u) * kPadded + x, layer.weight + o * 25 + u * 5, sum);
#pragma unroll
    for (int k = 0; k < n; ++k) c1[o * kPixels + y * kC1Side + x + k] = act.value(sum[k]);
  }
}

__device__ inline void c3_forward(Act act, const Layer& layer, const TableRows& table,
                                  const float* s2, float* c3) {
  constexpr int n = 5, runs = kC3Side / n;
  for (int i = static_cast<int>(threadIdx.x); i < kMaps3 * kC3Side * runs; i += kThreads) {
    const int x = i % runs * n, y = i / runs % kC3Side, o = i / (runs * kC3Side);
    float sum[n];
#pragma unroll
    for (int k = 0; k < n; ++k) sum[k] = layer.bias[o];
    for (int c = 0; c < kMaps1; ++c) {
      if (!table.connects(o, c)) continue;
      const float* const weight = layer.weight + table.connection_index(o, c) * 25;
      for (int u = 0; u < 5; ++u)
        add_row<n>(s2 + c * kS2Pixels + (y + u) * kS2Side + x, weight + u * 5, sum);
    }
#pragma unroll
    for (int k = 0; k < n; ++k) c3[o * kC3Pixels + y * kC3Side + x + k] = act.value(sum[k]);
  }
}

// pooled [maps][side][side] = means of 2 x 2.
__device__ inline void pool(const float* maps, int n_maps, int side, float* pooled) {
  for (int i = static_cast<int>(threadIdx.x); i < n_maps * side * side; i += kThreads) {
    const float* const in = maps + i / side * 4 * side + i % side * 2;
    pooled[i] = 0.25f * ((in[0] + in[1]) + (in[2 * side] + in[2 * side + 1]));
  }
}

// maps = gradient before the activation, from its values and the gradient of their means.
__device__ inline void unpool(Act act, const float* grad, int n_maps, int side, float* maps) {
  for (int i = static_cast<int>(threadIdx.x); i < n_maps * side * side * 4; i += kThreads) {
    const int y = i / (2 * side), x = i % (2 * side);  // y counts on through the maps
    maps[i] = act.slope(maps[i]) * 0.25f * grad[y / 2 * side + x / 2];
  }
}

// slot[i] += value; the first image that a slot takes in a step starts it instead.
__device__ inline void add_to_slot(float* slot, int i, float value, bool starts) {
  slot[i] = starts ? value : slot[i] + value;
}

// C3's weight gradients, a thread for each row of five taps of a connection; then the biases.
__device__ inline void c3_grad_weight(const TableRows& table, const float* c3_grad, const float* s2,
                                      float* slot, bool starts) {
  constexpr int n = kMaps3 * kMaps1 * 5;  // rows of taps, connected or not
  for (int i = static_cast<int>(threadIdx.x); i < n + kMaps3; i += kThreads) {
    if (i >= n) {
      float sum = 0;
      for (int k = 0; k < kC3Pixels; ++k) sum += c3_grad[(i - n) * kC3Pixels + k];
      add_to_slot(slot, c3_bias_at(table) + i - n, sum, starts);
      continue;
    }
    const int o = i / (kMaps1 * 5), c = i / 5 % kMaps1, u = i % 5;
    if (!table.connects(o, c)) continue;
    const float* const grad = c3_grad + o * kC3Pixels;
    const float* const in = s2 + c * kS2Pixels + u * kS2Side;
    float sum[5] = {};
    for (int y = 0; y < kC3Side; ++y) {
      float window[5];
#pragma unroll
      for (int v = 0; v < 4; ++v) window[v + 1] = in[y * kS2Side + v];
#pragma unroll
      for (int x = 0; x < kC3Side; ++x) {
#pragma unroll
        for (int v = 0; v < 4; ++v) window[v] = window[v + 1];
        window[4] = in[y * kS2Side + x + 4];
        const float g = grad[y * kC3Side + x];
#pragma unroll
        for (int v = 0; v < 5; ++v) sum[v] = fmaf(g, window[v], sum[v]);
      }
    }
    const int first = kC3WeightAt + table.connection_index(o, c) * 25 + u * 5;
#pragma unroll
    for (int v = 0; v < 5; ++v) add_to_slot(slot, first + v, sum[v], starts);
  }
}

__device__ inline void c3_grad_input(const Layer& layer, const TableRows& table,
                                     const float* c3_grad, float* s2_grad) {
  for (int i = static_cast<int>(threadIdx.x); i < kMaps1 * kS2Pixels; i += kThreads) {
    const int x = i % kS2Side, y = i / kS2Side % kS2Side, c = i / kS2Pixels;
    const int v0 = larger(0, x - kC3Side + 1), v1 = smaller(4, x);
    float sum = 0;
    for (int o = 0; o < kMaps3; ++o) {
      if (!table.connects(o, c)) continue;
      const float* const weight = layer.weight + table.connection_index(o, c) * 25;
      for (int u = larger(0, y - kC3Side + 1); u <= smaller(4, y); ++u)
        for (int v = v0; v <= v1; ++v)
          sum = fmaf(weight[u * 5 + v], c3_grad[o * kC3Pixels + (y - u) * kC3Side + x - v], sum);
    }
    s2_grad[i] = sum;
  }
}

// C1's weight gradients, a thread for each row of five taps of a map, in parts of four rows of the
// map; then the sums of the parts, and the biases.
__device__ inline void c1_grad_weight(const float* c1_grad, const float* image, float* parts,
                                      float* slot, bool starts) {
  constexpr int n = kMaps1 * 5, rows = kC1Side / kC1Parts;
  for (int i = static_cast<int>(threadIdx.x); i < n * kC1Parts; i += kThreads) {
    const int part = i / n, o = i % n / 5, u = i % 5;
    float sum[5] = {};
    for (int y = part * rows; y < (part + 1) * rows; ++y) {
      const float* const grad = c1_grad + o * kPixels + y * kC1Side;
      const float* const in = image + (y + u) * kPadded;
      float window[5];
#pragma unroll
      for (int v = 0; v < 4; ++v) window[v + 1] = in[v];
      for (int x = 0; x < kC1Side; ++x) {
#pragma unroll
        for (int v = 0; v < 4; ++v) window[v] = window[v + 1];
        window[4] = in[x + 4];
#pragma unroll
        for (int v = 0; v < 5; ++v) sum[v] = fmaf(grad[x], window[v], sum[v]);
      }
    }
#pragma unroll
    for (int v = 0; v < 5; ++v) parts[i * 5 + v] = sum[v];
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n * 5 + kMaps1; i += kThreads) {
    float sum = 0;
    if (i < n * 5)
      for (int part = 0; part < kC1Parts; ++part) sum += parts[part * n * 5 + i];
    else
      for (int k = 0; k < kPixels; ++k) sum += c1_grad[(i - n * 5) * kPixels + k];
    add_to_slot(slot, i, sum, starts);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
