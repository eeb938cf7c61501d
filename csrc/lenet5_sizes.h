// LeNet-5's sizes.
#pragma once

namespace lenetshift {
namespace {  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr int kTaps = 5;    // in a row, and in a column, of a 5 x 5 kernel
constexpr int kMaps1 = 6;   // C1, S2
constexpr int kMaps3 = 16;  // C3, S4
constexpr int kS4Cells = 25;
constexpr int kC5Units = 120;
constexpr int kF6Units = 84;

}  // namespace
}  // namespace lenetshift
