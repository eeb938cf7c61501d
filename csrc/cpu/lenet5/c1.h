// C1 on the canvas, a row at a time, pooled along x.
//
// The algorithm, for row y of one image:
//   for column x, map c
//     C1[x][c] = act(bias[c] + sum over u, v of weight[u][v][c] * ink[y + u - 2][x + v - 2])
//     x_sum[x][c] = C1[x][c] + C1[x + 1][c]
//
// The schedule, 16 images in the lanes (AVX-512):
//   columns that see no ink: act(bias[c])
//   for each block of 4 columns that do      4 x 6 maps = 24 sums and 4 pixels fit 32 registers
//     for u, for v                           (2 columns fit 16)
//       4 pixels, each weight broadcast once for 4 multiply-adds
//   activation of the row, then the x-sums
//
// It is bound by multiply-adds, 24 for 10 loads. It is a small part of the whole, 7 % of LeNet-5's
// products on MNIST: columns and rows without ink cost only their stores.
#pragma once

#include "cpu/lenet5/rows.h"
#include "cpu/math/activation.h"
#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kC1Columns = kRegisters >= 32 ? 4 : 2;  // of a block

// The taps inside the frame for line i = 0, 1 of the two C1 lines at one end of the frame.
inline Taps taps_in_frame(End end, int i) {
  return end == End::high ? Taps{0, 3 - i} : Taps{2 - i, 4};
}

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

// Whether C1's row y (in image coordinates) sees ink of any image.
inline bool c1_row_sees_ink(const InkBox& box, int y) { return y >= box.y0 - 2 && y <= box.y1 + 2; }

// The x-sums of row y (in image coordinates): x_sums[x][map] = C1(y, x) + C1(y, x + 1) for the S2
// columns x of the canvas. c1 [s2 columns + 1][6] is scratch.
[[gnu::noinline]] inline void c1_row(const Lenet5Inputs& in, int y, Taps taps, vec* c1,
                                     vec* x_sums) {
  const Lenet5Weights& w = in.w;
  const InkBox& box = in.box;
  const int n = in.canvas.x.s2() + 1;
  const int origin = -in.canvas.x.last_shift;
  int first = n, stop = n;  // canvas columns that see ink
  if (c1_row_sees_ink(box, y)) {
    first = box.x0 - 2 - origin > 0 ? box.x0 - 2 - origin : 0;
    stop = box.x1 + 3 - origin < n ? box.x1 + 3 - origin : n;
    if (first >= stop) first = stop = n;
  }
  vec blank[kMaps1];
  for (int c = 0; c < kMaps1; ++c) blank[c] = activate(in.activation, broadcast(w.c1_bias[c]));
  for (int x = 0; x < n; ++x) {
    if (x == first) x = stop;
    if (x >= n) break;
    for (int c = 0; c < kMaps1; ++c) c1[x * kMaps1 + c] = blank[c];
  }
  int x = first;
  for (; x + kC1Columns <= stop; x += kC1Columns)
    c1_columns<kC1Columns>(in.ink, w, y, origin + x, taps, {}, c1 + x * kMaps1);
  for (; x < stop; ++x) c1_columns<1>(in.ink, w, y, origin + x, taps, {}, c1 + x * kMaps1);
  activate(in.activation, c1 + first * kMaps1, (stop - first) * kMaps1);
  for (int i = 0; i < (n - 1) * kMaps1; ++i) x_sums[i] = c1[i] + c1[i + kMaps1];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
