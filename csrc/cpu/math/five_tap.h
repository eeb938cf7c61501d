// Toom-Cook forms F(m, 5) of a five-tap correlation, y[k] = sum over j of w[j] d[k + j], k < m, in
// m + 4 products instead of 5 m, for m = 3 and m = 5, with the adjoints that gradients need:
//
//   forward          y = A ((G w) . (B d))
//   gradient of d    B^T ((G w) . (A^T grad_y))
//   gradient of w    G^T ((B d) . (A^T grad_y))
//
// where . multiplies point by point, so that products may be summed over maps, rows and images
// before A, B^T or G^T is applied. The points are pairs +-a, which share all their work but one
// addition, and infinity. The rounding error of F(3, 5) is about twice that of the direct sum, that
// of F(5, 5) four times, on average over a tile; with points 0, +-1, ... it would be seven times.
// (A. Toom 1963, S. Cook 1966; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016, arXiv 1509.09308, in two dimensions; on the choice of points B. Barabasz et al.,
// "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks",
// 2020, arXiv 1803.10986.)
#pragma once

#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The pairs of F(m, 5). Points 2i and 2i + 1 are +a and -a for the pair i, the last one is
// infinity. All that follows of them is exact in float32.
template <int m>
struct PairPoints;
template <>
struct PairPoints<3> {
  static constexpr double a[] = {0.75, 1.75, 0.25};
};
template <>
struct PairPoints<5> {
  static constexpr double a[] = {1, 2, 0.625, 0.25};
};

// The product of (s - a^2) over pairs, in powers of s: coefficient [degree], without pair i for
// row i, of all pairs for the last row. With x^2 for s it is the polynomial that vanishes at the
// pairs' points.
template <int m>
struct PairProducts {
  static constexpr int pairs = (m + 3) / 2;
  double coefficient[pairs + 1][pairs + 1] = {};
  constexpr PairProducts() {
    for (int i = 0; i <= pairs; ++i) {
      double* const c = coefficient[i];
      c[0] = 1;
      for (int j = 0, degree = 0; j < pairs; ++j) {
        if (j == i) continue;
        ++degree;
        for (int k = degree; k >= 0; --k)
          c[k] = (k > 0 ? c[k - 1] : 0) - PairPoints<m>::a[j] * PairPoints<m>::a[j] * c[k];
      }
    }
  }
};

template <int m>
struct FiveTap {
  static constexpr int inputs = m + kTaps - 1, points = inputs;
  static constexpr int pairs = (points - 1) / 2, infinity = points - 1;
  static constexpr PairProducts<m> products{};

  // G: the polynomial of the taps at the points, over the value there of the product that B forms.
  struct TapsToPoints {
    double at[points][kTaps] = {};
    constexpr TapsToPoints() {
      for (int i = 0; i < pairs; ++i) {
        const double a = PairPoints<m>::a[i];
        double product = 0;  // over the other pairs, at a
        for (int k = pairs - 1; k >= 0; --k)
          product = product * a * a + products.coefficient[i][k];
        double power = 1 / (2 * a * product);
        for (int j = 0; j < kTaps; ++j, power *= a) {
          at[2 * i][j] = power;
          at[2 * i + 1][j] = j % 2 ? power : -power;
        }
      }
      at[infinity][kTaps - 1] = 1;
    }
  };
  static constexpr TapsToPoints taps_to_points{};
};

// points[p * stride] = (B d)[p]: at +-a the coefficients of (x +- a) times the other pairs'
// product.
template <int m, class T>
inline void inputs_to_points(const Vec<T> (&d)[m + 4], Vec<T>* points, std::int64_t stride) {
  constexpr int pairs = FiveTap<m>::pairs;
  constexpr auto products = FiveTap<m>::products;
#pragma GCC unroll 4
  for (int i = 0; i < pairs; ++i) {
    const double* const c = products.coefficient[i];
    Vec<T> odd = d[2 * pairs - 1], even = d[2 * pairs - 2];
#pragma GCC unroll 4
    for (int k = 0; k < pairs - 1; ++k) {
      odd += static_cast<T>(c[k]) * d[2 * k + 1];
      even += static_cast<T>(c[k]) * d[2 * k];
    }
    const T a = static_cast<T>(PairPoints<m>::a[i]);
    points[2 * i * stride] = odd + a * even;
    points[(2 * i + 1) * stride] = odd - a * even;
  }
  Vec<T> infinity = d[2 * pairs];
#pragma GCC unroll 4
  for (int k = 0; k < pairs; ++k)
    infinity += static_cast<T>(products.coefficient[pairs][k]) * d[2 * k];
  points[2 * pairs * stride] = infinity;
}

// d = B^T points.
template <int m, class T>
inline void points_to_inputs(const Vec<T>* points, std::int64_t stride, Vec<T> (&d)[m + 4]) {
  constexpr int pairs = FiveTap<m>::pairs;
  constexpr auto products = FiveTap<m>::products;
  const Vec<T> infinity = points[2 * pairs * stride];
  d[2 * pairs] = infinity;
#pragma GCC unroll 4
  for (int k = 0; k < pairs; ++k) {
    d[2 * k] = static_cast<T>(products.coefficient[pairs][k]) * infinity;
    d[2 * k + 1] = Vec<T>{};
  }
#pragma GCC unroll 4
  for (int i = 0; i < pairs; ++i) {
    const double* const c = products.coefficient[i];
    const Vec<T> plus = points[2 * i * stride], minus = points[(2 * i + 1) * stride];
    const Vec<T> odd = plus + minus, even = static_cast<T>(PairPoints<m>::a[i]) * (plus - minus);
    d[2 * pairs - 1] += odd;
    d[2 * pairs - 2] += even;
#pragma GCC unroll 4
    for (int k = 0; k < pairs - 1; ++k) {
      d[2 * k + 1] += static_cast<T>(c[k]) * odd;
      d[2 * k] += static_cast<T>(c[k]) * even;
    }
  }
}

// y = A points.
template <int m, class T>
inline void points_to_outputs(const Vec<T>* points, std::int64_t stride, Vec<T> (&y)[m]) {
  constexpr int pairs = FiveTap<m>::pairs;
#pragma GCC unroll 5
  for (int k = 0; k < m - 1; ++k) y[k] = Vec<T>{};
  y[m - 1] = points[2 * pairs * stride];
#pragma GCC unroll 4
  for (int i = 0; i < pairs; ++i) {
    const Vec<T> plus = points[2 * i * stride], minus = points[(2 * i + 1) * stride];
    const Vec<T> even = plus + minus, odd = plus - minus;
    double power = 1;
#pragma GCC unroll 5
    for (int k = 0; k < m; ++k, power *= PairPoints<m>::a[i])
      y[k] += static_cast<T>(power) * (k % 2 ? odd : even);
  }
}

// points[p * stride] = (A^T y)[p].
template <int m, class T>
inline void outputs_to_points(const Vec<T> (&y)[m], Vec<T>* points, std::int64_t stride) {
  constexpr int pairs = FiveTap<m>::pairs;
#pragma GCC unroll 4
  for (int i = 0; i < pairs; ++i) {
    Vec<T> even = y[0], odd = {};
    double power = PairPoints<m>::a[i];
#pragma GCC unroll 5
    for (int k = 1; k < m; ++k, power *= PairPoints<m>::a[i])
      (k % 2 ? odd : even) += static_cast<T>(power) * y[k];
    points[2 * i * stride] = even + odd;
    points[(2 * i + 1) * stride] = even - odd;
  }
  points[2 * pairs * stride] = y[m - 1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
