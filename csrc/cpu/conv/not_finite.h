// Infinities and NaNs of the c3_conv op.
//
// The form F(5, 5) mixes nine neighbouring inputs, or five outputs: one that is not finite spreads
// to results that do not depend on it (inf - inf, 0 * inf), and large values overflow within the
// form when a direct sum would not. But if a direct sum meets an infinity or a NaN, the form's
// result is made from points that are not finite. So every finite result is right, and every other
// result is summed again, directly, in double. The checks of conv5x5.h say when to look for such
// results; they take a hundredth of a call. Direct sums are slow, value by value, but rare.
#pragma once

#include "c3_table.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

template <class T>
inline bool is_finite(T value) {
  return value - value == 0;
}

// Calls f(c, first of its 25 weights) for the connections of output map o.
template <class T, class F>
inline void for_connections(const C3Shape& s, const T* weight, int o, F&& f) {
  weight += static_cast<std::int64_t>(connection_index(s.table, o, 0)) * kTaps * kTaps;
  for (std::int64_t bits = s.table[o]; bits != 0; bits &= bits - 1, weight += kTaps * kTaps)
    f(__builtin_ctzll(bits), weight);
}

inline std::int64_t out_height(const C3Shape& s) { return s.height - (kTaps - 1); }
inline std::int64_t out_width(const C3Shape& s) { return s.width - (kTaps - 1); }

// Map o of the output, [height-4, width-4], from one image's input [n_inputs, height, width].
template <class T>
[[gnu::noinline]] void mend_output(const C3Shape& s, const T* input, const T* weight, const T* bias,
                                   int o, T* map) {
  for (std::int64_t y = 0; y < out_height(s); ++y)
    for (std::int64_t x = 0; x < out_width(s); ++x, ++map) {
      if (is_finite(*map)) continue;
      double sum = bias[o];
      for_connections<T>(s, weight, o, [&](int c, const T* w) {
        const T* const in = input + (c * s.height + y) * s.width + x;
        for (int u = 0; u < kTaps; ++u)
          for (int v = 0; v < kTaps; ++v)
            sum += static_cast<double>(w[u * kTaps + v]) * in[u * s.width + v];
      });
      *map = static_cast<T>(sum);
    }
}

// Map c of grad_input, [height, width], from one image's grad_output [n_outputs, height-4,
// width-4].
template <class T>
[[gnu::noinline]] void mend_grad_input(const C3Shape& s, const T* grad_output, const T* weight,
                                       int c, T* map) {
  for (std::int64_t y = 0; y < s.height; ++y)
    for (std::int64_t x = 0; x < s.width; ++x, ++map) {
      if (is_finite(*map)) continue;
      double sum = 0;
      for (int o = 0; o < s.n_outputs; ++o) {
        if (!(s.table[o] >> c & 1)) continue;
        const T* const w =
            weight + static_cast<std::int64_t>(connection_index(s.table, o, c)) * kTaps * kTaps;
        const T* const grad = grad_output + o * out_height(s) * out_width(s);
        for (int u = 0; u < kTaps; ++u)
          for (int v = 0; v < kTaps; ++v)
            if (y - u >= 0 && y - u < out_height(s) && x - v >= 0 && x - v < out_width(s))
              sum += static_cast<double>(w[u * kTaps + v]) * grad[(y - u) * out_width(s) + x - v];
      }
      *map = static_cast<T>(sum);
    }
}

// Row `row` of grad_weight as [n_connections * 5, 5].
template <class T>
[[gnu::noinline]] void mend_grad_weight(const C3Shape& s, const T* grad_output, const T* input,
                                        std::int64_t row, T* taps) {
  const int u = static_cast<int>(row % kTaps);
  int o = 0, left = static_cast<int>(row / kTaps);  // connections before it in output map o
  while (left >= __builtin_popcountll(s.table[o])) left -= __builtin_popcountll(s.table[o++]);
  std::int64_t bits = s.table[o];
  while (left-- > 0) bits &= bits - 1;
  const int c = __builtin_ctzll(bits);
  for (int v = 0; v < kTaps; ++v) {
    if (is_finite(taps[v])) continue;
    double sum = 0;
    for (std::int64_t n = 0; n < s.n_images; ++n) {
      const T* const grad = grad_output + (n * s.n_outputs + o) * out_height(s) * out_width(s);
      const T* const in = input + ((n * s.n_inputs + c) * s.height + u) * s.width + v;
      for (std::int64_t y = 0; y < out_height(s); ++y)
        for (std::int64_t x = 0; x < out_width(s); ++x)
          sum += static_cast<double>(grad[y * out_width(s) + x]) * in[y * s.width + x];
    }
    taps[v] = static_cast<T>(sum);
  }
}

template <class T>
[[gnu::noinline]] T direct_grad_bias(const C3Shape& s, const T* grad_output, int o) {
  const std::int64_t map = out_height(s) * out_width(s);
  double sum = 0;
  for (std::int64_t n = 0; n < s.n_images; ++n)
    for (std::int64_t i = 0; i < map; ++i) sum += grad_output[(n * s.n_outputs + o) * map + i];
  return static_cast<T>(sum);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
