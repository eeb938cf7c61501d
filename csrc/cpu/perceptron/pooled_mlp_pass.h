// What the pooled MLP's shifted predictions are computed from: the transformed weights of a pass,
// and the transformed window sums of a lane group. See cpu/perceptron/predict_pooled_mlp.h for the method.
#pragma once

#include "cpu/images/ink.h"
#include "cpu/perceptron/pixel_form.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

constexpr int kPool = 4;
constexpr int kPooled = kImageSize / kPool;           // pooled rows and columns
constexpr int kColumns = 6;                           // columns in a block ...
constexpr int kColumnBlocks = 2;                      // ... and blocks that any image fits in
constexpr int kMaxT = 3, kMaxDx = kPool * kMaxT;
constexpr int kMaxPoints = kMaxT + kColumns - 1;
constexpr int kFirstPosition = 1 - kMaxPoints;        // of weights that meet a block
constexpr int kPositions = kPooled - kFirstPosition;
// Windows begin at rows and columns -3 ... 27. A few blank rows beyond spare the inner loop a test.
constexpr int kFirstWindow = 1 - kPool, kWindows = kImageSize - kFirstWindow;
constexpr int kFirstRow = -8, kRows = 40;
// Accumulators: dy by hidden units. Each row of windows is loaded once for kUnits multiply-adds,
// each weight once for kMaxDy. The hidden values and logits of so many patterns fit into L1.
constexpr int kMaxDy = 3;
constexpr int kUnits = kRegisters >= 32 ? 8 : 4;
constexpr int kWeightRow = kPooled * kUnits;          // weights of a point: [rows, kUnits]

constexpr int floor_divide(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// The dx of one pass, by phase.
struct Pass {
  int dx_first, n_dx, first_column;
  int t_first[kPool];
  int n_t;  // the most that a phase has
  int n_points() const { return n_t + kColumns - 1; }
};

inline Pass pass_of(const ShiftGrid& grid, int i) {
  Pass pass;
  pass.first_column = i * kMaxDx;
  pass.dx_first = grid.dx_first + pass.first_column;
  pass.n_dx = grid.n_dx - pass.first_column < kMaxDx ? grid.n_dx - pass.first_column : kMaxDx;
  pass.n_t = 0;
  for (int phase = 0; phase < kPool; ++phase) {
    pass.t_first[phase] = floor_divide(pass.dx_first + phase + kPool - 1, kPool);
    const int t_last = floor_divide(pass.dx_first + pass.n_dx - 1 + phase, kPool);
    const int n_t = t_last - pass.t_first[phase] + 1;
    if (n_t > pass.n_t) pass.n_t = n_t;
  }
  return pass;
}

// The network, packed for a pass and padded with zeros to whole blocks of units.
struct Weights {
  float* hidden;  // [unit blocks, positions, points, rows, kUnits]
  float* bias;    // [unit blocks, kUnits]
  float* output;  // [unit blocks * kUnits, 10]
};

// Transforms the weights of a block of hidden units, for every position. The mean of 16 pixels of
// 1 / 255 becomes a factor of the weights.
inline void pack(const MlpParameters& parameters, const Pass& pass, int block,
                 const Weights& weights) {
  constexpr float scale = 1.0f / (255 * kPool * kPool);
  typedef float Units __attribute__((vector_size(kUnits * sizeof(float))));
  Units d[kPooled * kPooled] = {};
  for (int h = 0; h < kUnits; ++h) {
    const int unit = block * kUnits + h;
    const bool real = unit < parameters.n_hidden;
    weights.bias[unit] = real ? parameters.hidden.bias[unit] : 0.0f;
    for (int o = 0; o < kClasses; ++o)
      weights.output[unit * kClasses + o] =
          real ? parameters.output.weight[std::int64_t{o} * parameters.n_hidden + unit] : 0.0f;
    for (int i = 0; real && i < kPooled * kPooled; ++i)
      d[i][h] = parameters.hidden.weight[std::int64_t{unit} * kPooled * kPooled + i] * scale;
  }
  float* target = weights.hidden + std::int64_t{block} * kPositions * kMaxPoints * kWeightRow;
  with_constant<kMaxT>(pass.n_t, [&](auto n_t) {
    using F = PixelForm<n_t.value, kColumns>;
    for (int position = kFirstPosition; position < kPooled; ++position, target += kMaxPoints * kWeightRow)
      for (int i = 0; i < kPooled; ++i) {
        Units in[F::inputs], out[F::points];
        for (int k = 0; k < F::inputs; ++k) {
          const int j = position + k;
          in[k] = j >= 0 && j < kPooled ? d[i * kPooled + j] : Units{};
        }
        inputs_to_points<F>(in, out, 1);
        for (int p = 0; p < F::points; ++p)
          __builtin_memcpy(target + p * kWeightRow + i * kUnits, &out[p], sizeof out[p]);
      }
  });
}

// A thread's memory for the windows of one lane group.
struct Windows {
  vec* lanes;     // [28, 28]
  vec* row_sums;  // [28, kWindows]
  vec* sums;      // [kWindows, kWindows]
  vec* points;    // [phases, column blocks, points, kRows]
};

// A phase's blocks of inked columns: where each one's weights begin, and which transformed windows.
struct ColumnBlocks {
  int n;
  int position[kColumnBlocks];
  int index[kColumnBlocks];
};

struct Group {
  InkBox box;
  ColumnBlocks columns[kPool];
};

// Window sums of the images in the lanes, transformed: w.points.
inline void transform_windows(const Pass& pass, Group& group, const Windows& w) {
  const InkBox& box = group.box;
  for (int y = 0; y < kImageSize; ++y)
    for (int x = 0; x < kWindows; ++x) {
      vec sum = {};
      for (int k = x + kFirstWindow; k < x + kFirstWindow + kPool; ++k)
        if (k >= 0 && k < kImageSize) sum += w.lanes[y * kImageSize + k];
      w.row_sums[y * kWindows + x] = sum;
    }
  const int y_first = box.y0 + kFirstWindow, y_last = box.y1;
  for (int y = y_first; y <= y_last; ++y)
    for (int x = 0; x < kWindows; ++x) {
      vec sum = {};
      for (int k = y; k < y + kPool; ++k)
        if (k >= 0 && k < kImageSize) sum += w.row_sums[k * kWindows + x];
      w.sums[(y - kFirstWindow) * kWindows + x] = sum;
    }
  for (int phase = 0; phase < kPool; ++phase) {
    ColumnBlocks& columns = group.columns[phase];
    columns.n = 0;
    const int c_last = floor_divide(box.x1 - phase, kPool);
    int index = 0;
    for (int c = floor_divide(box.x0 - phase, kPool); c <= c_last; c += kColumns, ++index) {
      const int position = c + pass.t_first[phase];
      if (position < kFirstPosition || position >= kPooled) continue;  // all weights are zero
      columns.position[columns.n] = position - kFirstPosition;
      columns.index[columns.n++] = index;
      vec* const points =
          w.points + (phase * kColumnBlocks + index) * kMaxPoints * kRows - kFirstRow;
      for (int p = 0; p < pass.n_points(); ++p)
        for (int y = kFirstRow; y < kFirstRow + kRows; ++y) points[p * kRows + y] = vec{};
      with_constant<kMaxT>(pass.n_t, [&](auto n_t) {
        for (int y = y_first; y <= y_last; ++y) {
          vec in[kColumns];
          for (int k = 0; k < kColumns; ++k) {
            const int x = kPool * (c + k) + phase - kFirstWindow;
            in[k] = x >= 0 && x < kWindows ? w.sums[(y - kFirstWindow) * kWindows + x] : vec{};
          }
          taps_to_points<PixelForm<n_t.value, kColumns>>(in, points + y, kRows);
        }
      });
    }
  }
}

}  // namespace pooled_mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
