// The pooled MLP on every shift of every image. A moved image's pooled pixel (i, j) is the sum of
// the 4 x 4 window of the unmoved image, blank outside its frame, at row 4 i - dy, column 4 j - dx:
// the windows tile the frame, so what a shift pushes out of it is in none of them, and every
// window's sum is needed once for all shifts. With dx = 4 t - phase the pooled row becomes
//
//   sum over c of S[4 c + phase] * W[c + t],   S window sums, W a row of weights, 0 outside,
//
// for two or three neighbouring t (of 11 dx): a short correlation. Its pixels are up to six inked
// columns c, so that eight products serve what takes eighteen. Rows are summed directly.
//
// As many images as a vector has lanes lie in the lanes, weights are broadcast. Images are sorted
// by the columns of their ink first, so that those in the lanes are blank in the same columns.
//
// Loops, from the outside: passes over at most 12 dx (weights are transformed once a pass); chunks
// of images, sorted; lane groups (to a thread); up to 3 dy; blocks of hidden units, which go
// through the activation to the logits within the L1 cache; phases; points; rows.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/images/ink.h"
#include "cpu/math/activation.h"
#include "cpu/perceptron/pooled_mlp_pass.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"
#include "host/image_order.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

struct Workspace {
  Weights weights = {};
  InkBox* boxes = {};        // [kChunk]
  std::uint64_t* keys = {};  // [kChunk]: see host/image_order.h
  // A thread's:
  Windows windows = {};
  vec* products = {};  // [points, kMaxDy, kUnits]
  vec* hidden = {};    // [kUnits, patterns]
  vec* logits = {};    // [patterns, 10]
  std::int64_t bytes = 0;

  Workspace(int n_hidden, int n_threads, void* start, int thread) {
    const std::int64_t n_units = round_up(n_hidden, kUnits);
    Arena arena(start);
    weights.hidden = arena.take<float>(n_units * kPositions * kMaxPoints * kPooled);
    weights.bias = arena.take<float>(n_units);
    weights.output = arena.take<float>(n_units * kClasses);
    boxes = arena.take<InkBox>(kChunk);
    keys = arena.take<std::uint64_t>(kChunk);
    for (int t = 0; t < n_threads; ++t) {
      Workspace mine(*this);
      mine.windows.lanes = arena.take<vec>(kPixels);
      mine.windows.row_sums = arena.take<vec>(kImageSize * kWindows);
      mine.windows.sums = arena.take<vec>(kWindows * kWindows);
      mine.windows.points = arena.take<vec>(kPool * kColumnBlocks * kMaxPoints * kRows);
      mine.products = arena.take<vec>(kMaxPoints * kMaxDy * kUnits);
      mine.hidden = arena.take<vec>(kUnits * kMaxDy * kMaxDx);
      mine.logits = arena.take<vec>(kMaxDy * kMaxDx * kClasses);
      if (t == thread) *this = mine;
    }
    bytes = arena.bytes();
  }
};

// products [points, n_dy, kUnits] of one phase and the shifts dy ... dy + n_dy - 1.
template <int n_dy>
void multiply(const Pass& pass, const Group& group, int phase, int dy, const float* weight,
              const vec* points, vec* products) {
  // The pooled rows that see ink under any of these dy.
  int first = floor_divide(group.box.y0 + kFirstWindow + dy + kPool - 1, kPool);
  int last = floor_divide(group.box.y1 + dy + n_dy - 1, kPool);
  if (first < 0) first = 0;
  if (last >= kPooled) last = kPooled - 1;
  const ColumnBlocks& columns = group.columns[phase];
  for (int p = 0; p < pass.n_points(); ++p) {
    vec sum[n_dy][kUnits] = {};
    for (int b = 0; b < columns.n; ++b) {
      const vec* x = points +
                     ((phase * kColumnBlocks + columns.index[b]) * kMaxPoints + p) * kRows -
                     kFirstRow + kPool * first - dy;
      const float* w =
          weight + (columns.position[b] * kMaxPoints + p) * kWeightRow + first * kUnits;
      for (int i = first; i <= last; ++i, x += kPool, w += kUnits)
#pragma GCC unroll 8
        for (int h = 0; h < kUnits; ++h)
#pragma GCC unroll 3
          for (int d = 0; d < n_dy; ++d) sum[d][h] += w[h] * x[-d];
    }
#pragma GCC unroll 3
    for (int d = 0; d < n_dy; ++d)
#pragma GCC unroll 8
      for (int h = 0; h < kUnits; ++h) products[(p * n_dy + d) * kUnits + h] = sum[d][h];
  }
}

// Back from points to shifts, and on to the activation: hidden [kUnits, patterns].
template <int n_t>
void interpolate_phase(Activation activation, const Pass& pass, int phase, int n_dy,
                       const vec* products, const float* bias, vec* hidden) {
  const int n_patterns = n_dy * pass.n_dx;
  const int column = kPool * pass.t_first[phase] - phase - pass.dx_first;
  for (int d = 0; d < n_dy; ++d)
    for (int h = 0; h < kUnits; ++h) {
      vec y[n_t];
      points_to_outputs<PixelForm<n_t, kColumns>>(products + d * kUnits + h, n_dy * kUnits, y);
#pragma GCC unroll 3
      for (int t = 0; t < n_t; ++t)
        if (column + kPool * t < pass.n_dx)
          hidden[h * n_patterns + d * pass.n_dx + column + kPool * t] =
              activate(activation, y[t] + bias[h]);
    }
}

// logits [n, 10] += units [kUnits, n of n_patterns] times output [kUnits, 10].
constexpr int kPatternBlock = kRegisters >= 32 ? 2 : 1;
template <int n>
inline void add_logits(const vec* units, int n_patterns, const float* output, vec* logits) {
  vec sum[n][kClasses];
  for (int i = 0; i < n; ++i)
    for (int o = 0; o < kClasses; ++o) sum[i][o] = logits[i * kClasses + o];
#pragma GCC unroll 8
  for (int h = 0; h < kUnits; ++h)
#pragma GCC unroll 10
    for (int o = 0; o < kClasses; ++o)
#pragma GCC unroll 2
      for (int i = 0; i < n; ++i)
        sum[i][o] += output[h * kClasses + o] * units[h * n_patterns + i];
  for (int i = 0; i < n; ++i)
    for (int o = 0; o < kClasses; ++o) logits[i * kClasses + o] = sum[i][o];
}

// The logits of a lane group under n_dy shifts from dy on: w.logits [n_dy, n_dx, 10].
void predict_group(Activation activation, const MlpParameters& parameters, const Pass& pass,
                   const Group& group, int dy, int n_dy, const Workspace& w) {
  const int n_patterns = n_dy * pass.n_dx;
  for (int i = 0; i < n_patterns; ++i)
    for (int o = 0; o < kClasses; ++o)
      w.logits[i * kClasses + o] = broadcast(parameters.output.bias[o]);
  const int n_blocks = divide_up(parameters.n_hidden, kUnits);
  for (int block = 0; block < n_blocks; ++block) {
    const float* const weight =
        w.weights.hidden + std::int64_t{block} * kPositions * kMaxPoints * kWeightRow;
    const float* const bias = w.weights.bias + block * kUnits;
    for (int phase = 0; phase < kPool; ++phase) {
      switch (n_dy) {
        case 1: multiply<1>(pass, group, phase, dy, weight, w.windows.points, w.products); break;
        case 2: multiply<2>(pass, group, phase, dy, weight, w.windows.points, w.products); break;
        default: multiply<3>(pass, group, phase, dy, weight, w.windows.points, w.products);
      }
      switch (pass.n_t) {
        case 1:
          interpolate_phase<1>(activation, pass, phase, n_dy, w.products, bias, w.hidden);
          break;
        case 2:
          interpolate_phase<2>(activation, pass, phase, n_dy, w.products, bias, w.hidden);
          break;
        default: interpolate_phase<3>(activation, pass, phase, n_dy, w.products, bias, w.hidden);
      }
    }
    const float* const output = w.weights.output + block * kUnits * kClasses;
    int i = 0;
    for (; i + kPatternBlock <= n_patterns; i += kPatternBlock)
      add_logits<kPatternBlock>(w.hidden + i, n_patterns, output, w.logits + i * kClasses);
    for (; i < n_patterns; ++i)
      add_logits<1>(w.hidden + i, n_patterns, output, w.logits + i * kClasses);
  }
}

// The lane group of the n_lanes images of keys, of the chunk that begins at image `first`; false
// when stopped.
template <class Stopped>
bool predict_lanes(Activation activation, const MlpParameters& parameters, const Pass& pass,
                   const ShiftedImages& job, std::int64_t first, const std::uint64_t* keys,
                   int n_lanes, const Workspace& w, Stopped&& stopped) {
  const std::int64_t n_dx = job.grid.n_dx, n_dy = job.grid.n_dy;
  Group group;
  std::int64_t pattern[kLanes];
  const std::uint8_t* images[kLanes];
  for (int l = 0; l < n_lanes; ++l) {
    const int i = number_of(keys[l]);
    images[l] = job.images + (first + i) * kPixels;
    pattern[l] = (first + i) * n_dy * n_dx + pass.first_column;
    group.box.add(w.boxes[i]);
  }
  pixels_to_lanes(images, n_lanes, 1.0f, [&](int i) -> vec& { return w.windows.lanes[i]; });
  transform_windows(pass, group, w.windows);
  for (int d = 0; d < n_dy; d += kMaxDy) {
    if (stopped()) return false;
    const int n_d = n_dy - d < kMaxDy ? static_cast<int>(n_dy) - d : kMaxDy;
    predict_group(activation, parameters, pass, group, job.grid.dy_first + d, n_d, w);
    for (int i = 0; i < n_d; ++i)
      for (int j = 0; j < pass.n_dx; ++j)
        write_answers(w.logits + (i * pass.n_dx + j) * kClasses, pattern, (d + i) * n_dx + j,
                      n_lanes, job);
  }
  return true;
}

bool predict(Activation activation, const MlpParameters& parameters, const ShiftedImages& job,
             void* workspace, Execution execution) {
  const int n_threads = execution.n_threads;
  const int n_blocks = divide_up(parameters.n_hidden, kUnits);
  for (int i = 0; i * kMaxDx < job.grid.n_dx; ++i) {
    const Pass pass = pass_of(job.grid, i);
    run_on_threads(n_threads, [&](int thread) {
      const Workspace w(parameters.n_hidden, n_threads, workspace, thread);
      const Share blocks = share_of(n_blocks, thread, n_threads);
      for (std::int64_t b = blocks.first; b < blocks.stop; ++b)
        pack(parameters, pass, static_cast<int>(b), w.weights);
    });
    const bool done = for_chunks(job.n_images, [&](std::int64_t first, int n) {
      const Workspace shared(parameters.n_hidden, n_threads, workspace, 0);
      order_images(n, n_threads, shared.keys, [&](int i) {
        const InkBox box = ink_box(job.images + (first + i) * kPixels);
        shared.boxes[i] = box;
        return ((box.x0 * 32u + box.x1 + 1) * 32u + box.y0) * 32u + box.y1 + 1;
      });
      const auto worker = [&](int thread, auto&& next, auto&& stopped) {
        const Workspace w(parameters.n_hidden, n_threads, workspace, thread);
        for (int i; (i = next()) >= 0;) {
          const int begin = i * kLanes, left = n - begin;
          if (!predict_lanes(activation, parameters, pass, job, first, shared.keys + begin,
                             left < kLanes ? left : kLanes, w, stopped))
            return;
        }
      };
      return run_pieces(divide_up(n, kLanes), execution, worker);
    });
    if (!done) return false;
  }
  return true;
}

}  // namespace pooled_mlp

inline std::int64_t predict_shifts_pooled_mlp_workspace(int n_hidden, ShiftGrid, int n_threads) {
  return pooled_mlp::Workspace(n_hidden, n_threads, nullptr, 0).bytes;
}

inline bool predict_shifts_pooled_mlp(Activation activation, const MlpParameters& parameters,
                                      const ShiftedImages& job, void* workspace,
                                      Execution execution) {
  return pooled_mlp::predict(activation, parameters, job, workspace, execution);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
