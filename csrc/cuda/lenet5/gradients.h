// LeNet-5 forward and backward for one image, by one block:
//   image [32, 32] (28 x 28 in a border of zeros)
//   C1 [6, 28, 28] -> S2 [6, 14, 14] -> C3 [16, 10, 10] -> S4 [16, 5, 5] = [400]
//   -> C5 [120] -> F6 [84] -> logits [10]
// and back; C3's activations are overwritten by their gradients, those of C1 are computed where
// they are read. All values stay in shared memory, and so do the weights of C1 and C3; those of the
// dense layers are loaded into registers before they are needed (cuda/math/dense.h).
//
// Between two barriers:
//   C1, S2         a thread has 4 x 2 results of C1
//   C3, S4         a warp has an output map, a lane a row of it and a third of its connections
//   C5, F6, logits a warp has up to 8 outputs, a lane every 32nd input
//   back to S4     a thread has an input and all outputs, or a part of them
//   C3, backward   a lane has a connection and half an image, for the weights; other warps have two
//                  rows of S2, or one, for which five rows of C3 have a tap each, and their lanes
//                  the maps of S2 and a fifth of their connections
//   C1, backward   a warp has a map and half its columns, a lane a row
// ../README.md, "Training", counts what these phases take.
#pragma once

#include "cuda/conv/connections.h"
#include "cuda/math/dense.h"
#include "cuda/math/sgd.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

// A block has twice the usual threads, since it is alone on its multiprocessor.
constexpr int kGradientThreads = 2 * kThreads, kGradientWarps = kGradientThreads / kWarp;
static_assert(kGradientWarps == kMaps3, "a warp has an output map of C3");

constexpr int kPadded = kImageSize + 4;  // an image's side with C1's border
constexpr int kS2Pixels = kS2Side * kS2Side;
constexpr int kS4Units = kMaps3 * kS4Pixels;
constexpr int kTapCount = kTaps * kTaps;

// The distances between rows or maps are such that lanes read different banks.
constexpr int kImagePitch = kPadded + 2;
constexpr int kS2Stride = kS2Pixels + 8, kC3Stride = kC3Side * kC3Side + 2;
constexpr int kC1WeightPitch = kTapCount + 3;  // 25 weights, then the bias: loads of four

constexpr int kF6Parts = 4;  // the sums back through F6 have as many parts
static_assert(kF6Parts * kC5Units <= kGradientThreads && kF6Units % kF6Parts == 0);

// A block's values, in shared memory.
struct Lenet5Values {
  float image[kPadded * kImagePitch];
  float c1_weight[kMaps1 * kC1WeightPitch];
  float c3_weight[kMaps1 * kMaps3 * kTapCount], c3_bias[kMaps3];
  float c1[kMaps1 * kPixels];
  float s2[kMaps1 * kS2Stride], s2_grad[kMaps1 * kS2Pixels];
  float c3[kMaps3 * kC3Stride];
  float s4[kS4Units];
  float c5[kC5Units], c5_grad[kC5Units], c5_parts[kF6Parts * kC5Units];
  float f6[kF6Units], f6_grad[kF6Units];
  float logits[kClassPitch], output_grad[kClassPitch];
  float c1_sums[2 * kMaps1][kWarp];
  Connections connections;
};
static_assert(sizeof(Lenet5Values) <= 64 << 10, "more than every card has");

// Gradients of the convolutions, in this order: C1 weight, C1 bias, C3 weight as [25][connections],
// so that lanes write neighbouring values, C3 bias.
constexpr int kC1BiasAt = kMaps1 * kTapCount, kC3WeightAt = kC1BiasAt + kMaps1;
__host__ __device__ inline int c3_bias_at(const TableRows& table) {
  return kC3WeightAt + table.n_connections * kTapCount;
}
__host__ __device__ inline int n_conv_grads(const TableRows& table) {
  return c3_bias_at(table) + kMaps3;
}

__device__ inline void store_two(float* to, float x, float y) {
  *reinterpret_cast<float2*>(to) = {x, y};
}

// A thread's share of the weights of C1 and C3, which are loaded while the image is waited for.
class ConvWeights {
 public:
  __device__ __forceinline__ void load(const Lenet5Parameters& p, const TableRows& table) {
    const int at = threadIdx.x;
    c1_ = at < kMaps1 * kTapCount ? p.c1.weight[at] : 0.0f;
    bias_ = at < kMaps1 ? p.c1.bias[at] : at < kMaps1 + kMaps3 ? p.c3.bias[at - kMaps1] : 0.0f;
#pragma unroll
    for (int i = 0; i < kShare; ++i)
      c3_[i] = is_weight(i, table) ? p.c3.weight[at + i * kGradientThreads] : 0.0f;
  }
  __device__ __forceinline__ void store(const TableRows& table, Lenet5Values& v) const {
    const int at = threadIdx.x;
    if (at < kMaps1 * kTapCount)
      v.c1_weight[at / kTapCount * kC1WeightPitch + at % kTapCount] = c1_;
    if (at < kMaps1)
      v.c1_weight[at * kC1WeightPitch + kTapCount] = bias_;
    else if (at < kMaps1 + kMaps3)
      v.c3_bias[at - kMaps1] = bias_;
#pragma unroll
    for (int i = 0; i < kShare; ++i)
      if (is_weight(i, table)) v.c3_weight[at + i * kGradientThreads] = c3_[i];
  }

 private:
  static constexpr int kShare = divide_up(kMaps1 * kMaps3 * kTapCount, kGradientThreads);
  float c1_, bias_, c3_[kShare];

  static __device__ __forceinline__ bool is_weight(int i, const TableRows& table) {
    return static_cast<int>(threadIdx.x) + i * kGradientThreads < table.n_connections * kTapCount;
  }
};

// All of a thread's pixels are on their way before it waits for the first one.
__device__ inline void load_padded(const std::uint8_t* image, float* padded) {
  constexpr int share = divide_up(kPadded * kImagePitch, kGradientThreads);
  std::uint8_t pixels[share];
#pragma unroll
  for (int k = 0; k < share; ++k) {
    const int i = static_cast<int>(threadIdx.x) + k * kGradientThreads;
    const int y = i / kImagePitch - 2, x = i % kImagePitch - 2;
    const bool inside = y >= 0 && y < kImageSize && x >= 0 && x < kImageSize;
    pixels[k] = inside ? image[y * kImageSize + x] : 0;
  }
#pragma unroll
  for (int k = 0; k < share; ++k) {
    const int i = static_cast<int>(threadIdx.x) + k * kGradientThreads;
    if (i < kPadded * kImagePitch) padded[i] = static_cast<float>(pixels[k]) * (1.0f / 255);
  }
}

__device__ inline void c1_forward(Act act, Lenet5Values& v) {
  constexpr int rows = 4, columns = 2, bands = kImageSize / rows, runs = kImageSize / columns;
  for (int i = static_cast<int>(threadIdx.x); i < kMaps1 * bands * runs; i += kGradientThreads) {
    const int x = i % runs * columns, y = i / runs % bands * rows, o = i / (runs * bands);
    float w[kC1WeightPitch], sum[rows][columns];
    load_values(v.c1_weight + o * kC1WeightPitch, w);
#pragma unroll
    for (int k = 0; k < rows * columns; ++k) sum[k / columns][k % columns] = w[kTapCount];
    convolve_tile<kImagePitch>(v.image + y * kImagePitch + x, w, sum);
    act.apply(sum);
    float* const c1 = v.c1 + o * kPixels + y * kImageSize + x;
    float* const s2 = v.s2 + o * kS2Stride + y / 2 * kS2Side + x / 2;
#pragma unroll
    for (int r = 0; r < rows; ++r) store_two(c1 + r * kImageSize, sum[r][0], sum[r][1]);
#pragma unroll
    for (int r = 0; r < rows / 2; ++r)
      s2[r * kS2Side] =
          0.25f * ((sum[2 * r][0] + sum[2 * r][1]) + (sum[2 * r + 1][0] + sum[2 * r + 1][1]));
  }
}

// Lanes 0 ... 29 are three parts of the map's connections, of ten rows each.
__device__ inline void c3_forward(Act act, const TableRows& table, Lenet5Values& v) {
  constexpr int parts = 3;
  static_assert(parts * kC3Side <= kWarp);
  const int map = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int part = lane / kC3Side, row = lane % kC3Side;
  float* const c3 = v.c3 + map * kC3Stride;
  const int end = map + 1 < kMaps3 ? table.first_connection[map + 1] : table.n_connections;
  float sum[1][kC3Side] = {};
  for (int k = part < parts ? table.first_connection[map] + part : end; k < end; k += parts) {
    float w[kTapCount];
    load_values(v.c3_weight + k * kTapCount, w);
    convolve_tile<kS2Side>(v.s2 + v.connections.input_of[k] * kS2Stride + row * kS2Side, w, sum);
  }
  __syncwarp();
#pragma unroll
  for (int x = 0; x < kC3Side; ++x)
    sum[0][x] += __shfl_down_sync(kAllLanes, sum[0][x], kC3Side) +
                 __shfl_down_sync(kAllLanes, sum[0][x], 2 * kC3Side);
  if (part == 0) {
#pragma unroll
    for (int x = 0; x < kC3Side; x += 2)
      store_two(c3 + row * kC3Side + x, sum[0][x], sum[0][x + 1]);
  }
  __syncwarp();
  // Their activations, and S4: a lane for each of its pixels.
  if (lane >= kS4Pixels) return;
  float values[2][2];
  float* const first = c3 + lane / kS4Side * 2 * kC3Side + lane % kS4Side * 2;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    load_values(first + r * kC3Side, values[r]);
    values[r][0] += v.c3_bias[map], values[r][1] += v.c3_bias[map];
  }
  act.apply(values);
  store_two(first, values[0][0], values[0][1]);
  store_two(first + kC3Side, values[1][0], values[1][1]);
  v.s4[map * kS4Pixels + lane] =
      0.25f * ((values[0][0] + values[0][1]) + (values[1][0] + values[1][1]));
}

// C3's activations under a unit of S4 become their gradients, from the unit's.
__device__ inline void unpool(Act act, int unit, float grad, float* c3) {
  const int pixel = unit % kS4Pixels;
  float* const first =
      c3 + unit / kS4Pixels * kC3Stride + pixel / kS4Side * 2 * kC3Side + pixel % kS4Side * 2;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float values[2];
    load_values(first + r * kC3Side, values);
    store_two(first + r * kC3Side, act.slope(values[0]) * 0.25f * grad,
              act.slope(values[1]) * 0.25f * grad);
  }
}

// slot[i] += value; the first image that a slot takes in a step starts it instead.
__device__ inline void add_to_slot(float* slot, int i, float value, bool starts) {
  slot[i] = starts ? value : slot[i] + value;
}

// C3's weight and bias gradients of 15 connections by one warp, whose halves take half an image.
constexpr int kWarpConnections = 15;  // 4 warps take the 60 of the table of 1998
__device__ inline void c3_grad_weight(const TableRows& table, const Lenet5Values& v, int turn,
                                      float* slot, bool starts) {
  const int lane = threadIdx.x % kWarp, half = lane / (kWarp / 2);
  const int place = lane % (kWarp / 2), k = turn * kWarpConnections + place;
  const bool connected = place < kWarpConnections && k < table.n_connections;
  float sum[kLaneSums] = {};
  if (connected)
    correlate_half(v.s2 + v.connections.input_of[k] * kS2Stride + half * (kC3Side / 2 * kS2Side),
                   v.c3 + v.connections.output_of[k] * kC3Stride + half * (kC3Side / 2 * kC3Side),
                   sum);
  __syncwarp();
#pragma unroll
  for (int i = 0; i < kLaneSums; ++i) sum[i] += __shfl_xor_sync(kAllLanes, sum[i], kWarp / 2);
  if (!connected || half != 0) return;
#pragma unroll
  for (int i = 0; i < kTapCount; ++i)
    add_to_slot(slot, kC3WeightAt + i * table.n_connections + k, sum[i], starts);
  // An output map's first connection has its bias.
  const int o = v.connections.output_of[k];
  if (table.first_connection[o] == k)
    add_to_slot(slot, c3_bias_at(table) + o, sum[kTapCount], starts);
}

// Row y of S2's gradient by one warp: what taps first_u ... last_u bring from rows y - u of C3.
// Lanes 0 ... 29 are five parts of the connections of six maps.
__device__ inline void s2_grad_row(Lenet5Values& v, int y, int first_u, int last_u) {
  constexpr int parts = 5;
  static_assert(parts * kMaps1 <= kWarp);
  const Connections& connections = v.connections;
  const int lane = threadIdx.x % kWarp, part = lane / kMaps1, c = lane % kMaps1;
  float sum[kS2Side] = {};
  for (int i = part < parts ? part : kMaps3; i < connections.n_seen[c]; i += parts) {
    const int k = connections.seen_by[c][i];
    const float* const weight = v.c3_weight + k * kTapCount;
    const float* const grad = v.c3 + connections.output_of[k] * kC3Stride + y * kC3Side;
    for (int u = first_u; u <= last_u; ++u) {
      float g[kC3Side], w[kTaps];
      load_values(grad - u * kC3Side, g);
      load_values(weight + u * kTaps, w);
#pragma unroll
      for (int tap = 0; tap < kTaps; ++tap)
#pragma unroll
        for (int x = 0; x < kC3Side; ++x) sum[x + tap] = fmaf(w[tap], g[x], sum[x + tap]);
    }
  }
  __syncwarp();
#pragma unroll
  for (int x = 0; x < kS2Side; ++x) {
    const float two = sum[x] + __shfl_down_sync(kAllLanes, sum[x], kMaps1);
    const float four = two + __shfl_down_sync(kAllLanes, two, 2 * kMaps1);
    sum[x] = four + __shfl_down_sync(kAllLanes, sum[x], 4 * kMaps1);
  }
  if (part > 0) return;
#pragma unroll
  for (int x = 0; x < kS2Side; x += 2)
    store_two(v.s2_grad + c * kS2Pixels + y * kS2Side + x, sum[x], sum[x + 1]);
}

// Some warps take the weights' gradients, all others the input's. Of the latter's 14 rows, row y
// and row y + 10 together have the taps of one row in the middle: ten tasks of equal size.
__device__ inline void c3_backward(const TableRows& table, float* slot, bool starts,
                                   Lenet5Values& v) {
  const int warp = threadIdx.x / kWarp;
  const int n_turns = divide_up(table.n_connections, kWarpConnections);
  if (warp < n_turns) {
    c3_grad_weight(table, v, warp, slot, starts);
    return;
  }
  for (int y = warp - n_turns; y < kC3Side; y += kGradientWarps - n_turns) {
    s2_grad_row(v, y, 0, smaller(y, kTaps - 1));
    if (y < kTaps - 1) s2_grad_row(v, y + kC3Side, y + 1, kTaps - 1);
  }
}

// C1's weight and bias gradients: sums over half the columns by one warp, into c1_sums.
__device__ inline void c1_grad_weight(Act act, Lenet5Values& v) {
  constexpr int columns = kImageSize / 2;
  const int warp = threadIdx.x / kWarp, y = threadIdx.x % kWarp;
  const int o = warp / 2, half = warp % 2;
  if (warp >= 2 * kMaps1) return;
  float sum[kWarp] = {};  // of 25 weights, the bias, and six that nobody reads
  if (y < kImageSize) {
    float g[columns];
    load_values(v.c1 + o * kPixels + y * kImageSize + half * columns, g);
    const float* const grad = v.s2_grad + o * kS2Pixels + y / 2 * kS2Side + half * (columns / 2);
#pragma unroll
    for (int x = 0; x < columns; ++x) {
      g[x] = act.slope(g[x]) * 0.25f * grad[x / 2];
      sum[kTapCount] += g[x];
    }
#pragma unroll
    for (int u = 0; u < kTaps; ++u) {
      float in[columns + kTaps - 1];
      load_values(v.image + (y + u) * kImagePitch + half * columns, in);
#pragma unroll
      for (int x = 0; x < columns; ++x)
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap)
          sum[u * kTaps + tap] = fmaf(g[x], in[x + tap], sum[u * kTaps + tap]);
    }
  }
  __syncwarp();
  v.c1_sums[warp][y] = warp_sums(sum);
}

// Adds both halves of the columns to the slot.
__device__ inline void add_c1_sums(const Lenet5Values& v, float* slot, bool starts) {
  const int i = threadIdx.x;
  if (i >= kC3WeightAt) return;
  const int o = i < kC1BiasAt ? i / kTapCount : i - kC1BiasAt;
  const int at = i < kC1BiasAt ? i % kTapCount : kTapCount;
  add_to_slot(slot, i, v.c1_sums[2 * o][at] + v.c1_sums[2 * o + 1][at], starts);
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
