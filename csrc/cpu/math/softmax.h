// Softmax and cross-entropy of ten logits, images in the lanes: no lane talks to another.
#pragma once

#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// exp(x) for x <= 0, 0 below -87 (there exp is under the smallest normal float's neighbourhood,
// which no sum that contains exp(0) feels). x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) by its Taylor
// polynomial of degree 6 (remainder 1.2e-7 of a unit), 2^n by adding n to the exponent's bits.
// Relative error under 3e-7. NaN stays NaN.
inline vec exp_of_negative(vec x) {
  const vec clamped = x < -87.0f ? vec{} - 87.0f : x;
  // Adding 1.5 * 2^23 rounds to the nearest integer, which then stands in the low bits.
  const vec shifted = clamped * 1.4426950408889634f + 12582912.0f;
  const vec n = shifted - 12582912.0f;
  vec r = clamped - n * 0.693145751953125f;  // ln 2 in two pieces: n times the first is exact
  r = r - n * 1.42860682030941723212e-6f;
  vec p = 1.3888889e-3f * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const vec y = (vec)((ivec)p + ((ivec)shifted << 23));
  return x < -87.0f ? vec{} : x != x ? x : y;
}

// The cross-entropy of one lane group: logits and grad are vec [10]; label holds each lane's.
// Writes grad[o] = (softmax(logits)[o] - (o == label)) * scale, which is 0 in the lanes whose scale
// is 0, and returns the sum of the losses of the first n_images lanes.
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
  for (int o = 0; o < kClasses; ++o)
    grad[o] = grad[o] * factor - (label == o ? scale : vec{});
  // sum over lanes of log(sum) is one logarithm of their product: 1 <= sum <= 10, at most 16 lanes.
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
