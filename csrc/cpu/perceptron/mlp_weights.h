// The MLP's weights at the points of a subgrid's forms. See cpu/perceptron/predict_mlp.h.
#pragma once

#include "cpu/perceptron/mlp_subgrid.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

// Hidden units in the lanes, padded with zeros to whole strips.
struct Weights {
  vec* hidden;    // [strips, points, cells in y, positions in x, kStripVectors]
  vec* bias;      // [strips, kStripVectors]
  float* output;  // [strips * kStrip, 10]

  Weights(Workspace& workspace, std::int64_t n_strips)
      : hidden(workspace.take<vec>(n_strips * kMaxPoints * kCells * kMaxPositions * kStripVectors)),
        bias(workspace.take<vec>(n_strips * kStripVectors)),
        output(workspace.take<float>(n_strips * kStrip * kClasses)) {}
};

// A thread's memory while it packs one vector of hidden units.
struct Packing {
  vec* weight;   // [28, 28]
  vec* columns;  // [28, positions in x, points in x]

  explicit Packing(Workspace& workspace)
      : weight(workspace.take<vec>(kPixels)),
        columns(workspace.take<vec>(kImageSize * kMaxPositions * kMaxPointsX)) {}
};

// Rows of weights [28, 28] to points in x: columns [28, positions in x, points in x]. The pixels'
// 1 / 255 becomes a factor of the weights.
template <class F>
inline void weight_points_x(const Subgrid& s, const vec* weight, vec* columns) {
  for (int y = 0; y < kImageSize; ++y)
    for (int i = 0; i < s.n_positions(); ++i, columns += F::points) {
      vec d[F::inputs];
      for (int k = 0; k < F::inputs; ++k) {
        const int x = kSide * i + s.grid.dx_first + k;
        d[k] = x >= 0 && x < kImageSize ? weight[y * kImageSize + x] * (1.0f / 255) : vec{};
      }
      inputs_to_points<F>(d, columns, 1);
    }
}

// From these to points in y: one vector of target [points in y, points in x, cells in y, positions
// in x, kStripVectors].
template <class F>
inline void weight_points_y(const Subgrid& s, const vec* columns, vec* target) {
  const int nx = s.points_x(), row_size = s.n_positions() * nx;
  for (int j = 0; j < kCells; ++j)
    for (int i = 0; i < row_size; ++i) {
      vec d[F::inputs];
      for (int k = 0; k < F::inputs; ++k) {
        const int y = kSide * j + s.grid.dy_first + k;
        d[k] = y >= 0 && y < kImageSize ? columns[y * row_size + i] : vec{};
      }
      vec* const at_point = target + i % nx * s.point_size();
      inputs_to_points<F>(d, at_point + (j * s.n_positions() + i / nx) * kStripVectors,
                          nx * s.point_size());
    }
}

// Packs vector v of the hidden units.
inline void pack(const MlpParameters& parameters, const Subgrid& s, int v, const Packing& memory,
                 const Weights& weights) {
  const int first = v * kLanes, left = parameters.n_hidden - first;
  const int n = left < 0 ? 0 : left < kLanes ? left : kLanes;
  vec bias = {};
  for (int l = 0; l < n; ++l) bias[l] = parameters.hidden.bias[first + l];
  weights.bias[v] = bias;
  for (int l = 0; l < kLanes; ++l)
    for (int o = 0; o < kClasses; ++o)
      weights.output[(first + l) * kClasses + o] =
          l < n ? parameters.output.weight[std::int64_t{o} * parameters.n_hidden + first + l]
                : 0.0f;

  rows_to_lanes<float>(parameters.hidden.weight + std::int64_t{first} * kPixels, kPixels, n,
                       kPixels, memory.weight);
  vec* const target = weights.hidden + v / kStripVectors * s.strip_size() + v % kStripVectors;
  with_constant<kTileDx>(s.tile_dx, [&](auto n_dx) {
    weight_points_x<PixelForm<n_dx.value, kSide>>(s, memory.weight, memory.columns);
  });
  with_constant<kMaxDy>(s.grid.n_dy, [&](auto n_dy) {
    weight_points_y<PixelForm<n_dy.value, kSide>>(s, memory.columns, target);
  });
}

}  // namespace mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
