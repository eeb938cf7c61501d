// S2 and C3 on the canvas, a row at a time.
//
// The algorithm, for row y of one image:
//   for map o, column x
//     C3[o][x] = bias[o] + sum over connections (o, c), u, v of
//                          weight[o, c][u][v] * S2[c][y + 2u][x + 2v]
//
// Columns x and x + 2v have the same parity. Within a parity this is a correlation of five taps,
// computed in the form F(3, 5): a tile of three outputs from seven inputs takes seven products for
// each connection and row of taps instead of fifteen.
//
// The schedule, 16 images in the lanes (AVX-512):
//   S2 row y + 8 to points: for parity, map c, tile: 7 inputs -> 7 points     s2_to_points
//   for each parity                                                           c3_row_sums
//     for each block of 5 tiles        the default grid's 15 columns of a parity
//       for each of the 7 points
//         for each group of 4 maps     4 x 5 = 20 sums, 5 inputs and a weight fit 32 registers
//           for u, for c               (2 maps fit 16)
//             5 inputs; for each map of the group that sees c: 1 weight, 5 multiply-adds
//       for each tile: 7 points -> 3 outputs, plus bias
//
// The connections are known at compile time: what is not connected costs nothing. The products run
// at about 80 % of the multiply-add peak; the transforms to the points and back are bound by loads
// and stores.
#pragma once

#include "cpu/lenet5/c1.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// A row of S2 from the x-sums of two rows of C1: s2 holds the values of a canvas row or an edge
// row.
inline void s2_row(const Canvas& canvas, const vec* upper, const vec* lower, vec* s2) {
  for (int x = 0; x < canvas.x.s2(); ++x)
    for (int c = 0; c < kMaps1; ++c)
      s2_at(s2, x, c) = upper[x * kMaps1 + c] + lower[x * kMaps1 + c];
}

// The row at the points of F(3, 5): points [2 parities][7][6 maps][n_tiles].
[[gnu::noinline]] inline void s2_to_points(const Canvas& canvas, const vec* s2, vec* points) {
  const int n_tiles = c3_tiles(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity)
    for (int c = 0; c < kMaps1; ++c) {
      const vec* const in = s2 + (parity * kMaps1 + c) * kS2Parity;
      vec* const out = points + (parity * kC3Planes * kMaps1 + c) * n_tiles;
      for (int i = 0; i < n_tiles; ++i) {
        using Tile = TileForm<kMaxTile>;
        vec d[Tile::inputs];
#pragma GCC unroll 8
        for (int k = 0; k < Tile::inputs; ++k) d[k] = in[kMaxTile * i + k];
        inputs_to_points<Tile>(d, out + i, kMaps1 * n_tiles);
      }
    }
}

// The products of one group of output maps with a block of tiles, at one point: rows [5], one for
// each row of taps, point to S2, [6 maps][n_tiles].
template <int connections>
[[gnu::noinline]] void c3_group_products(const vec* const* rows, Taps taps, int n_tiles,
                                         const float* weight, vec* products) {
  vec sum[kC3Group][kTileBlock];
#pragma GCC unroll 8
  for (int o = 0; o < kC3Group; ++o)
#pragma GCC unroll 8
    for (int i = 0; i < kTileBlock; ++i) sum[o][i] = vec{};
  weight += taps.first * __builtin_popcount(connections);
  for (int u = taps.first; u <= taps.last; ++u) {
    const vec* const in = rows[u];
#pragma GCC unroll 6
    for (int c = 0; c < kMaps1; ++c) {
      const int outputs = connections >> (kC3Group * c) & ((1 << kC3Group) - 1);
      if (outputs == 0) continue;
      vec d[kTileBlock];
#pragma GCC unroll 8
      for (int i = 0; i < kTileBlock; ++i) d[i] = load_once<float>(in + c * n_tiles + i);
#pragma GCC unroll 8
      for (int o = 0; o < kC3Group; ++o) {
        if (!(outputs >> o & 1)) continue;
        const vec w = broadcast(*weight++);
#pragma GCC unroll 8
        for (int i = 0; i < kTileBlock; ++i) sum[o][i] += w * d[i];
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kC3Group; ++o)
#pragma GCC unroll 8
    for (int i = 0; i < kTileBlock; ++i) products[o * kTileBlock + i] = sum[o][i];
}

// The same for all groups: products [16][kTileBlock].
template <class Table, int group = 0>
inline void c3_products(const vec* const* rows, Taps taps, int n_tiles, const float* weight,
                        vec* products) {
  if constexpr (group < kC3Groups) {
    constexpr int connections = group_connections(Table::table, group);
    c3_group_products<connections>(rows, taps, n_tiles, weight, products);
    c3_products<Table, group + 1>(rows, taps, n_tiles, weight + 5 * __builtin_popcount(connections),
                                  products + kC3Group * kTileBlock);
  }
}

// A row of C3 before its activation: sums [2 parities][kMaxTile * n_tiles columns][16 maps]. points
// [5] are the S2 rows that the rows of taps read; `start` is a row to which the sums are added, or
// null for the bias. products is scratch.
template <class Table>
[[gnu::noinline]] void c3_row_sums(const Lenet5Inputs& in, const vec* const* points, Taps taps,
                                   const vec* start, vec* products, vec* sums) {
  const Lenet5Weights& w = in.w;
  const int n_tiles = c3_tiles(in.canvas);
  for (int parity = 0; parity < in.canvas.n_parities(); ++parity)
    for (int first = 0; first < n_tiles; first += kTileBlock) {
      for (int t = 0; t < kC3Planes; ++t) {
        const vec* rows[5];
        for (int u = taps.first; u <= taps.last; ++u)
          rows[u] = points[u] + (parity * kC3Planes + t) * kMaps1 * n_tiles + first;
        c3_products<Table>(rows, taps, n_tiles, w.c3 + t * w.c3_plane,
                           products + t * kMaps3 * kTileBlock);
      }
      for (int i = 0; i < kTileBlock; ++i) {
        const int at = kMaxTile * (parity * n_tiles + first + i) * kMaps3;
        for (int o = 0; o < kMaps3; ++o) {
          const vec bias = broadcast(w.c3_bias[o]);
          vec y[kMaxTile];
          points_to_outputs<TileForm<kMaxTile>>(products + o * kTileBlock + i, kMaps3 * kTileBlock,
                                                y);
#pragma GCC unroll 4
          for (int k = 0; k < kMaxTile; ++k)
            sums[at + k * kMaps3 + o] = y[k] + (start ? start[at + k * kMaps3 + o] : bias);
        }
      }
    }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
