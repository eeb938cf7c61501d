// C5's forms: F(3, 5) of cpu/math/five_tap.h, and for tiles of fewer windows F(2, 5) and F(1, 5), which use
// the same transformed weights and a few more.
#pragma once

#include "cpu/math/five_tap.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// "Planes" are the transformed weights: one for each point of F(3, 5), the last of them infinity,
// which is tap 4, and the taps 0 ... 3 that the direct form F(1, 5) needs beside it.
using C5Form = FiveTap<3>;
constexpr int kPlanes = C5Form::points + kTaps - 1;
constexpr int kTapPlane[kTaps] = {7, 8, 9, 10, C5Form::infinity};

// w [5] transformed to one plane, times scale; double, rounded once.
inline float weight_plane(const float* w, int plane, double scale) {
  if (plane >= C5Form::points) return static_cast<float>(w[plane - C5Form::points] * scale);
  constexpr auto form = C5Form::taps_to_points;
  double sum = 0;
  for (int j = 0; j < kTaps; ++j) sum += form.at[plane][j] * w[j];
  return static_cast<float>(sum * scale);
}

// Which plane each of F(m, 5)'s m + 4 products uses: F(2, 5) leaves out the last finite point.
template <int m>
constexpr int c5_plane(int t) {
  return m == 1 ? kTapPlane[t] : m == 2 && t == 5 ? C5Form::infinity : t;
}

// F(2, 5): the coefficients of the product of (x - x_q) over its other finite points q. F(3, 5)'s
// planes are divided by a product with one factor more, that of the point left out.
struct TwoWindows {
  static constexpr int points = 6;
  float input[points][points] = {};   // B
  float output[2][points] = {};       // A
  constexpr TwoWindows() {
    double x[points] = {};
    for (int p = 0; p < points; ++p)
      x[p] = (p % 2 ? -1 : 1) * PairPoints<3>::a[p / 2];
    const double left_out = x[points - 1];
    for (int p = 0; p < points; ++p) {
      const bool finite = p < points - 1;
      double c[points + 1] = {1};
      int degree = 0;
      for (int q = 0; q < points - 1; ++q) {
        if (q == p) continue;
        ++degree;
        for (int k = degree; k >= 0; --k) c[k] = (k > 0 ? c[k - 1] : 0) - x[q] * c[k];
      }
      for (int k = 0; k < points; ++k)
        input[p][k] = static_cast<float>(c[k] * (finite ? x[p] - left_out : 1));
      output[0][p] = finite;
      output[1][p] = static_cast<float>(finite ? x[p] : 1);
    }
  }
};
constexpr TwoWindows kTwoWindows;

// transformed[t * stride] = (B d)[t] for m windows.
template <int m>
inline void c5_inputs(const vec (&d)[m + 4], vec* transformed, std::int64_t stride) {
  if constexpr (m == 3) {
    inputs_to_points<3, float>(d, transformed, stride);
  } else {
#pragma GCC unroll 6
    for (int t = 0; t < m + 4; ++t) {
      vec sum = d[t];
      if constexpr (m == 2) {
        constexpr auto form = kTwoWindows;
        sum = form.input[t][0] * d[0];
#pragma GCC unroll 6
        for (int k = 1; k < 6; ++k) sum += form.input[t][k] * d[k];
      }
      transformed[t * stride] = sum;
    }
  }
}

// y = A products for m windows.
template <int m>
inline void c5_outputs(const vec* products, std::int64_t stride, vec (&y)[m]) {
  if constexpr (m == 3) {
    points_to_outputs<3, float>(products, stride, y);
  } else {
    for (int k = 0; k < m; ++k) y[k] = vec{};
#pragma GCC unroll 6
    for (int t = 0; t < m + 4; ++t)
      for (int k = 0; k < m; ++k) {
        constexpr auto form = kTwoWindows;
        y[k] += (m == 1 ? 1.0f : form.output[k][t]) * products[t * stride];
      }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
