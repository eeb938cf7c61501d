// Toom-Cook forms F(m, 5) of a five-tap correlation: m neighbouring outputs
//   y[k] = sum over j of w[j] d[k + j],  k < m,
// from m + 4 products instead of 5 m:  y = A^T ((G w) .* (B^T d)).
//
// G evaluates the polynomial of the weights at the points, A^T is the transpose of evaluating a
// polynomial of degree m - 1, and B^T the transpose of interpolation through the points. The
// weights are transformed once for a whole evaluation, products are summed over channels and rows
// in the transformed domain, and only their sum is transformed back.
// (A. Toom 1963, S. Cook 1966; S. Winograd, "Arithmetic Complexity of Computations", 1980.)
#pragma once

#include "constant.h"
#include "vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Small points of mixed sign keep the entries of B^T, and so the rounding errors, small: with these
// the largest logit error of LeNet-5 grows from 3e-6 to about 7e-6. The point at infinity follows.
constexpr double kFiveTapPoints[] = {0, 1, -1, 0.5, -2, -0.5};

// "Planes" are the transformed weights: one for each point, the one at infinity, which is tap 4,
// and the three taps that the direct form F(1, 5) needs beside taps 0 (point 0) and 4.
constexpr int kInfinity = 6;
constexpr int kPlanes = 10;
constexpr int kTapPlane[kTaps] = {0, 7, 8, 9, kInfinity};

// w [5] with the given stride, transformed to one plane; double, rounded once.
inline float weight_plane(const float* w, int stride, int plane, double scale) {
  double sum = 0;
  if (plane < kInfinity) {
    for (int j = kTaps - 1; j >= 0; --j) sum = sum * kFiveTapPoints[plane] + w[j * stride];
  } else {
    sum = plane == kInfinity ? w[4 * stride] : w[(plane - kInfinity) * stride];
  }
  return static_cast<float>(sum * scale);
}

// The form F(m, 5): m outputs from m + 4 inputs. F(3, 5) uses all points, F(2, 5) leaves out the
// last finite one, F(1, 5) is the direct form, five products with the taps themselves.
template <int m>
struct FiveTap {
  static constexpr int outputs = m;
  static constexpr int inputs = m + kTaps - 1;
  static constexpr int products = inputs;
  int plane[products];             // which plane of the weights each product uses
  float input[products][inputs];   // B^T
  float output[m][products];       // A^T
};

template <int m>
constexpr FiveTap<m> make_five_tap() {
  FiveTap<m> form{};
  constexpr int n = form.products;
  if (m == 1) {
    for (int j = 0; j < n; ++j) {
      form.plane[j] = kTapPlane[j];
      form.input[j][j] = 1;
      form.output[0][j] = 1;
    }
    return form;
  }
  constexpr int finite = n - 1;
  for (int t = 0; t < n; ++t) {
    // The polynomial that is 1 at point t and 0 at the other finite ones; for infinity, the monic
    // one that is 0 at all of them.
    double coefficient[n] = {1};
    double scale = 1;
    int degree = 0;
    for (int i = 0; i < finite; ++i) {
      if (i == t) continue;
      ++degree;
      for (int k = degree; k >= 0; --k)
        coefficient[k] = (k > 0 ? coefficient[k - 1] : 0) - kFiveTapPoints[i] * coefficient[k];
      if (t < finite) scale *= kFiveTapPoints[t] - kFiveTapPoints[i];
    }
    for (int k = 0; k < n; ++k) form.input[t][k] = static_cast<float>(coefficient[k] / scale);
    form.plane[t] = t < finite ? t : kInfinity;
    double power = 1;
    for (int k = 0; k < m; ++k) {
      form.output[k][t] = static_cast<float>(t < finite ? power : (k == m - 1 ? 1.0 : 0.0));
      if (t < finite) power *= kFiveTapPoints[t];
    }
  }
  return form;
}

template <int m>
constexpr FiveTap<m> kFiveTap = make_five_tap<m>();

// transformed[t * stride] = sum over k of B^T[t][k] d[k].
template <int m>
inline void transform_input(const vec (&d)[m + 4], vec* transformed, std::int64_t stride) {
  constexpr int n = m + 4;
#pragma GCC unroll 8
  for (int t = 0; t < n; ++t) {
    vec sum = {};
    bool first = true;
#pragma GCC unroll 8
    for (int k = 0; k < n; ++k) {
      const float b = kFiveTap<m>.input[t][k];
      if (b == 0.0f) continue;
      sum = first ? b * d[k] : sum + b * d[k];
      first = false;
    }
    transformed[t * stride] = sum;
  }
}

// y[k] += sum over t of A^T[k][t] products[t * stride].
template <int m>
inline void transform_output(const vec* products, std::int64_t stride, vec (&y)[m]) {
#pragma GCC unroll 8
  for (int t = 0; t < m + 4; ++t) {
    const vec p = products[t * stride];
#pragma GCC unroll 3
    for (int k = 0; k < m; ++k) {
      const float a = kFiveTap<m>.output[k][t];
      if (a == 0.0f) continue;
      y[k] = y[k] + a * p;
    }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
