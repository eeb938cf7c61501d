// Activations on vectors.
#pragma once

#include "../kernels.h"
#include "vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// 1 / x to within 2 ulp. x is finite, normal and not zero.
inline vec reciprocal(vec x) {
#if defined(__AVX512F__)
  // A 14-bit estimate and one Newton step take a third of the time of a division.
  const vec r = (vec)_mm512_maskz_rcp14_ps(-1, (__m512)x);
  return r + r * (1.0f - x * r);
#else
  return 1.0f / x;
#endif
}

// tanh(x) = x p(x^2) / q(x^2) on |x| <= 9, where tanh rounds to 1; beyond, the value at 9.
// p and q have degree 4; their coefficients minimise the largest relative error (2.2e-8 in exact
// arithmetic, found by reweighted least squares on the linearised problem). With float32 rounding
// the relative error stays under 5e-7 (4 ulp), |tanh| under 1 + 2.4e-7. p(0) = q(0) = 1, so that
// zeros keep their sign and denormals are exact; NaN stays NaN.
inline vec tanh(vec x) {
  const vec limit = vec{} + 9.0f;
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const vec z = x * x;
  vec p = 1.3419796722319335e-08f * z + 2.0661241738374832e-05f;
  p = p * z + 3.498994699734109e-03f;
  p = p * z + 1.3383979079881392e-01f;
  p = p * z + 1.0f;
  vec q = 7.804718280361444e-07f * z + 3.291036197602837e-04f;
  q = q * z + 2.5890201031646524e-02f;
  q = q * z + 4.6717300562434405e-01f;
  q = q * z + 1.0f;
  return x * (p * reciprocal(q));
}

// Which activation is asked at run time: the branch goes the same way for a whole op, and a second
// copy of every kernel would cost more, in the instruction cache and in the time to build.
inline vec activate(Activation activation, vec x) {
  if (activation == Activation::tanh) return tanh(x);
  return x < 0.0f ? vec{} : x;
}

inline void activate(Activation activation, vec* values, int n) {
  for (int i = 0; i < n; ++i) values[i] = activate(activation, values[i]);
}

// The activation's derivative, from its value y.
inline vec slope(Activation activation, vec y) {
  if (activation == Activation::tanh) return 1.0f - y * y;
  return y > 0.0f ? vec{} + 1.0f : vec{};
}

inline void tanh_array(const float* x, float* y, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, tanh(load(x + i)));
  if (i < n) {
    vec rest = {};
    __builtin_memcpy(&rest, x + i, (n - i) * sizeof(float));
    rest = tanh(rest);
    __builtin_memcpy(y + i, &rest, (n - i) * sizeof(float));
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
