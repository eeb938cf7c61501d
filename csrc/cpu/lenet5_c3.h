// C3 and S4 on the canvas: C1's row pairs in, rows of S4 out. Along a row C3 is a five-tap
// correlation over the columns of one parity, done in the form F(3, 5): a tile of three outputs
// from seven inputs, seven products for each connection and row of taps instead of fifteen.
#pragma once

#include "lenet5_c1.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kC3Products = FiveTap<3>::products;
// C3 needs S2 rows r, r + 2, ..., r + 8: a ring of the last rows.
constexpr int kRing = 10;

// A canvas column at which a shift that loses ink on the left or right differs: what its correction
// (lenet5_frame.h) needs of the shared computation.
struct LossyShift {
  int f;            // offset of the shift, dx = dx_last - f
  bool right;       // ink is lost on the right, else on the left
  vec* s2;          // [s2_rows][6 maps]: the column of S2
  vec* c3;          // [c3_rows][16 maps]: the column of C3 before its activation
  vec* delta_s4;    // [s4_rows][16 maps]: what to add to S4's column
  int s2_column() const { return right ? f + 26 : f; }
  int c3_column() const { return right ? f + 18 : f; }
  // The tap, of five, at which the next layer meets this column.
  int tap() const { return right ? 4 : 0; }
};

// A thread's memory for one lane group.
struct Lenet5Rows {
  vec* ink;        // [kInkStride + 1][kInkStride]
  vec* c1;         // [s2_columns + 1][6]
  vec* pairs;      // two rows of [s2_columns][6]
  vec* s2;         // [2 parities][6][kS2Parity]: one row, padded with zeros
  vec* tiles;      // ring of rows, each [2 parities][7][6][n_tiles]
  vec* products;   // [7][16][kTileBlock]
  vec* c3;         // one row: [2 parities][columns of parity + 2][16]
  vec* c3_pairs;   // ring of three rows like c3
  vec* s4;         // [s4_rows][2 parities][columns of parity][16]
};

// Tiles are computed in blocks of five, which the default grid fills; a last one that is not full
// computes columns that nobody reads.
constexpr int kTileBlock = 5;
inline int c3_tiles(const Canvas& canvas) {
  return round_up(divide_up(columns_of_parity(canvas.c3_columns(), 0), 3), kTileBlock);
}
inline int s4_columns_of_parity(const Canvas& canvas) {
  return columns_of_parity(canvas.s4_columns(), 0);
}
// Vectors in one row of `tiles`, of `c3` and of `s4`.
inline int tiles_row(const Canvas& canvas) { return 2 * kC3Products * kMaps1 * c3_tiles(canvas); }
inline int c3_row(const Canvas& canvas) { return 2 * 3 * c3_tiles(canvas) * kMaps3; }
inline int s4_row(const Canvas& canvas) { return 2 * s4_columns_of_parity(canvas) * kMaps3; }


// One row of S2 (sums of four) from two rows of C1 pairs, transformed for F(3, 5).
[[gnu::noinline]] inline void s2_row_tiles(const Canvas& canvas, const vec* upper, const vec* lower,
                         const LossyShift* lossy, int n_lossy, int row, vec* s2, vec* tiles) {
  const int n = canvas.s2_columns(), n_tiles = c3_tiles(canvas);
  for (int x = 0; x < n; ++x)
    for (int c = 0; c < kMaps1; ++c)
      s2[((x & 1) * kMaps1 + c) * kS2Parity + (x >> 1)] =
          upper[x * kMaps1 + c] + lower[x * kMaps1 + c];
  for (int i = 0; i < n_lossy; ++i) {
    const int x = lossy[i].s2_column();
    for (int c = 0; c < kMaps1; ++c)
      lossy[i].s2[row * kMaps1 + c] = s2[((x & 1) * kMaps1 + c) * kS2Parity + (x >> 1)];
  }
  for (int parity = 0; parity < canvas.n_parities(); ++parity)
    for (int c = 0; c < kMaps1; ++c) {
      const vec* const in = s2 + (parity * kMaps1 + c) * kS2Parity;
      vec* const out = tiles + (parity * kC3Products * kMaps1 + c) * n_tiles;
      for (int i = 0; i < n_tiles; ++i) {
        vec d[7];
#pragma GCC unroll 7
        for (int k = 0; k < 7; ++k) d[k] = in[3 * i + k];
        transform_input<3>(d, out + i, kMaps1 * n_tiles);
      }
    }
}

// The products of one group of output maps with a block of tiles: five rows of taps, the connected
// input maps of each. rows [5] points to the inputs, [6 maps][n_tiles].
template <int connections>
[[gnu::noinline]] void c3_group_products(const vec* const* rows, int n_tiles, const float* weight,
                                         vec* products) {
  vec sum[kC3Group][kTileBlock];
#pragma GCC unroll 8
  for (int o = 0; o < kC3Group; ++o)
#pragma GCC unroll 8
    for (int i = 0; i < kTileBlock; ++i) sum[o][i] = vec{};
  for (int u = 0; u < 5; ++u) {
    const vec* const in = rows[u];
#pragma GCC unroll 6
    for (int c = 0; c < kMaps1; ++c) {
      const int outputs = connections >> (4 * c) & 15;
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
inline void c3_products(const vec* const* rows, int n_tiles, const float* weight, vec* products) {
  if constexpr (group < kC3Groups) {
    constexpr int connections = group_connections(Table::table, group);
    c3_group_products<connections>(rows, n_tiles, weight, products);
    c3_products<Table, group + 1>(rows, n_tiles, weight + 5 * __builtin_popcount(connections),
                                  products + kC3Group * kTileBlock);
  }
}

// One row of C3 before its activation: out [2 parities][3 * n_tiles columns][16 maps].
// tiles [5] points to the rows of taps.
template <class Table>
[[gnu::noinline]] void c3_row_sums(const Canvas& canvas, const Lenet5Weights& w,
                                   const vec* const* tiles, vec* products, vec* out) {
  const int n_tiles = c3_tiles(canvas);
  for (int parity = 0; parity < canvas.n_parities(); ++parity)
    for (int first = 0; first < n_tiles; first += kTileBlock) {
      for (int t = 0; t < kC3Products; ++t) {
        const vec* rows[5];
        for (int u = 0; u < 5; ++u)
          rows[u] = tiles[u] + (parity * kC3Products + t) * kMaps1 * n_tiles + first;
        c3_products<Table>(rows, n_tiles, w.c3 + t * w.c3_plane,
                           products + t * kMaps3 * kTileBlock);
      }
      for (int i = 0; i < kTileBlock; ++i) {
        vec* const target = out + (parity * 3 * n_tiles + 3 * (first + i)) * kMaps3;
        for (int o = 0; o < kMaps3; ++o) {
          const vec bias = broadcast(w.c3_bias[o]);
          vec y[3] = {bias, bias, bias};
          transform_output<3>(products + o * kTileBlock + i, kMaps3 * kTileBlock, y);
#pragma GCC unroll 3
          for (int k = 0; k < 3; ++k) target[k * kMaps3 + o] = y[k];
        }
      }
    }
}

// The canvases of C1 to S4 for one lane group, whose ink is in rows.ink within box. Fills rows.s4
// (sums of four), and the columns that lossy shifts ask for.
template <class Table>
[[gnu::noinline]] void compute_s4(Activation activation, const Canvas& canvas,
                                  const Lenet5Weights& w, const InkBox& box,
                                  const LossyShift* lossy, int n_lossy, const Lenet5Rows& rows) {
  const int n_pairs = canvas.s2_columns() * kMaps1, step = canvas.row_step();
  const int n_tiles = c3_tiles(canvas), c3_size = c3_row(canvas);
  const int c3_columns = columns_of_parity(canvas.c3_columns(), 0);
  const int s4_columns = s4_columns_of_parity(canvas);
  const auto pairs = [&](int r) { return rows.pairs + (r & 1) * n_pairs; };
  // A row's last tile reads columns beyond its end: they cancel, but must be finite.
  for (int i = 0; i < 2 * kMaps1 * kS2Parity; ++i) rows.s2[i] = vec{};
  c1_row_pairs(activation, canvas, w, rows.ink, box, -canvas.dy_last, rows.c1, pairs(0));
  for (int r = 0; r < canvas.s2_rows(); ++r) {
    c1_row_pairs(activation, canvas, w, rows.ink, box, r + 1 - canvas.dy_last, rows.c1,
                 pairs(r + 1));
    if (r % step != 0) continue;
    s2_row_tiles(canvas, pairs(r), pairs(r + 1), lossy, n_lossy, r, rows.s2,
                 rows.tiles + r % kRing * tiles_row(canvas));
    const int y = r - 8;  // the row of C3 that is now complete
    if (y < 0) continue;
    const vec* tiles[5];
    for (int u = 0; u < 5; ++u)
      tiles[u] = rows.tiles + (y + 2 * u) % kRing * tiles_row(canvas);
    c3_row_sums<Table>(canvas, w, tiles, rows.products, rows.c3);
    for (int i = 0; i < n_lossy; ++i) {
      const int x = lossy[i].c3_column();
      for (int o = 0; o < kMaps3; ++o)
        lossy[i].c3[y * kMaps3 + o] = rows.c3[((x & 1) * 3 * n_tiles + (x >> 1)) * kMaps3 + o];
    }
    vec* const c3_pairs = rows.c3_pairs + y % 3 * c3_size;
    const vec* const above = rows.c3_pairs + (y + 1) % 3 * c3_size;  // row y - 2
    for (int parity = 0; parity < canvas.n_parities(); ++parity) {
      const int first = parity * 3 * n_tiles * kMaps3;
      activate(activation, rows.c3 + first, c3_columns * kMaps3);
      for (int i = first; i < first + s4_columns * kMaps3; ++i)
        c3_pairs[i] = rows.c3[i] + rows.c3[i + kMaps3];
      if (y < 2) continue;
      vec* const s4 =
          rows.s4 + (y - 2) * s4_row(canvas) + parity * s4_columns * kMaps3;
      for (int i = 0; i < s4_columns * kMaps3; ++i) s4[i] = above[first + i] + c3_pairs[first + i];
    }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
