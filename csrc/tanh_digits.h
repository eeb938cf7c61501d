// Made by tools/generate/tanh_digits.py: change that, not this.
//
// tanh(x) = x p(x^2) / q(x^2) on |x| <= kTanhLimit, where 1 - |tanh| is 2.3e-07; beyond, the value
// there. p(z) = 1 + kTanhP1 z + ..., q(z) = 1 + kTanhQ1 z + ...: of all coefficients those with the
// smallest largest relative error, 1.53e-07; rounded to float32 as here, 1.81e-07.
#pragma once

namespace lenetshift {
namespace {  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr float kTanhLimit = 8.0f;
constexpr float kTanhP1 = 0.12930358f;
constexpr float kTanhP2 = 0.0029558113f;
constexpr float kTanhP3 = 1.1475153e-05f;
constexpr float kTanhQ1 = 0.4626361f;
constexpr float kTanhQ2 = 0.0238358f;
constexpr float kTanhQ3 = 0.00023931544f;
constexpr float kTanhQ4 = 2.473245e-07f;

}  // namespace
}  // namespace lenetshift
