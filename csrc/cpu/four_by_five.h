// The Toom-Cook form F(4, 5) of a five-tap correlation, y[k] = sum over j of w[j] d[k + j], k < 4,
// in eight products instead of twenty, with the adjoints that its gradients need:
//
//   forward          y = A ((G w) . (B d))
//   gradient of d    B^T ((G w) . (A^T grad_y))
//   gradient of w    G^T ((B d) . (A^T grad_y))
//
// where . multiplies point by point, so that products may be summed over maps, rows and images
// before A, B^T or G^T is applied. The points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity: those of
// a pair +-a share all their work but one addition. The rounding error is about twice that of the
// direct sum.
// (A. Toom 1963, S. Cook 1966; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016, arXiv 1509.09308, in two dimensions.)
#pragma once

#include "constant.h"
#include "vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kTileOutputs = 4;
constexpr int kTileInputs = kTileOutputs + kTaps - 1;
constexpr int kPoints = kTileInputs;
constexpr int kPointOne = 1;  // at 1 the outputs are summed

// G: the polynomial of the taps at the points, over the value there of the product that B forms.
struct TapsToPoints {
  double at[kPoints][kTaps] = {};
  constexpr TapsToPoints() {
    constexpr double x[kPoints - 1] = {0, 1, -1, 2, -2, 0.5, -0.5};
    for (int p = 0; p < kPoints - 1; ++p) {
      double value = 1;
      for (int q = 0; q < kPoints - 1; ++q)
        if (q != p) value *= x[p] - x[q];
      for (int j = 0; j < kTaps; ++j, value /= x[p] == 0 ? 1 : x[p])
        at[p][j] = x[p] == 0 && j > 0 ? 0 : 1 / value;
    }
    at[kPoints - 1][kTaps - 1] = 1;
  }
};
constexpr TapsToPoints kTapsToPoints;

// What B takes of a pair of points +-a: even = d6 - (b + c) d4 + b c d2 and
// odd = a (d5 - (b + c) d3 + b c d1), b and c being the squares of the other two.
struct PointPair {
  float a, sum, product;
};
constexpr PointPair kPointPairs[3] = {{1, 4.25f, 1}, {2, 1.25f, 0.25f}, {0.5f, 5, 4}};

// points[p * stride] = (B d)[p].
template <class T>
inline void inputs_to_points(const Vec<T> (&d)[kTileInputs], Vec<T>* points, std::int64_t stride) {
  points[0] = (d[6] - d[0]) + T{5.25} * (d[2] - d[4]);
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    constexpr auto pairs = kPointPairs;
    const T a = pairs[i].a, sum = pairs[i].sum, product = pairs[i].product;
    const Vec<T> even = d[6] - sum * d[4] + product * d[2];
    const Vec<T> odd = d[5] - sum * d[3] + product * d[1];
    points[(2 * i + 1) * stride] = even + a * odd;
    points[(2 * i + 2) * stride] = even - a * odd;
  }
  points[(kPoints - 1) * stride] = (d[7] - d[1]) + T{5.25} * (d[3] - d[5]);
}

// d = B^T points.
template <class T>
inline void points_to_inputs(const Vec<T>* points, std::int64_t stride, Vec<T> (&d)[kTileInputs]) {
  const Vec<T> zero = points[0], infinity = points[(kPoints - 1) * stride];
  d[0] = -zero;
  d[1] = -infinity;
  d[2] = T{5.25} * zero;
  d[3] = T{5.25} * infinity;
  d[4] = T{-5.25} * zero;
  d[5] = T{-5.25} * infinity;
  d[6] = zero;
  d[7] = infinity;
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    constexpr auto pairs = kPointPairs;
    const T a = pairs[i].a, sum = pairs[i].sum, product = pairs[i].product;
    const Vec<T> plus = points[(2 * i + 1) * stride], minus = points[(2 * i + 2) * stride];
    const Vec<T> even = plus + minus, odd = plus - minus;
    d[1] += a * product * odd;
    d[2] += product * even;
    d[3] -= a * sum * odd;
    d[4] -= sum * even;
    d[5] += a * odd;
    d[6] += even;
  }
}

// y = A points.
template <class T>
inline void points_to_outputs(const Vec<T>* points, std::int64_t stride,
                              Vec<T> (&y)[kTileOutputs]) {
  y[0] = points[0];
  y[3] = points[(kPoints - 1) * stride];
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    constexpr auto pairs = kPointPairs;
    const T a = pairs[i].a;
    const Vec<T> plus = points[(2 * i + 1) * stride], minus = points[(2 * i + 2) * stride];
    const Vec<T> even = plus + minus, odd = plus - minus;
    y[0] += even;
    y[1] = i == 0 ? odd : y[1] + a * odd;
    y[2] = i == 0 ? even : y[2] + a * a * even;
    y[3] += a * a * a * odd;
  }
}

// points[p * stride] = (A^T y)[p].
template <class T>
inline void outputs_to_points(const Vec<T> (&y)[kTileOutputs], Vec<T>* points,
                              std::int64_t stride) {
  points[0] = y[0];
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    constexpr auto pairs = kPointPairs;
    const T a = pairs[i].a;
    const Vec<T> even = y[0] + a * a * y[2], odd = a * y[1] + a * a * a * y[3];
    points[(2 * i + 1) * stride] = even + odd;
    points[(2 * i + 2) * stride] = even - odd;
  }
  points[(kPoints - 1) * stride] = y[3];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
