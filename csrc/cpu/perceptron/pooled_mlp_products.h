// The pooled MLP's sums, from products at points to logits. See
// cpu/perceptron/predict_pooled_mlp.h.
#pragma once

#include "cpu/math/activation.h"
#include "cpu/perceptron/pooled_mlp_weights.h"
#include "cpu/perceptron/pooled_mlp_windows.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

// products [points, n_dy, kUnits] of one phase and the shifts dy ... dy + n_dy - 1.
template <int n_dy>
void multiply(const Subgrid& s, const GroupInk& ink, int phase, int dy, const float* weight,
              const vec* points, vec* products) {
  // The pooled rows that see ink under any of these dy.
  int first = floor_divide(ink.box.y0 + kFirstWindow + dy + kPool - 1, kPool);
  int last = floor_divide(ink.box.y1 + dy + n_dy - 1, kPool);
  if (first < 0) first = 0;
  if (last >= kPooled) last = kPooled - 1;
  const Spans& spans = ink.spans[phase];
  for (int p = 0; p < s.n_points(); ++p) {
    vec sum[n_dy][kUnits] = {};
    for (int i = 0; i < spans.n; ++i) {
      const vec* x = points + ((phase * kSpans + spans.number[i]) * kMaxPoints + p) * kRows -
                     kFirstRow + kPool * first - dy;
      const float* w =
          weight + (spans.position[i] * kMaxPoints + p) * kPointWeights + first * kUnits;
      for (int row = first; row <= last; ++row, x += kPool, w += kUnits)
#pragma GCC unroll 8
        for (int h = 0; h < kUnits; ++h)
#pragma GCC unroll 3
          for (int d = 0; d < n_dy; ++d) sum[d][h] += w[h] * x[-d];
    }
#pragma GCC unroll 3
    for (int d = 0; d < n_dy; ++d)
#pragma GCC unroll 8
      for (int h = 0; h < kUnits; ++h) products[(p * n_dy + d) * kUnits + h] = sum[d][h];
  }
}

// From points to t, and on to the activation: hidden [kUnits, patterns].
template <int tile>
void hidden_of_products(Activation activation, const Subgrid& s, int phase, int n_dy,
                        const vec* products, const float* bias, vec* hidden) {
  const int n_patterns = n_dy * s.n_dx;
  const int column = kPool * s.t_first[phase] - phase - s.dx_first;
  for (int d = 0; d < n_dy; ++d)
    for (int h = 0; h < kUnits; ++h) {
      vec y[tile];
      points_to_outputs<PixelForm<tile, kSpan>>(products + d * kUnits + h, n_dy * kUnits, y);
#pragma GCC unroll 3
      for (int t = 0; t < tile; ++t)
        if (column + kPool * t < s.n_dx)
          hidden[h * n_patterns + d * s.n_dx + column + kPool * t] =
              activate(activation, y[t] + bias[h]);
    }
}

// logits [n, 10] += units [kUnits, n of n_patterns] times output [kUnits, 10].
constexpr int kPatternBlock = kRegisters >= 32 ? 2 : 1;
template <int n>
inline void add_logits(const vec* units, int n_patterns, const float* output, vec* logits) {
  vec sum[n][kClasses];
  for (int i = 0; i < n; ++i)
    for (int o = 0; o < kClasses; ++o) sum[i][o] = logits[i * kClasses + o];
#pragma GCC unroll 8
  for (int h = 0; h < kUnits; ++h)
#pragma GCC unroll 10
    for (int o = 0; o < kClasses; ++o)
#pragma GCC unroll 2
      for (int i = 0; i < n; ++i) sum[i][o] += output[h * kClasses + o] * units[h * n_patterns + i];
  for (int i = 0; i < n; ++i)
    for (int o = 0; o < kClasses; ++o) logits[i * kClasses + o] = sum[i][o];
}

}  // namespace pooled_mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
