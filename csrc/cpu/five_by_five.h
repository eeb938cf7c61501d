// The Toom-Cook form F(5, 5) of a five-tap correlation, y[k] = sum over j of w[j] d[k + j], k < 5,
// in nine products instead of twenty-five, with the adjoints that its gradients need:
//
//   forward          y = A ((G w) . (B d))
//   gradient of d    B^T ((G w) . (A^T grad_y))
//   gradient of w    G^T ((B d) . (A^T grad_y))
//
// where . multiplies point by point, so that products may be summed over maps, rows and images
// before A, B^T or G^T is applied. The points are four pairs +-a, which share all their work but one
// addition, and infinity. The rounding error is about four times that of the direct sum; with the
// usual points 0, +-1, +-2, +-1/2 and one more it would be seven times.
// (A. Toom 1963, S. Cook 1966; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016, arXiv 1509.09308, in two dimensions; on points without 0 and of unusual sizes
// B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep
// Neural Networks", 2020, arXiv 1803.10986.)
#pragma once

#include "constant.h"
#include "vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kTileOutputs = 5;
constexpr int kTileInputs = kTileOutputs + kTaps - 1;
constexpr int kPoints = kTileInputs;
constexpr int kPointPairs = (kPoints - 1) / 2;
// Points 2i and 2i + 1 are +a and -a for the pair i, the last one is infinity. All that follows of
// them is exact in float32.
constexpr double kPairAt[kPointPairs] = {1, 2, 0.625, 0.25};
constexpr int kPointOne = 0;  // at 1 the outputs are summed

// The product of (s - a^2) over pairs, in powers of s: coefficient [degree], without pair i for
// row i, of all pairs for the last row. With x^2 for s it is the polynomial that vanishes at the
// pairs' points.
struct PairProducts {
  double coefficient[kPointPairs + 1][kPointPairs + 1] = {};
  constexpr PairProducts() {
    for (int i = 0; i <= kPointPairs; ++i) {
      double* const c = coefficient[i];
      c[0] = 1;
      for (int j = 0, degree = 0; j < kPointPairs; ++j) {
        if (j == i) continue;
        ++degree;
        for (int k = degree; k >= 0; --k)
          c[k] = (k > 0 ? c[k - 1] : 0) - kPairAt[j] * kPairAt[j] * c[k];
      }
    }
  }
};
constexpr PairProducts kPairProducts;

// G: the polynomial of the taps at the points, over the value there of the product that B forms.
struct TapsToPoints {
  double at[kPoints][kTaps] = {};
  constexpr TapsToPoints() {
    for (int i = 0; i < kPointPairs; ++i) {
      const double a = kPairAt[i];
      double product = 0;  // over the other pairs, at a
      for (int k = kPointPairs - 1; k >= 0; --k)
        product = product * a * a + kPairProducts.coefficient[i][k];
      double power = 1 / (2 * a * product);
      for (int j = 0; j < kTaps; ++j, power *= a) {
        at[2 * i][j] = power;
        at[2 * i + 1][j] = j % 2 ? power : -power;
      }
    }
    at[kPoints - 1][kTaps - 1] = 1;
  }
};
constexpr TapsToPoints kTapsToPoints;

// points[p * stride] = (B d)[p]: at +-a the coefficients of (x +- a) times the other pairs' product.
template <class T>
inline void inputs_to_points(const Vec<T> (&d)[kTileInputs], Vec<T>* points, std::int64_t stride) {
  constexpr auto products = kPairProducts;
#pragma GCC unroll 4
  for (int i = 0; i < kPointPairs; ++i) {
    const double* const c = products.coefficient[i];
    Vec<T> odd = d[2 * kPointPairs - 1], even = d[2 * kPointPairs - 2];
#pragma GCC unroll 4
    for (int k = 0; k < kPointPairs - 1; ++k) {
      odd += static_cast<T>(c[k]) * d[2 * k + 1];
      even += static_cast<T>(c[k]) * d[2 * k];
    }
    const T a = static_cast<T>(kPairAt[i]);
    points[2 * i * stride] = odd + a * even;
    points[(2 * i + 1) * stride] = odd - a * even;
  }
  Vec<T> infinity = d[2 * kPointPairs];
#pragma GCC unroll 4
  for (int k = 0; k < kPointPairs; ++k)
    infinity += static_cast<T>(products.coefficient[kPointPairs][k]) * d[2 * k];
  points[2 * kPointPairs * stride] = infinity;
}

// d = B^T points.
template <class T>
inline void points_to_inputs(const Vec<T>* points, std::int64_t stride, Vec<T> (&d)[kTileInputs]) {
  constexpr auto products = kPairProducts;
  const Vec<T> infinity = points[2 * kPointPairs * stride];
  d[2 * kPointPairs] = infinity;
#pragma GCC unroll 4
  for (int k = 0; k < kPointPairs; ++k) {
    d[2 * k] = static_cast<T>(products.coefficient[kPointPairs][k]) * infinity;
    d[2 * k + 1] = Vec<T>{};
  }
#pragma GCC unroll 4
  for (int i = 0; i < kPointPairs; ++i) {
    const double* const c = products.coefficient[i];
    const Vec<T> plus = points[2 * i * stride], minus = points[(2 * i + 1) * stride];
    const Vec<T> odd = plus + minus, even = static_cast<T>(kPairAt[i]) * (plus - minus);
    d[2 * kPointPairs - 1] += odd;
    d[2 * kPointPairs - 2] += even;
#pragma GCC unroll 4
    for (int k = 0; k < kPointPairs - 1; ++k) {
      d[2 * k + 1] += static_cast<T>(c[k]) * odd;
      d[2 * k] += static_cast<T>(c[k]) * even;
    }
  }
}

// y = A points.
template <class T>
inline void points_to_outputs(const Vec<T>* points, std::int64_t stride,
                              Vec<T> (&y)[kTileOutputs]) {
#pragma GCC unroll 5
  for (int k = 0; k < kTileOutputs - 1; ++k) y[k] = Vec<T>{};
  y[kTileOutputs - 1] = points[2 * kPointPairs * stride];
#pragma GCC unroll 4
  for (int i = 0; i < kPointPairs; ++i) {
    const Vec<T> plus = points[2 * i * stride], minus = points[(2 * i + 1) * stride];
    const Vec<T> even = plus + minus, odd = plus - minus;
    double power = 1;
#pragma GCC unroll 5
    for (int k = 0; k < kTileOutputs; ++k, power *= kPairAt[i])
      y[k] += static_cast<T>(power) * (k % 2 ? odd : even);
  }
}

// points[p * stride] = (A^T y)[p].
template <class T>
inline void outputs_to_points(const Vec<T> (&y)[kTileOutputs], Vec<T>* points,
                              std::int64_t stride) {
#pragma GCC unroll 4
  for (int i = 0; i < kPointPairs; ++i) {
    Vec<T> even = y[0], odd = {};
    double power = kPairAt[i];
#pragma GCC unroll 5
    for (int k = 1; k < kTileOutputs; ++k, power *= kPairAt[i])
      (k % 2 ? odd : even) += static_cast<T>(power) * y[k];
    points[2 * i * stride] = even + odd;
    points[(2 * i + 1) * stride] = even - odd;
  }
  points[2 * kPointPairs * stride] = y[kTileOutputs - 1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
