// C1 and S2 on the canvas, row by row.
#pragma once

#include "cpu/lenet5/pass.h"
#include "cpu/math/activation.h"
#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Columns of C1 at once; with six maps each they fill the registers.
constexpr int kC1Columns = kRegisters >= 32 ? 4 : 2;

// The taps inside the frame of row (or column) i = 0, 1 of the two at its start, or at its end.
inline Taps frame_taps(bool end, int i) { return end ? Taps{0, 3 - i} : Taps{2 - i, 4}; }

// C1 before its activation for n columns from x on of row y: out[x][map].
template <int n>
[[gnu::noinline]] void c1_columns(const vec* ink, const Lenet5Weights& w, int y, int x, Taps u_taps,
                                  Taps v_taps, vec* out) {
  vec sum[n][kMaps1];
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
    for (int c = 0; c < kMaps1; ++c) sum[i][c] = broadcast(w.c1_bias[c]);
  for (int u = u_taps.first; u <= u_taps.last; ++u) {
    const vec* const row = ink + (y + u - 2 + kBorder) * kInkStride + x - 2 + kBorder;
    for (int v = v_taps.first; v <= v_taps.last; ++v) {
      const float* const weight = w.c1 + (u * 5 + v) * kMaps1;
#pragma GCC unroll 8
      for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
        for (int c = 0; c < kMaps1; ++c) sum[i][c] += weight[c] * row[v + i];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
    for (int c = 0; c < kMaps1; ++c) out[i * kMaps1 + c] = sum[i][c];
}

// Row y (image coordinates) of C1 summed over neighbouring columns:
// pairs[x][map] = C1(y, x) + C1(y, x + 1) for the canvas columns x = 0 ... s2_columns - 1.
// Away from the ink C1 is act(bias), and known without computing.
[[gnu::noinline]] inline void c1_row_pairs(const Lenet5Pass& pass, int y, Taps taps, vec* pairs) {
  const Lenet5Weights& w = pass.w;
  const InkBox& box = pass.box;
  vec* const c1 = pass.rows.c1;
  const int n = pass.canvas.s2_columns() + 1;
  const int origin = -pass.canvas.dx_last;
  int first = n, stop = n;  // canvas columns that see ink
  if (y >= box.y0 - 2 && y <= box.y1 + 2) {
    first = box.x0 - 2 - origin > 0 ? box.x0 - 2 - origin : 0;
    stop = box.x1 + 3 - origin < n ? box.x1 + 3 - origin : n;
    if (first >= stop) first = stop = n;
  }
  vec blank[kMaps1];
  for (int c = 0; c < kMaps1; ++c) blank[c] = activate(pass.activation, broadcast(w.c1_bias[c]));
  for (int x = 0; x < n; ++x) {
    if (x == first) x = stop;
    if (x >= n) break;
    for (int c = 0; c < kMaps1; ++c) c1[x * kMaps1 + c] = blank[c];
  }
  int x = first;
  for (; x + kC1Columns <= stop; x += kC1Columns)
    c1_columns<kC1Columns>(pass.rows.ink, w, y, origin + x, taps, {}, c1 + x * kMaps1);
  for (; x < stop; ++x) c1_columns<1>(pass.rows.ink, w, y, origin + x, taps, {}, c1 + x * kMaps1);
  activate(pass.activation, c1 + first * kMaps1, (stop - first) * kMaps1);
  for (int i = 0; i < (n - 1) * kMaps1; ++i) pairs[i] = c1[i] + c1[i + kMaps1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
