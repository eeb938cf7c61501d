// LeNet-5's sizes.
#pragma once

#include "kernels.h"

namespace lenetshift {
namespace {  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr int kTaps = 5;                 // in a row, and in a column, of a 5 x 5 kernel
constexpr int kMaps1 = 6;                // C1, S2
constexpr int kMaps3 = 16;               // C3, S4
constexpr int kS2Side = kImageSize / 2;  // a map's; C1's is the image's
constexpr int kC3Side = kS2Side - (kTaps - 1), kS4Side = kC3Side / 2;
constexpr int kS4Pixels = kS4Side * kS4Side;  // of a map
constexpr int kC5Units = 120;
constexpr int kF6Units = 84;

// The distance from a shift's first line (row or column) to its last one on the canvas of all
// shifts (cpu/lenet5/canvas.h): its lines of S2 and C3 are two apart, those of S4 four.
constexpr int kS2Last = (kS2Side - 1) * 2, kC3Last = (kC3Side - 1) * 2;
constexpr int kS4Last = (kS4Side - 1) * 4;

}  // namespace
}  // namespace lenetshift
