// Softmax and cross-entropy of ten logits, images in the lanes: no lane talks to another.
#pragma once

#include "cpu/math/exp_digits.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// exp(x) for x <= 0. It is 0 below kExpSmallest, where exp(x) is close to the smallest normal float
// and does not change a sum that contains exp(0). x = n ln 2 + r (cpu/math/exp_digits.h); adding n
// to the bits of the exponent multiplies by 2^n. Relative error under 3e-7. NaN stays NaN.
inline vec exp_of_negative(vec x) {
  const vec clamped = x < kExpSmallest ? vec{} + kExpSmallest : x;
  constexpr int kMantissaBits = 23;
  // Adding 1.5 * 2^23 rounds to the nearest integer, which then stands in the low bits.
  constexpr float kRounding = 1.5f * (1 << kMantissaBits);
  const vec shifted = clamped * kLog2OfE + kRounding;
  const vec n = shifted - kRounding;
  vec r = clamped - n * kLn2High;
  r = r - n * kLn2Low;
  vec p = kExpTerm6 * r + kExpTerm5;
  p = p * r + kExpTerm4;
  p = p * r + kExpTerm3;
  p = p * r + kExpTerm2;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const vec y = (vec)((ivec)p + ((ivec)shifted << kMantissaBits));
  return x < kExpSmallest ? vec{} : x != x ? x : y;
}

// The cross-entropy of one lane group: logits and grad are vec [10]; label holds the label of each
// lane. Writes grad[o] = (softmax(logits)[o] - (o == label)) * scale, which is 0 in the lanes whose
// scale is 0, and returns the sum of the losses of the first n_images lanes.
inline double cross_entropy(const vec* logits, ivec label, vec scale, int n_images, vec* grad) {
  vec largest = logits[0];
  for (int o = 1; o < kClasses; ++o) largest = logits[o] > largest ? logits[o] : largest;
  vec sum = {}, own = {};
  for (int o = 0; o < kClasses; ++o) {
    const vec z = logits[o] - largest;
    own = label == o ? z : own;
    grad[o] = exp_of_negative(z);
    sum += grad[o];
  }
  const vec factor = scale / sum;
  for (int o = 0; o < kClasses; ++o) grad[o] = grad[o] * factor - (label == o ? scale : vec{});
  // The sum over lanes of log(sum) is one logarithm of a product: 1 <= sum <= 10, at most 16 lanes.
  double product = 1, total = 0;
  for (int lane = 0; lane < n_images; ++lane) {
    product *= static_cast<double>(sum[lane]);
    total -= static_cast<double>(own[lane]);
  }
  return total + __builtin_log(product);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
