// C1 and S2 on the canvas, row by row.
#pragma once

#include "lenet5_weights.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Columns of C1 at once; with six maps each they fill the registers.
constexpr int kC1Columns = kRegisters >= 32 ? 4 : 2;

// C1 before its activation for n columns from x on, rows y: out[x][map]. Taps v_first ... v_last
// only (all five but at the frame, where a tap may fall on ink that has been lost).
template <int n>
[[gnu::noinline]] void c1_columns(const vec* ink, const float* weight, const float* bias, int y,
                                  int x, int v_first, int v_last, vec* out) {
  vec sum[n][kMaps1];
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
    for (int c = 0; c < kMaps1; ++c) sum[i][c] = broadcast(bias[c]);
  const vec* row = ink + (y - 2 + kBorder) * kInkStride + x - 2 + kBorder;
  for (int u = 0; u < 5; ++u, row += kInkStride)
    for (int v = v_first; v <= v_last; ++v) {
      const float* const w = weight + (u * 5 + v) * kMaps1;
#pragma GCC unroll 8
      for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
        for (int c = 0; c < kMaps1; ++c) sum[i][c] += w[c] * row[v + i];
    }
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
    for (int c = 0; c < kMaps1; ++c) out[i * kMaps1 + c] = sum[i][c];
}

// Row y (image coordinates) of C1 summed over neighbouring columns:
// pairs[x][map] = C1(y, x) + C1(y, x + 1) for the canvas columns x = 0 ... s2_columns - 1.
// Away from the ink C1 is act(bias), and known without computing.
[[gnu::noinline]] void c1_row_pairs(Activation activation, const Canvas& canvas,
                                    const Lenet5Weights& w, const vec* ink, const InkBox& box,
                                    int y, vec* c1, vec* pairs) {
  const int n = canvas.s2_columns() + 1;
  const int origin = -canvas.dx_last;
  int first = n, stop = n;  // canvas columns that see ink
  if (y >= box.y0 - 2 && y <= box.y1 + 2) {
    first = box.x0 - 2 - origin > 0 ? box.x0 - 2 - origin : 0;
    stop = box.x1 + 3 - origin < n ? box.x1 + 3 - origin : n;
    if (first >= stop) first = stop = n;
  }
  vec blank[kMaps1];
  for (int c = 0; c < kMaps1; ++c) blank[c] = activate(activation, broadcast(w.c1_bias[c]));
  for (int x = 0; x < n; ++x) {
    if (x == first) x = stop;
    if (x >= n) break;
    for (int c = 0; c < kMaps1; ++c) c1[x * kMaps1 + c] = blank[c];
  }
  int x = first;
  for (; x + kC1Columns <= stop; x += kC1Columns)
    c1_columns<kC1Columns>(ink, w.c1, w.c1_bias, y, origin + x, 0, 4, c1 + x * kMaps1);
  for (; x < stop; ++x) c1_columns<1>(ink, w.c1, w.c1_bias, y, origin + x, 0, 4, c1 + x * kMaps1);
  activate(activation, c1 + first * kMaps1, (stop - first) * kMaps1);
  for (int i = 0; i < (n - 1) * kMaps1; ++i) pairs[i] = c1[i] + c1[i + kMaps1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
