// The frame: shifts that push ink out on the left or right.
//
// There the moved image has zeros beyond its frame where the canvas still sees ink. C1's two
// outermost columns see two pixels beyond the frame, no other column sees any; so one column of S2,
// one of C3 and one of S4 differ, and they are the same for every dy. The difference of S2's column
// is computed directly, carried through C3 (one column of taps) and S4, and C5 adds its product
// with the difference of S4.
#pragma once

#include "lenet5_c3.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// pairs [6] = sum of C1's two outermost columns in row y, without the taps that fall outside the
// frame. On the right these are columns 26 - dx, 27 - dx of the canvas, and the last column of the
// image that is left is 27 - dx; on the left columns -dx, 1 - dx, the first that is left is -dx.
inline void frame_pairs(Activation activation, const Lenet5Weights& w, const vec* ink,
                        const InkBox& box, int y, int dx, bool right, vec* pairs) {
  vec c1[2 * kMaps1];
  if (y >= box.y0 - 2 && y <= box.y1 + 2) {
    const int x = right ? 26 - dx : -dx;
    c1_columns<1>(ink, w.c1, w.c1_bias, y, x, right ? 0 : 2, right ? 3 : 4, c1);
    c1_columns<1>(ink, w.c1, w.c1_bias, y, x + 1, right ? 0 : 1, right ? 2 : 4, c1 + kMaps1);
  } else {
    for (int i = 0; i < 2 * kMaps1; ++i) c1[i] = broadcast(w.c1_bias[i % kMaps1]);
  }
  for (int c = 0; c < kMaps1; ++c)
    pairs[c] = activate(activation, c1[c]) + activate(activation, c1[c + kMaps1]);
}

// Fills shift.delta_s4 after compute_s4; overwrites shift.s2 with differences, uses delta_c3
// [c3_rows][16] as scratch.
[[gnu::noinline]] void correct_frame(Activation activation, const Canvas& canvas,
                                     const Lenet5Weights& w, const InkBox& box, const vec* ink,
                                     const LossyShift& shift, vec* delta_c3) {
  const int step = canvas.row_step(), dx = canvas.dx_last - shift.f;
  vec pairs[2][kMaps1];
  frame_pairs(activation, w, ink, box, -canvas.dy_last, dx, shift.right, pairs[0]);
  for (int r = 0; r < canvas.s2_rows(); ++r) {
    frame_pairs(activation, w, ink, box, r + 1 - canvas.dy_last, dx, shift.right,
                pairs[(r + 1) & 1]);
    vec* const s2 = shift.s2 + r * kMaps1;
    if (r % step == 0)
      for (int c = 0; c < kMaps1; ++c) s2[c] = pairs[0][c] + pairs[1][c] - s2[c];
  }
  const float* const weight = w.c3_edge + (shift.right ? kMaps1 * 5 * kMaps3 : 0);
  for (int r = 0; r < canvas.c3_rows(); r += step) {
    vec sum[kMaps3];
#pragma GCC unroll 16
    for (int o = 0; o < kMaps3; ++o) sum[o] = vec{};
    for (int c = 0; c < kMaps1; ++c)
      for (int u = 0; u < 5; ++u) {
        const vec in = shift.s2[(r + 2 * u) * kMaps1 + c];
        const float* const w_cu = weight + (c * 5 + u) * kMaps3;
#pragma GCC unroll 16
        for (int o = 0; o < kMaps3; ++o) sum[o] += w_cu[o] * in;
      }
    for (int o = 0; o < kMaps3; ++o) {
      const vec before = shift.c3[r * kMaps3 + o];
      delta_c3[r * kMaps3 + o] =
          activate(activation, before + sum[o]) - activate(activation, before);
    }
  }
  for (int r = 0; r < canvas.s4_rows(); ++r)
    if (uses_s4_row(canvas, r))
      for (int o = 0; o < kMaps3; ++o)
        shift.delta_s4[r * kMaps3 + o] =
            delta_c3[r * kMaps3 + o] + delta_c3[(r + 2) * kMaps3 + o];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
