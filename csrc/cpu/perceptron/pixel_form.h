// The forms of the perceptrons' shifted predictions: the taps are pixels or sums of pixels, which
// are small integers, and the inputs are weights.
#pragma once

#include "cpu/math/toom_cook.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// From tools/generate/toom_cook_points.py.
constexpr Points<7> kPixelPoints = {{0, 1, -1, 2, -2, 0.5, -0.5}, Fractions::in_inputs};
template <int shifts, int pixels>
using PixelForm = Form<shifts, pixels, kPixelPoints>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
