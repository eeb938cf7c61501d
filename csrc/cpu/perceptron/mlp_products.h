// The MLP's sums, from products at points to logits. See cpu/perceptron/predict_mlp.h.
#pragma once

#include "cpu/math/activation.h"
#include "cpu/perceptron/mlp_cells.h"
#include "cpu/simd/constant.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

// The distance from one image's rows to the next image's, in vectors. It is odd so that they do not
// fall into the same few sets of the cache.
constexpr int kRows = kMaxPointsY * kMaxDx * kStripVectors + 1;

// A sharing group's sums over its cells at one point: products [kSharing, tiles, kStripVectors].
template <int n_tiles>
inline void multiply(const SharingGroup& group, const float* pixels, const vec* weight,
                     vec* products) {
  constexpr int size = n_tiles * kStripVectors;
  const std::int64_t n = group.n_cells;
  vec sum[kSharing][size] = {};
  for (std::int64_t cell = 0; cell < n; ++cell, pixels += kSharing) {
    const vec* const w = weight + group.position[cell];
#pragma GCC unroll 8
    for (int k = 0; k < size; ++k) {
      const vec w_k = w[k];
#pragma GCC unroll 4
      for (int i = 0; i < kSharing; ++i) sum[i][k] += pixels[i] * w_k;
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kSharing; ++i)
#pragma GCC unroll 8
    for (int k = 0; k < size; ++k) products[i * size + k] = sum[i][k];
}

// From points in x to dx: products [points in x, kSharing, tiles, kStripVectors] to rows
// [kSharing at kRows, kMaxDx, kStripVectors].
template <int tile_dx>
void rows_of_products(int n_tiles, const vec* products, vec* rows) {
  const int size = kSharing * n_tiles * kStripVectors;
  for (int i = 0; i < kSharing; ++i)
    for (int t = 0; t < n_tiles; ++t)
      for (int k = 0; k < kStripVectors; ++k) {
        vec y[tile_dx];
        points_to_outputs<PixelForm<tile_dx, kSide>>(products++, size, y);
#pragma GCC unroll 4
        for (int j = 0; j < tile_dx; ++j)
          rows[i * kRows + (t * tile_dx + j) * kStripVectors + k] = y[j];
      }
}

// A few groups with one strip's weights: rows [groups, kSharing, points in y, ...].
inline void multiply_groups(const Subgrid& s, const SharingGroup* groups, int n_groups,
                            const float* pixels, const vec* weight, vec* products, vec* rows) {
  const int size = kSharing * s.n_tiles * kStripVectors, nx = s.points_x();
  for (int q = 0; q < s.points_y(); ++q)
    for (int g = 0; g < n_groups; ++g) {
      for (int p = 0; p < nx; ++p) {
        const int point = q * nx + p;
        const float* const x =
            pixels + std::int64_t{g} * kMaxPoints * kMaxPixelRow + point * pixel_row(groups[g]);
        const vec* const w = weight + point * s.point_size();
        with_constant<kMaxTiles>(
            s.n_tiles, [&](auto n) { multiply<n.value>(groups[g], x, w, products + p * size); });
      }
      vec* const target = rows + g * kSharing * kRows + q * kMaxDx * kStripVectors;
      with_constant<kTileDx>(
          s.tile_dx, [&](auto n) { rows_of_products<n.value>(s.n_tiles, products, target); });
    }
}

// From points in y to dy, and on to the activation: rows [points in y, kMaxDx, kStripVectors] of
// one vector to hidden [n_dy, n_dx].
template <int n_dy>
void hidden_of_rows(Activation activation, int n_dx, const vec* rows, vec bias, vec* hidden) {
  for (int i = 0; i < n_dx; ++i) {
    vec y[n_dy];
    points_to_outputs<PixelForm<n_dy, kSide>>(rows + i * kStripVectors, kMaxDx * kStripVectors, y);
#pragma GCC unroll 8
    for (int j = 0; j < n_dy; ++j) hidden[j * n_dx + i] = activate(activation, y[j] + bias);
  }
}

// logits [n, 10] += units [n, kStrip] times output [kStrip, 10].
template <int n>
inline void add_logits(const vec* units, const float* output, vec* logits) {
  vec sum[n][kClasses];
  for (int g = 0; g < n; ++g)
    for (int o = 0; o < kClasses; ++o) sum[g][o] = logits[g * kClasses + o];
  for (int h = 0; h < kStrip; ++h, output += kClasses)
#pragma GCC unroll 10
    for (int o = 0; o < kClasses; ++o)
#pragma GCC unroll 2
      for (int g = 0; g < n; ++g) sum[g][o] += output[o] * units[g * kStrip + h];
  for (int g = 0; g < n; ++g)
    for (int o = 0; o < kClasses; ++o) logits[g * kClasses + o] = sum[g][o];
}

}  // namespace mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
