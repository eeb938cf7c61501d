// Toom-Cook forms F(outputs, taps) of a short correlation,
//
//   y[k] = sum over j < taps of w[j] d[k + j],   k < outputs,
//
// in outputs + taps - 1 products instead of outputs * taps:
//
//   y = A ((G w) . (B d)),   where . multiplies point by point.
//
// Correlation is the adjoint of multiplying two polynomials, which can be done by multiplying their
// values at points and interpolating. Row p of G and column p of A hold the powers of point x_p,
// row p of B the coefficients of the product over q != p of (x - x_q); the last point is infinity.
// Products may be summed over maps, rows and images before A is applied, and the adjoints give the
// gradients:
//
//   gradient of d    B^T ((G w) . (A^T grad_y))
//   gradient of w    G^T ((B d) . (A^T grad_y))
//
// The points decide the rounding error: tools/generate/toom_cook_points.py searches for those that
// the kernels use, and prints their errors. Opposite points x, -x share all their work except one
// addition. (A. Toom 1963, S. Cook 1966; S. Winograd, "Arithmetic Complexity of Computations",
// 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, arXiv
// 1509.09308, in two dimensions; on the choice of points B. Barabasz et al., "Error Analysis and
// Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020, arXiv
// 1803.10986.)
#pragma once

#include "cpu/simd/vec.h"
#include "toom_cook_matrices.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

template <int n_outputs, int n_taps, const auto& finite>
struct Form {
  static constexpr int outputs = n_outputs, taps = n_taps;
  static constexpr FormMatrices<outputs, taps> matrices{finite};
  static_assert(matrices.fit(finite), "points as Points and Fractions say");

  static constexpr int inputs = matrices.inputs, points = matrices.points;
  static constexpr int infinity = matrices.infinity;
  // The finite points: 0 or not, opposite points x, -x, the last one without its opposite or not.
  static constexpr bool zero = finite.x[0] == 0;
  static constexpr int opposites = (infinity - zero) / 2;
  static constexpr bool single = (infinity - zero) % 2 != 0;
  static constexpr double opposite(int i) { return finite.x[zero + 2 * i]; }
  // Only opposite points, none left out: row p of B is then (x + x_p) times a polynomial in x^2.
  static constexpr bool symmetric = !zero && !single && finite.fractions == Fractions::in_taps &&
                                    sizeof(finite.x) == infinity * sizeof(double);
};

// The functions below work on any vector type V; its lanes do not talk to each other. Sums begin
// with 0 + c * d, which every compiler turns into the same fused multiply-add; in c * d + c' * d'
// it could fuse either product.
template <class V>
auto first_lane(V v) {
  return v[0];
}
template <class V>
using Scalar = decltype(first_lane(V{}));

// points[p] = (G w)[p], computed in double and rounded once.
template <class F, class T>
inline void pack_taps(const T* w, T* points) {
  constexpr int n = 8;
  static_assert(F::infinity <= n, "the finite points fit into one vector");
  typedef double Values __attribute__((vector_size(n * sizeof(double))));
  typedef T Rounded __attribute__((vector_size(n * sizeof(T))));
  constexpr auto g = F::matrices;
  Values sum = {};
#pragma GCC unroll 8
  for (int j = 0; j < F::taps; ++j) {
    Values powers = {};
    for (int p = 0; p < F::infinity; ++p) powers[p] = g.g[p][j];
    sum += static_cast<double>(w[j]) * powers;
  }
  const Rounded rounded = __builtin_convertvector(sum, Rounded);
  __builtin_memcpy(points, &rounded, F::infinity * sizeof(T));
  points[F::infinity] = w[F::taps - 1];
}

// points[p * stride] = (G w)[p].
template <class F, class V>
inline void taps_to_points(const V (&w)[F::taps], V* points, std::int64_t stride) {
  constexpr auto m = F::matrices;
#pragma GCC unroll 16
  for (int p = 0; p < F::points; ++p) {
    V sum = {};
#pragma GCC unroll 16
    for (int j = 0; j < F::taps; ++j)
      if (m.g[p][j] != 0) sum += static_cast<Scalar<V>>(m.g[p][j]) * w[j];
    points[p * stride] = sum;
  }
}

// w = G^T points.
template <class F, class V>
inline void points_to_taps(const V (&points)[F::points], V (&w)[F::taps]) {
  constexpr auto m = F::matrices;
#pragma GCC unroll 16
  for (int j = 0; j < F::taps; ++j) {
    w[j] = V{};
#pragma GCC unroll 16
    for (int p = 0; p < F::points; ++p)
      if (m.g[p][j] != 0) w[j] += static_cast<Scalar<V>>(m.g[p][j]) * points[p];
  }
}

// points[p * stride] = (B d)[p].
template <class F, class V>
inline void inputs_to_points(const V (&d)[F::inputs], V* points, std::int64_t stride) {
  using T = Scalar<V>;
  constexpr auto m = F::matrices;
  if constexpr (F::symmetric) {
    constexpr int n = F::opposites;
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i) {
      V odd = d[2 * n - 1], even = d[2 * n - 2];
#pragma GCC unroll 8
      for (int k = 0; k < n - 1; ++k) {
        odd += static_cast<T>(m.b[2 * i][2 * k + 1]) * d[2 * k + 1];
        even += static_cast<T>(m.b[2 * i][2 * k + 1]) * d[2 * k];
      }
      const T x = static_cast<T>(F::opposite(i));
      points[2 * i * stride] = odd + x * even;
      points[(2 * i + 1) * stride] = odd - x * even;
    }
    V at_infinity = d[2 * n];
#pragma GCC unroll 8
    for (int k = 0; k < n; ++k) at_infinity += static_cast<T>(m.b[2 * n][2 * k]) * d[2 * k];
    points[2 * n * stride] = at_infinity;
  } else {
#pragma GCC unroll 16
    for (int p = 0; p < F::points; ++p) {
      V sum = {};
#pragma GCC unroll 16
      for (int k = 0; k < F::inputs; ++k)
        if (m.b[p][k] != 0) sum += static_cast<T>(m.b[p][k]) * d[k];
      points[p * stride] = sum;
    }
  }
}

// d = B^T points.
template <class F, class V>
inline void points_to_inputs(const V* points, std::int64_t stride, V (&d)[F::inputs]) {
  static_assert(F::symmetric, "no other form has needed it yet");
  using T = Scalar<V>;
  constexpr auto m = F::matrices;
  constexpr int n = F::opposites;
  const V at_infinity = points[2 * n * stride];
  d[2 * n] = at_infinity;
#pragma GCC unroll 8
  for (int k = 0; k < n; ++k) {
    d[2 * k] = static_cast<T>(m.b[2 * n][2 * k]) * at_infinity;
    d[2 * k + 1] = V{};
  }
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i) {
    const V plus = points[2 * i * stride], minus = points[(2 * i + 1) * stride];
    const V odd = plus + minus, even = static_cast<T>(F::opposite(i)) * (plus - minus);
    d[2 * n - 1] += odd;
    d[2 * n - 2] += even;
#pragma GCC unroll 8
    for (int k = 0; k < n - 1; ++k) {
      d[2 * k + 1] += static_cast<T>(m.b[2 * i][2 * k + 1]) * odd;
      d[2 * k] += static_cast<T>(m.b[2 * i][2 * k + 1]) * even;
    }
  }
}

// y = A points.
template <class F, class V>
inline void points_to_outputs(const V* points, std::int64_t stride, V (&y)[F::outputs]) {
  using T = Scalar<V>;
  constexpr auto m = F::matrices;
  constexpr int last = F::outputs - 1;
#pragma GCC unroll 8
  for (int k = 0; k <= last; ++k) y[k] = V{};
  y[last] = points[F::infinity * stride];
  if (F::zero) y[0] = last == 0 ? y[0] + points[0] : points[0];
#pragma GCC unroll 8
  for (int i = 0; i < F::opposites; ++i) {
    constexpr int zero = F::zero;
    const int p = zero + 2 * i;
    const V plus = points[p * stride], minus = points[(p + 1) * stride];
    const V even = plus + minus, odd = plus - minus;
#pragma GCC unroll 8
    for (int k = 0; k <= last; ++k) {
      const bool first = i == 0 && k != last && !(zero && k == 0);
      const V term = k % 2 ? odd : even;
      y[k] = first && m.a[k][p] == 1 ? term : y[k] + static_cast<T>(m.a[k][p]) * term;
    }
  }
  if (F::single)
#pragma GCC unroll 8
    for (int k = 0; k <= last; ++k)
      y[k] += static_cast<T>(m.a[k][F::infinity - 1]) * points[(F::infinity - 1) * stride];
}

// points[p * stride] = (A^T y)[p].
template <class F, class V>
inline void outputs_to_points(const V (&y)[F::outputs], V* points, std::int64_t stride) {
  static_assert(F::symmetric, "no other form has needed it yet");
  using T = Scalar<V>;
  constexpr auto m = F::matrices;
#pragma GCC unroll 8
  for (int i = 0; i < F::opposites; ++i) {
    V even = y[0], odd = {};
#pragma GCC unroll 8
    for (int k = 1; k < F::outputs; ++k)
      (k % 2 ? odd : even) += static_cast<T>(m.a[k][2 * i]) * y[k];
    points[2 * i * stride] = even + odd;
    points[(2 * i + 1) * stride] = even - odd;
  }
  points[F::infinity * stride] = y[F::outputs - 1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
