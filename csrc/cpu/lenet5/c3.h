// S2 and C3 on the canvas, row by row. Along a row C3 is a five-tap correlation over the columns of
// one parity, done in the form F(3, 5): a tile of three outputs from seven inputs, seven products
// for each connection and row of taps instead of fifteen.
#pragma once

#include "cpu/lenet5/c1.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Where columns of S2 and of C3 stand in their rows.
inline vec& s2_at(vec* s2, int x, int c) {
  return s2[((x & 1) * kMaps1 + c) * kS2Parity + (x >> 1)];
}
inline vec* c3_at(const Canvas& canvas, vec* c3, int x) {
  return c3 + ((x & 1) * kMaxTile * c3_tiles(canvas) + (x >> 1)) * kMaps3;
}

// One row of S2 (sums of four) from two rows of C1 pairs.
inline void s2_row(const Canvas& canvas, const vec* upper, const vec* lower, vec* s2) {
  for (int x = 0; x < canvas.s2_columns(); ++x)
    for (int c = 0; c < kMaps1; ++c)
      s2_at(s2, x, c) = upper[x * kMaps1 + c] + lower[x * kMaps1 + c];
}

// The row transformed for F(3, 5).
[[gnu::noinline]] inline void s2_tiles(const Canvas& canvas, const vec* s2, vec* tiles) {
  const int n_tiles = c3_tiles(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity)
    for (int c = 0; c < kMaps1; ++c) {
      const vec* const in = s2 + (parity * kMaps1 + c) * kS2Parity;
      vec* const out = tiles + (parity * kC3Planes * kMaps1 + c) * n_tiles;
      for (int i = 0; i < n_tiles; ++i) {
        using Tile = TileForm<kMaxTile>;
        vec d[Tile::inputs];
#pragma GCC unroll 8
        for (int k = 0; k < Tile::inputs; ++k) d[k] = in[kMaxTile * i + k];
        inputs_to_points<Tile>(d, out + i, kMaps1 * n_tiles);
      }
    }
}

// The products of one group of output maps with a block of tiles: rows of taps, the connected input
// maps of each. rows [5] points to the inputs, [6 maps][n_tiles].
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
    c3_products<Table, group + 1>(rows, taps, n_tiles,
                                  weight + 5 * __builtin_popcount(connections),
                                  products + kC3Group * kTileBlock);
  }
}

// One row of C3 before its activation: out [2 parities][kMaxTile * n_tiles columns][16 maps].
// tiles [5] points to the rows of taps; start is a row that the sums are added to, null the bias.
template <class Table>
[[gnu::noinline]] void c3_row_sums(const Lenet5Pass& pass, const vec* const* tiles, Taps taps,
                                   const vec* start, vec* out) {
  const Lenet5Weights& w = pass.w;
  vec* const products = pass.rows.products;
  const int n_tiles = c3_tiles(pass.canvas);
  for (int parity = 0; parity < pass.canvas.n_parities(); ++parity)
    for (int first = 0; first < n_tiles; first += kTileBlock) {
      for (int t = 0; t < kC3Planes; ++t) {
        const vec* rows[5];
        for (int u = taps.first; u <= taps.last; ++u)
          rows[u] = tiles[u] + (parity * kC3Planes + t) * kMaps1 * n_tiles + first;
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
            out[at + k * kMaps3 + o] = y[k] + (start ? start[at + k * kMaps3 + o] : bias);
        }
      }
    }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
