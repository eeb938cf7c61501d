// Activations on vectors.
#pragma once

#include "cpu/simd/vec.h"
#include "kernels.h"
#include "tanh_digits.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// tanh(x) = x p(x^2) / q(x^2) (tanh_digits.h). With float32 rounding, the relative error stays
// under 5e-7 (4 ulp). p(0) = q(0) = 1, so zeros keep their sign and denormals are exact; NaN stays
// NaN. The division overlaps with the multiply-adds of other vectors; an estimate of 1 / q with a
// Newton step would need more of those.
inline vec tanh(vec x) {
  const vec limit = vec{} + kTanhLimit;
  x = larger(-limit, smaller(limit, x));
  const vec z = x * x;
  vec p = kTanhP3 * z + kTanhP2;
  p = p * z + kTanhP1;
  p = p * z + 1.0f;
  vec q = kTanhQ4 * z + kTanhQ3;
  q = q * z + kTanhQ2;
  q = q * z + kTanhQ1;
  q = q * z + 1.0f;
  return x * p / q;
}

// The activation is chosen at run time: the branch goes the same way for a whole op, and a second
// copy of every kernel would cost more instruction cache and build time.
inline vec activate(Activation activation, vec x) {
  if (activation == Activation::tanh) return tanh(x);
  return larger(vec{}, x);
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
