// The matrices of Toom-Cook forms, for the CPU (cpu/math/toom_cook.h says what a form is) and for
// cards. They are computed at compile time alone.
#pragma once

#include <cstdint>

namespace lenetshift {
namespace {  // each file gets its own copy (see cpu/simd/vec.h for why)

// The factors 1 / (product over q != p of (x_p - x_q)) belong to row p of G or to row p of B:
//  - to G if the taps are weights, transformed once, in double. All forms on the same points then
//    share the rows of G, those of the longest form; A and B are exact in float32.
//  - to B if the taps are small integers. G then holds integers, and G w is exact.
enum class Fractions { in_taps, in_inputs };

// The finite points of some forms. Each form takes as many of the first ones as it needs: perhaps
// 0, then opposite points x, -x side by side.
template <int n>
struct Points {
  double x[n];
  Fractions fractions;
};

template <int outputs, int taps>
struct FormMatrices {
  static constexpr int inputs = outputs + taps - 1, points = inputs, infinity = points - 1;
  double g[points][taps] = {};
  double b[points][inputs] = {};
  double a[outputs][points] = {};

  template <int n>
  constexpr explicit FormMatrices(const Points<n>& finite) {
    static_assert(infinity <= n, "a point for each product but the last");
    for (int p = 0; p < points; ++p) {
      const double x = p < infinity ? finite.x[p] : 0;
      double value = 1, left_out = 1;  // products of x - x_q over points of the form and others
      b[p][0] = 1;
      for (int q = 0, degree = 0; q < infinity; ++q) {
        if (q == p) continue;
        ++degree;
        for (int k = degree; k >= 0; --k)
          b[p][k] = (k > 0 ? b[p][k - 1] : 0) - finite.x[q] * b[p][k];
        value *= x - finite.x[q];
      }
      for (int q = infinity; q < n; ++q) left_out *= x - finite.x[q];
      if (p == infinity) {
        g[p][taps - 1] = 1;
        a[outputs - 1][p] = 1;
        break;
      }
      double power = 1;
      for (int k = 0; k < outputs; ++k, power *= x) a[k][p] = power;
      const bool in_taps = finite.fractions == Fractions::in_taps;
      power = in_taps ? 1 / (value * left_out) : integer_factor(x);
      for (int k = 0; k < inputs; ++k) {
        if (in_taps)
          b[p][k] *= left_out;
        else
          b[p][k] /= value * power;
      }
      for (int j = 0; j < taps; ++j, power *= x) g[p][j] = power;
    }
  }

  // Checks of what the functions below and the choice of fractions rely on.
  template <int n>
  constexpr bool fit(const Points<n>& finite) const {
    for (int p = 0; p < infinity; ++p)
      for (int q = 0; q < p; ++q)
        if (finite.x[p] == finite.x[q]) return false;
    const int zero = finite.x[0] == 0;
    for (int p = zero; p + 1 < infinity; p += 2)
      if (finite.x[p] != -finite.x[p + 1]) return false;
    for (int p = 0; p < points; ++p) {
      for (int k = 0; k < outputs; ++k)
        if (!is_float(a[k][p])) return false;
      for (int k = 0; k < inputs; ++k)
        if (finite.fractions == Fractions::in_taps && !is_float(b[p][k])) return false;
      for (int j = 0; j < taps; ++j)
        if (finite.fractions == Fractions::in_inputs && !is_integer(g[p][j])) return false;
    }
    return true;
  }

 private:
  static constexpr bool is_float(double x) { return static_cast<float>(x) == x; }
  static constexpr bool is_integer(double x) { return static_cast<std::int64_t>(x) == x; }
  // The factor that makes the powers x^0 ... x^(taps - 1) integers.
  static constexpr double integer_factor(double x) {
    double denominator = 1, factor = 1;
    while (!is_integer(denominator * x)) denominator *= 2;
    for (int j = 1; j < taps; ++j) factor *= denominator;
    return factor;
  }
};

}  // namespace
}  // namespace lenetshift
