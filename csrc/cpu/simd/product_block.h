// The inner loop of every layer that is a matrix product: a block of n_rows patterns by n_outputs
// outputs in registers, images in the lanes, weights broadcast.
#pragma once

#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// sum[r][o] += sum over k < n_inputs of weight[k * n_outputs + o] * x[r * row_stride + k]
// Each x is loaded once for n_outputs multiply-adds, each weight once for n_rows.
template <int n_rows, int n_outputs>
inline void add_products(const float* weight, const vec* x, std::int64_t row_stride, int n_inputs,
                         vec (&sum)[n_rows][n_outputs]) {
  for (int k = 0; k < n_inputs; ++k, weight += n_outputs) {
    vec in[n_rows];
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) in[r] = load_once<float>(x + r * row_stride + k);
#pragma GCC unroll 8
    for (int o = 0; o < n_outputs; ++o) {
      const vec w = broadcast(weight[o]);
#pragma GCC unroll 8
      for (int r = 0; r < n_rows; ++r) sum[r][o] += w * in[r];
    }
  }
}

// The number of patterns in a block: the default grid's five dy fill it.
constexpr int kRowBlock = 5;
// Five rows by five outputs fill 32 registers; 16 registers hold five by two.
constexpr int kOutputBlock = kRegisters >= 32 ? 5 : 2;

// The size of the next block when `left` rows are left: five, then two, then one. There are few
// sizes because each has its own code.
constexpr int row_block(int left) { return left >= kRowBlock ? kRowBlock : left >= 2 ? 2 : 1; }

// Calls f(Constant<n>{}) for n = row_block(n).
template <class F>
inline void with_rows(int n, F&& f) {
  if (n == kRowBlock) return f(Constant<kRowBlock>{});
  if (n == 2) return f(Constant<2>{});
  f(Constant<1>{});
}

// weight [n_outputs, n_inputs] packed for add_products: [n_outputs / block][n_inputs][block].
inline void pack_outputs(const float* weight, int n_outputs, int n_inputs, int block,
                         float* packed) {
  for (int o = 0; o < n_outputs; ++o)
    for (int k = 0; k < n_inputs; ++k)
      packed[(o / block * n_inputs + k) * block + o % block] = weight[o * n_inputs + k];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
