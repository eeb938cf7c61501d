// The pooled MLP's weights at the points of a subgrid's form. See
// cpu/perceptron/predict_pooled_mlp.h.
#pragma once

#include "cpu/perceptron/pooled_mlp_subgrid.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/workspace.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

constexpr int kPointWeights = kPooled * kUnits;  // of a position and a point: [rows, kUnits]
constexpr int kBlockWeights = kPositions * kMaxPoints * kPointWeights;

// Padded with zeros to whole blocks of hidden units.
struct Weights {
  float* hidden;  // [blocks, positions, points, rows, kUnits]
  float* bias;    // [blocks, kUnits]
  float* output;  // [blocks * kUnits, 10]

  Weights(Workspace& workspace, std::int64_t n_blocks)
      : hidden(workspace.take<float>(n_blocks * kBlockWeights)),
        bias(workspace.take<float>(n_blocks * kUnits)),
        output(workspace.take<float>(n_blocks * kUnits * kClasses)) {}
};

// Packs a block of hidden units, for every position. The mean of 16 pixels of 1 / 255 becomes a
// factor of the weights.
inline void pack(const MlpParameters& parameters, const Subgrid& s, int block,
                 const Weights& weights) {
  typedef float Units __attribute__((vector_size(kUnits * sizeof(float))));
  constexpr float scale = 1.0f / (255 * kPool * kPool);
  Units d[kPooled][kPooled] = {};
  for (int h = 0; h < kUnits; ++h) {
    const int unit = block * kUnits + h;
    const bool real = unit < parameters.n_hidden;
    weights.bias[unit] = real ? parameters.hidden.bias[unit] : 0.0f;
    for (int o = 0; o < kClasses; ++o)
      weights.output[unit * kClasses + o] =
          real ? parameters.output.weight[std::int64_t{o} * parameters.n_hidden + unit] : 0.0f;
    const float* const row = parameters.hidden.weight + std::int64_t{unit} * kPooled * kPooled;
    for (int i = 0; real && i < kPooled * kPooled; ++i)
      d[i / kPooled][i % kPooled][h] = row[i] * scale;
  }
  float* target = weights.hidden + std::int64_t{block} * kBlockWeights;
  with_constant<kMaxTile>(s.tile, [&](auto tile) {
    using F = PixelForm<tile.value, kSpan>;
    for (int position = kFirstPosition; position < kPooled; ++position) {
      for (int i = 0; i < kPooled; ++i) {
        Units in[F::inputs], out[F::points];
        for (int k = 0; k < F::inputs; ++k) {
          const int j = position + k;
          in[k] = j >= 0 && j < kPooled ? d[i][j] : Units{};
        }
        inputs_to_points<F>(in, out, 1);
        for (int p = 0; p < F::points; ++p)
          __builtin_memcpy(target + p * kPointWeights + i * kUnits, &out[p], sizeof out[p]);
      }
      target += kMaxPoints * kPointWeights;
    }
  });
}

}  // namespace pooled_mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
