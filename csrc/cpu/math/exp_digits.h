// Made by tools/generate/exp_digits.py: change that, not this.
//
// exp(x) = 2^n exp(r) with n = round(x / ln 2), r = x - n ln 2, for 0 >= x >= kExpSmallest. ln 2 in
// two parts: n times the first is exact. exp(r) by its Taylor polynomial of degree 6, whose
// remainder is at most 1.7e-07.
#pragma once

namespace lenetshift {
namespace {  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr float kExpSmallest = -87.0f;
constexpr float kLog2OfE = 1.442695f;
constexpr float kLn2High = 0.69314575f;
constexpr float kLn2Low = 1.4286068e-06f;
constexpr float kExpTerm2 = 0.5f;
constexpr float kExpTerm3 = 0.16666667f;
constexpr float kExpTerm4 = 0.041666667f;
constexpr float kExpTerm5 = 0.00833333333f;
constexpr float kExpTerm6 = 0.0013888889f;

}  // namespace
}  // namespace lenetshift
