#include "cpu/math/toom_cook.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "cpu/conv/conv5x5.h"
#include "cpu/lenet5/weights.h"
#include "cpu/perceptron/pixel_form.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

using D = Vec<double>;

// Everything is in double, in which a form is practically exact. The lanes hold different values,
// because equal ones would hide an exchange of lanes.
template <class F>
struct Problem {
  D w[F::taps], d[F::inputs], grad_y[F::outputs];
  Problem() {
    std::mt19937 generator(F::outputs * 10 + F::taps);
    std::normal_distribution<double> normal;
    for (D* values : {w, d, grad_y}) {
      const int n = values == w ? F::taps : values == d ? F::inputs : F::outputs;
      for (int i = 0; i < n; ++i)
        for (int lane = 0; lane < kLanesOf<double>; ++lane) values[i][lane] = normal(generator);
    }
  }
};

double largest(D v) {
  double most = 0;
  for (int lane = 0; lane < kLanesOf<double>; ++lane) most = std::max(most, std::abs(v[lane]));
  return most;
}

constexpr int kStride = 3;  // of the points in memory
constexpr double kBound = 1e-12;

template <class F>
void check_outputs() {
  const Problem<F> problem;
  D points_w[F::points], points_d[F::points * kStride], products[F::points * kStride];
  taps_to_points<F>(problem.w, points_w, 1);
  inputs_to_points<F>(problem.d, points_d, kStride);
  for (int p = 0; p < F::points; ++p) products[p * kStride] = points_w[p] * points_d[p * kStride];
  D y[F::outputs];
  points_to_outputs<F>(products, kStride, y);
  for (int k = 0; k < F::outputs; ++k) {
    D direct = {};
    for (int j = 0; j < F::taps; ++j) direct += problem.w[j] * problem.d[k + j];
    CHECK(largest(y[k] - direct) < kBound);
  }
}

template <class F>
void check_packed_taps() {
  const Problem<F> problem;
  D exact[F::points];
  taps_to_points<F>(problem.w, exact, 1);
  for (int lane = 0; lane < kLanesOf<double>; ++lane) {
    float w[F::taps], packed[F::points + 1];
    for (int j = 0; j < F::taps; ++j) w[j] = static_cast<float>(problem.w[j][lane]);
    packed[F::points] = -7;
    pack_taps<F>(w, packed);
    for (int p = 0; p < F::points; ++p)
      CHECK(std::abs(packed[p] - exact[p][lane]) < 1e-6 * (1 + std::abs(exact[p][lane])));
    CHECK(packed[F::points] == -7);  // nothing beyond
  }
}

// <A points, g> = <points, A^T g>, and likewise for the other two adjoints, on random points.
template <class F>
void check_adjoints() {
  const Problem<F> problem;
  D points[F::points * kStride], other[F::points * kStride], w[F::taps], plain[F::points];
  std::mt19937 generator(7);
  std::normal_distribution<double> normal;
  for (D& point : points)
    for (int lane = 0; lane < kLanesOf<double>; ++lane) point[lane] = normal(generator);
  const auto inner = [&](const D* a, const D* b, int n, int stride_a, int stride_b) {
    D sum = {};
    for (int i = 0; i < n; ++i) sum += a[i * stride_a] * b[i * stride_b];
    return sum;
  };

  D y[F::outputs];
  points_to_outputs<F>(points, kStride, y);
  outputs_to_points<F>(problem.grad_y, other, kStride);
  CHECK(largest(inner(y, problem.grad_y, F::outputs, 1, 1) -
                inner(points, other, F::points, kStride, kStride)) < kBound);

  D d[F::inputs];
  points_to_inputs<F>(points, kStride, d);
  inputs_to_points<F>(problem.d, other, kStride);
  CHECK(largest(inner(d, problem.d, F::inputs, 1, 1) -
                inner(points, other, F::points, kStride, kStride)) < kBound);

  for (int p = 0; p < F::points; ++p) plain[p] = points[p * kStride];
  points_to_taps<F>(plain, w);
  taps_to_points<F>(problem.w, other, kStride);
  CHECK(largest(inner(w, problem.w, F::taps, 1, 1) - inner(plain, other, F::points, 1, kStride)) <
        kBound);
}

TEST_CASE("forms: outputs of every form in use against the direct sum") {
  check_outputs<TileForm<2>>();
  check_outputs<TileForm<3>>();
  check_outputs<ConvForm>();
  check_outputs<PixelForm<1, 4>>();
  check_outputs<PixelForm<2, 4>>();
  check_outputs<PixelForm<3, 4>>();
  check_outputs<PixelForm<4, 4>>();
  check_outputs<PixelForm<5, 4>>();
  check_outputs<PixelForm<1, 6>>();
  check_outputs<PixelForm<2, 6>>();
  check_outputs<PixelForm<3, 6>>();
}

TEST_CASE("pack_taps: the points of weights, rounded once") {
  check_packed_taps<TileForm<2>>();
  check_packed_taps<TileForm<3>>();
  check_packed_taps<ConvForm>();
}

TEST_CASE("forms: adjoints") {
  check_adjoints<TileForm<3>>();
  check_adjoints<ConvForm>();
}

TEST_CASE("forms on the same points read the same planes of weights") {
  const float w[kTaps] = {0.5f, -1.25f, 2, 0.75f, -3};
  float two[TileForm<2>::points], three[TileForm<3>::points];
  pack_taps<TileForm<2>>(w, two);
  pack_taps<TileForm<3>>(w, three);
  for (int p = 0; p < TileForm<2>::points; ++p) CHECK(two[p] == three[plane_of<2>(p)]);
}

TEST_CASE("pixels at points are whole numbers, exactly") {
  using F = PixelForm<5, 4>;
  vec w[F::taps], points[F::points];
  for (int j = 0; j < F::taps; ++j) w[j] = vec{} + static_cast<float>(255 - j);
  taps_to_points<F>(w, points, 1);
  for (const vec& point : points) CHECK(point[0] == std::round(point[0]));
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
