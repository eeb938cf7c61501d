// Fully connected layers in training. Forward and input gradient work on a lane group: images in
// the lanes, vec [n values], weights broadcast. The update runs along the weights instead: its sum
// over the images of a batch is a matrix product, which stays in registers until it is complete.
//
// weight is float [n_out, n_in], bias float [n_out].
#pragma once

#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The number of sums in a block: enough to hide the latency of the multiply-add and to share each
// load of x among many. The multiply-add itself broadcasts its weight from memory.
constexpr int kDenseSums = kRegisters >= 32 ? 20 : 12;

// y[o] = bias[o] + sum over k of weight[o][k] * x[k].
template <int n_in, int n_out>
[[gnu::noinline]] void dense_forward(const float* weight, const float* bias, const vec* x, vec* y) {
  using Outputs = Blocks<n_out, kDenseSums>;
  for (int block = 0; block < Outputs::count; ++block)
    Outputs::with(block, [&](int o, auto size) {
      constexpr int n = decltype(size)::value;
      const float* const w = weight + o * n_in;
      vec sum[n];
      for (int i = 0; i < n; ++i) sum[i] = broadcast(bias[o + i]);
      for (int k = 0; k < n_in; ++k)
#pragma GCC unroll 20
        for (int i = 0; i < n; ++i) sum[i] += w[i * n_in + k] * x[k];
      for (int i = 0; i < n; ++i) y[o + i] = sum[i];
    });
}

// grad_x[k] = sum over o of weight[o][k] * grad_y[o].
template <int n_in, int n_out>
[[gnu::noinline]] void dense_grad_input(const float* weight, const vec* grad_y, vec* grad_x) {
  using Inputs = Blocks<n_in, kDenseSums>;
  for (int block = 0; block < Inputs::count; ++block)
    Inputs::with(block, [&](int k, auto size) {
      constexpr int n = decltype(size)::value;
      vec sum[n] = {};
      for (int o = 0; o < n_out; ++o)
#pragma GCC unroll 20
        for (int i = 0; i < n; ++i) sum[i] += weight[o * n_in + k + i] * grad_y[o];
      for (int i = 0; i < n; ++i) grad_x[k + i] = sum[i];
    });
}

// A block of the update: rows of the weight times vectors along a row. 5 x 5 sums, a vector of x
// and 5 broadcast gradients fill 31 registers; 16 registers allow 3 x 3 sums.
constexpr int kUpdateRows = kRegisters >= 32 ? 5 : 3;
constexpr int kUpdateVecs = kRegisters >= 32 ? 5 : 3;

// Rows of x for the update are padded to whole vectors.
constexpr int dense_stride(int n_in) { return round_up(n_in, kLanes); }

// One block: rows x vecs vectors, from w on; the last vector of a row holds n_last floats. The sum
// starts from 0, not from the weight, because a small sum has a smaller rounding error.
template <int n_in, int n_out, int rows, int vecs, int n_last>
[[gnu::noinline]] void dense_update_block(float* w, const vec* grad, const float* x, int n_images) {
  vec sum[rows][vecs] = {};
  for (int b0 = 0; b0 < n_images; b0 += kLanes, grad += n_out) {
    const float* g = reinterpret_cast<const float*>(grad);
    const int lanes = n_images - b0 < kLanes ? n_images - b0 : kLanes;
    for (int lane = 0; lane < lanes; ++lane, ++g, x += dense_stride(n_in)) {
      vec g_r[rows];
#pragma GCC unroll 5
      for (int r = 0; r < rows; ++r) g_r[r] = broadcast(g[r * kLanes]);
#pragma GCC unroll 5
      for (int v = 0; v < vecs; ++v) {
        const vec x_v = load(x + v * kLanes);
#pragma GCC unroll 5
        for (int r = 0; r < rows; ++r) sum[r][v] += g_r[r] * x_v;
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vecs; ++v) {
      float* const target = w + r * n_in + v * kLanes;
      const int bytes = (v == vecs - 1 ? n_last : kLanes) * static_cast<int>(sizeof(float));
      vec weight = {};
      __builtin_memcpy(&weight, target, bytes);
      weight -= sum[r][v];
      __builtin_memcpy(target, &weight, bytes);
    }
}

// The number of blocks of rows into which dense_update can be divided.
template <int n_out>
constexpr int kUpdateBlocks = Blocks<n_out, kUpdateRows>::count;

// weight[o][k] -= sum over images b of grad[b][o] * x[b][k] and bias[o] -= sum over b of grad[b][o]
// for the rows of blocks first <= block < stop. grad is vec [lane groups, n_out], image b in lane b
// % kLanes of group b / kLanes, 0 in the lanes without an image; x is float [n_images,
// dense_stride(n_in)]. Every sum takes the images in order, so the result is the same to the bit
// however the blocks are divided.
template <int n_in, int n_out>
void dense_update(float* weight, float* bias, int first, int stop, const vec* grad, const float* x,
                  int n_images) {
  using Rows = Blocks<n_out, kUpdateRows>;
  constexpr int n_vecs = dense_stride(n_in) / kLanes;
  constexpr int n_last = n_in - (n_vecs - 1) * kLanes;  // weights in a row's last vector
  using Columns = Blocks<n_vecs, kUpdateVecs>;
  for (int row_block = first; row_block < stop; ++row_block)
    Rows::with(row_block, [&](int o, auto row_count) {
      constexpr int rows = decltype(row_count)::value;
      for (int r = 0; r < rows; ++r) {
        vec sum = {};
        for (int g = 0; g * kLanes < n_images; ++g) sum += grad[g * n_out + o + r];
        bias[o + r] -= sum_of_lanes<float>(sum);
      }
      for (int block = 0; block < Columns::count; ++block)
        Columns::with(block, [&](int v, auto vec_count) {
          constexpr int vecs = decltype(vec_count)::value;
          const auto update = block == Columns::count - 1
                                  ? dense_update_block<n_in, n_out, rows, vecs, n_last>
                                  : dense_update_block<n_in, n_out, rows, vecs, kLanes>;
          update(weight + o * n_in + v * kLanes, grad + o, x + v * kLanes, n_images);
        });
    });
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
