// Short correlations y[i] = sum over j < r of g[j] * d[i + j], i < m, in n = m + r - 1 products
// instead of m r, g being pixels and d weights:  y = A ((G g) . (B d)).
//
// At a point x, a row of G [n, r] and a column of A [m, n] hold the powers of x; the last point is
// infinity; B [n, n] interpolates. Products may be summed over many g and d before A is applied.
// (A. Toom 1963, S. Cook 1966; S. Winograd, "Arithmetic Complexity of Computations", 1980.)
#pragma once

#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The finite points, in the order in which longer forms take them: 0 and pairs +-x, which share
// most of A's work.
constexpr int kMaxFinite = 7;
constexpr float kCorrelationPoints[kMaxFinite] = {0, 1, -1, 2, -2, 0.5f, -0.5f};
constexpr int kMaxProducts = kMaxFinite + 1;
constexpr int kMaxPixels = 6;

struct ShortCorrelation {
  int n;
  float pixels[kMaxProducts][kMaxPixels];     // G
  float weights[kMaxProducts][kMaxProducts];  // B
};

// The form of m outputs and r pixels. All fractions go into B, so that G maps pixels, small
// integers, to integers: exactly.
inline ShortCorrelation short_correlation(int m, int r) {
  ShortCorrelation form = {};
  const int n = m + r - 1, finite = n - 1;
  form.n = n;
  for (int p = 0; p < n; ++p) {
    // The product over q != p of (x - x_q), and its value at x_p.
    double coefficients[kMaxProducts + 1] = {1};
    double value = 1;
    int degree = 0;
    for (int q = 0; q < finite; ++q) {
      if (q == p) continue;
      ++degree;
      for (int k = degree; k >= 0; --k)
        coefficients[k] =
            (k > 0 ? coefficients[k - 1] : 0) - kCorrelationPoints[q] * coefficients[k];
      if (p < finite) value *= kCorrelationPoints[p] - kCorrelationPoints[q];
    }
    double power = 1;
    if (p < finite && kCorrelationPoints[p] * kCorrelationPoints[p] < 1 && p > 0)
      for (int j = 1; j < r; ++j) power *= 2, value *= 2;
    for (int j = 0; j < r; ++j) {
      form.pixels[p][j] = p < finite ? static_cast<float>(power) : static_cast<float>(j == r - 1);
      if (p < finite) power *= kCorrelationPoints[p];
    }
    for (int k = 0; k < n; ++k) form.weights[p][k] = static_cast<float>(coefficients[k] / value);
  }
  return form;
}

constexpr float power_of(float x, int i) { return i == 0 ? 1.0f : x * power_of(x, i - 1); }

// y = A t for the form of m outputs and r pixels: t[p * stride], p < m + r - 1, in; y[m] out.
template <int m, int r>
inline void interpolate(const vec* t, std::int64_t stride, vec* y) {
  constexpr int finite = m + r - 2, n_pairs = (finite - 1) / 2;
  vec sum[n_pairs], difference[n_pairs];
#pragma GCC unroll 4
  for (int k = 0; k < n_pairs; ++k) {
    const vec plus = t[(2 * k + 1) * stride], minus = t[(2 * k + 2) * stride];
    sum[k] = plus + minus;
    difference[k] = plus - minus;
  }
#pragma GCC unroll 8
  for (int i = 0; i < m; ++i) {
    vec v = (i & 1) ? difference[0] : sum[0];  // the pair +-1
    if (i == 0) v += t[0];
#pragma GCC unroll 4
    for (int k = 1; k < n_pairs; ++k)
      v += power_of(kCorrelationPoints[2 * k + 1], i) * ((i & 1) ? difference[k] : sum[k]);
    if (finite > 2 * n_pairs + 1)
      v += power_of(kCorrelationPoints[finite - 1], i) * t[(finite - 1) * stride];
    if (i == m - 1) v += t[finite * stride];
    y[i] = v;
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
