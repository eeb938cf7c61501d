#include "cpu/math/softmax.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("exp_of_negative: relative error under 3e-7, 0 far below, NaN stays") {
  double worst = 0;
  for (float x = 0; x >= -86.9f; x -= 0.0137f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(exp_of_negative(vec{} + x)[0] - exact) / exact);
  }
  CHECK(worst < 3e-7);
  CHECK(exp_of_negative(vec{})[0] == 1);
  CHECK(exp_of_negative(vec{} - 88.0f)[0] == 0);
  CHECK(exp_of_negative(vec{} - std::numeric_limits<float>::infinity())[0] == 0);
  CHECK(std::isnan(exp_of_negative(vec{} + kNaN)[0]));
}

TEST_CASE("cross_entropy: loss and gradient of every number of images, in double") {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 5);
  for (int n_images = 1; n_images <= kLanes; ++n_images) {
    vec logits[kClasses], grad[kClasses], scale = {};
    ivec label = {};
    for (int o = 0; o < kClasses; ++o)
      for (int lane = 0; lane < kLanes; ++lane) logits[o][lane] = normal(generator);
    for (int lane = 0; lane < n_images; ++lane) {
      label[lane] = static_cast<std::int32_t>(generator() % kClasses);
      scale[lane] = 0.25f;
    }
    const double loss = cross_entropy(logits, label, scale, n_images, grad);
    double expected_loss = 0, worst = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      double sum = 0;
      for (int o = 0; o < kClasses; ++o) sum += std::exp(double{logits[o][lane]});
      if (lane < n_images) expected_loss += std::log(sum) - logits[label[lane]][lane];
      for (int o = 0; o < kClasses; ++o) {
        const double p = std::exp(double{logits[o][lane]}) / sum;
        const double expected = lane < n_images ? 0.25 * (p - (label[lane] == o)) : 0;
        worst = std::max(worst, std::abs(expected - grad[o][lane]));
      }
    }
    CHECK(std::abs(loss - expected_loss) < 1e-5 * n_images);
    CHECK(worst < 1e-6);
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
