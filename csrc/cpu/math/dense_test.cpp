#include "cpu/math/dense.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

template <int n_in, int n_out>
void check_layer() {
  std::mt19937 generator(n_in * 1000 + n_out);
  std::normal_distribution<float> normal;
  std::vector<float> weight(n_out * n_in), bias(n_out);
  for (float& w : weight) w = normal(generator);
  for (float& b : bias) b = normal(generator);
  std::vector<vec> x(n_in), y(n_out), grad_y(n_out), grad_x(n_in);
  for (vec& v : x)
    for (int lane = 0; lane < kLanes; ++lane) v[lane] = normal(generator);
  for (vec& v : grad_y)
    for (int lane = 0; lane < kLanes; ++lane) v[lane] = normal(generator);
  dense_forward<n_in, n_out>(weight.data(), bias.data(), x.data(), y.data());
  dense_grad_input<n_in, n_out>(weight.data(), grad_y.data(), grad_x.data());
  const double eps = std::ldexp(1.0, -24);
  const auto close = [&](double got, double exact, double magnitude, int terms) {
    return std::abs(got - exact) <= (terms + 1) * eps * magnitude;
  };
  bool right = true;
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int o = 0; o < n_out; ++o) {
      double exact = bias[o], magnitude = std::abs(bias[o]);
      for (int k = 0; k < n_in; ++k) {
        exact += double{weight[o * n_in + k]} * x[k][lane];
        magnitude += std::abs(double{weight[o * n_in + k]} * x[k][lane]);
      }
      right = right && close(y[o][lane], exact, magnitude, n_in);
    }
    for (int k = 0; k < n_in; ++k) {
      double exact = 0, magnitude = 0;
      for (int o = 0; o < n_out; ++o) {
        exact += double{weight[o * n_in + k]} * grad_y[o][lane];
        magnitude += std::abs(double{weight[o * n_in + k]} * grad_y[o][lane]);
      }
      right = right && close(grad_x[k][lane], exact, magnitude, n_out);
    }
  }
  CHECK(right);
}

TEST_CASE("dense_forward and dense_grad_input: sizes below, at and beyond a block") {
  check_layer<1, 1>();
  check_layer<19, 21>();
  check_layer<40, 7>();
  check_layer<84, 10>();
  check_layer<120, 84>();
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
