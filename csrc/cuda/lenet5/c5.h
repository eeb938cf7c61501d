// C5, F6 and the output, a block for 128 patterns.
//
// The algorithm, for a pattern: an image under the shift at offsets e, f of the subgrid
//   C5[o] = act(bias[o] + sum over c, i, j of weight[o][c][i][j] * S4[c][e + 4i][f + 4j])
//   F6 = act(F6 weights * C5);  logits = output weights * F6;  answer = argmax
// with the edge line instead of S4's first or last line if the shift is lossy.
//
// The schedule:
//   for each map c of S4                    a stage of shared memory, two in turn
//     the map's 25 pixels of every pattern, gathered from the workspace, and its weights
//     25 steps of a matrix product: a thread keeps 8 patterns x 8 units of C5 in registers
//   for each 12 units of C5                 as many weights of F6 as fit beside C5
//     12 steps likewise: 8 patterns x 6 units of F6
//   the output, 4 patterns x 2 classes for each thread; argmax, a pattern for each thread
//
// C5 and F6 never leave the block. It is bound by arithmetic: 16 words from shared memory for 64
// multiply-adds, 14 for 48. S4 is read about once; L2 serves the repeated reads of neighbouring
// shifts.
#pragma once

#include "cuda/lenet5/weights.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kPatterns = 128;     // of a block
constexpr int kPatternLanes = 16;  // threads side by side, 2 x 4 patterns each
constexpr int kC5Each = 8, kF6Each = 6;
constexpr int kF6Depth = 12;  // C5 units whose weights for F6 are in shared memory at a time
constexpr int kHalf = 13;     // of a map's 25 pixels, what one half of the block gathers

// Shared memory in floats. C5's output, and then F6's, takes the place of C5's two stages of input
// and weights.
constexpr int kC5Stage = kS4Pixels * (kPatterns + kC5Units);
constexpr int kF6WeightsAt = kC5Units * kPatterns;
constexpr int kLogitsAt = kF6Units * kPatterns;
constexpr int kC5Shared = kF6WeightsAt + kF6Depth * kF6Units;
static_assert(2 * kC5Stage <= kC5Shared && kLogitsAt + kClasses * kPatterns <= kF6WeightsAt &&
              kF6Units * kClasses <= kF6Depth * kF6Units && kC5Shared * 4 <= 64 << 10);
static_assert(kC5Units / kC5Each <= kThreads / kPatternLanes &&
              kF6Units / kF6Each <= kThreads / kPatternLanes);

// A pattern: an image of the chunk and a shift of the subgrid.
struct Pattern {
  std::int64_t image;
  int row, column;  // of the subgrid's shifts

  __device__ Pattern(const Subgrid& subgrid, std::int64_t number) {
    image = number / subgrid.n_patterns();
    const int shift = static_cast<int>(number - image * subgrid.n_patterns());
    row = shift / subgrid.canvas.x.n, column = shift % subgrid.canvas.x.n;
  }
};

// Where a pattern's 5 x 5 pixels are in S4: the pixel of row i and column j is at
// middle + (4 i kS4Pitch, or top or bottom) + (4 j, or left or right).
struct Window {
  int middle, top, bottom, left, right;

  __device__ Window(const Subgrid& subgrid, const Pattern& pattern,
                    const LossyShifts* lossy_shifts) {
    const Axis &y = subgrid.canvas.y, &x = subgrid.canvas.x;
    const LossyShifts lossy = lossy_shifts[pattern.image];
    const Lines rows = y.shift_lines(y.n - 1 - pattern.row, lossy.y);
    const Lines columns = x.shift_lines(x.n - 1 - pattern.column, lossy.x);
    middle = static_cast<int>(pattern.image) * kS4Size + rows.middle * kS4Pitch + columns.middle;
    top = (rows.first - rows.middle) * kS4Pitch, bottom = (rows.last - rows.middle) * kS4Pitch;
    left = columns.first - columns.middle, right = columns.last - columns.middle;
  }
};

// Pixels first ... first + kHalf - 1 of one map's 25, in registers.
template <int first>
__device__ void gather_s4(const float* map, const Window& window, float (&pixels)[kHalf]) {
#pragma unroll
  for (int k = 0; k < kHalf; ++k) {
    const int i = (first + k) / 5, j = (first + k) % 5;
    if (first + k >= kS4Pixels) continue;
    const int row = i == 0 ? window.top : i == 4 ? window.bottom : 4 * i * kS4Pitch;
    const int column = j == 0 ? window.left : j == 4 ? window.right : 4 * j;
    pixels[k] = map[window.middle + row + column];
  }
}

// sum[patterns][units] += x[k][patterns] w[k][units] over k < depth. x and w point to the thread's
// own patterns (the second four are kPatterns / 2 further on) and units.
template <int depth, int n_units, int units_each>
__device__ inline void add_products(const float* x, const float* w, float (&sum)[8][units_each]) {
#pragma unroll 1  // other warps hide the loads; unrolled, it would take too many registers
  for (int k = 0; k < depth; ++k) {
    float a[8], b[units_each];
    load4_to(x + k * kPatterns, a);
    load4_to(x + k * kPatterns + kPatterns / 2, a + 4);
#pragma unroll
    for (int i = 0; i < units_each; i += 2) {
      const float2 two = *reinterpret_cast<const float2*>(w + k * n_units + i);
      b[i] = two.x, b[i + 1] = two.y;
    }
#pragma unroll
    for (int m = 0; m < 8; ++m)
#pragma unroll
      for (int i = 0; i < units_each; ++i) sum[m][i] = fmaf(a[m], b[i], sum[m][i]);
  }
}

// y[unit][patterns] = activation of the thread's sums.
template <int units_each>
__device__ inline void store_units(Act act, const float (&sum)[8][units_each], float* y) {
#pragma unroll
  for (int i = 0; i < units_each; ++i)
#pragma unroll
    for (int m = 0; m < 8; m += 4)
      store4(y + i * kPatterns + m * (kPatterns / 8),
             make_float4(act.value(sum[m][i]), act.value(sum[m + 1][i]), act.value(sum[m + 2][i]),
                         act.value(sum[m + 3][i])));
}

template <int units_each>
__device__ inline void start_sums(const float* bias, float (&sum)[8][units_each]) {
#pragma unroll
  for (int i = 0; i < units_each; ++i) {
    const float b = bias[i];
#pragma unroll
    for (int m = 0; m < 8; ++m) sum[m][i] = b;
  }
}

// C5 for the thread's patterns and units; leaves the units after their activation in shared
// memory, [120][128].
__device__ inline void c5_layer(Act act, const Lenet5Weights& w, const Window& window,
                                const float* s4, float* shared) {
  constexpr int n_weights = kS4Pixels * kC5Units / 4;  // of one map, in float4
  constexpr int weights_each = divide_up(n_weights, kThreads);
  const int t = static_cast<int>(threadIdx.x);
  const int own = t % kPatterns, half = t / kPatterns;
  const int patterns = t % kPatternLanes * 4;
  // Threads beyond the last units compute the last ones again and store nothing.
  const int units = smaller(t / kPatternLanes, kC5Units / kC5Each - 1) * kC5Each;

  float sum[8][kC5Each];
  start_sums(w.parameters.c5.bias + units, sum);
  float pixels[kHalf];
  const auto fetch = [&](int c) {
    const float* const map = s4 + c * kS4Map;
    if (half == 0)
      gather_s4<0>(map, window, pixels);
    else
      gather_s4<kHalf>(map, window, pixels);
  };
  const auto put = [&](int c, float* stage) {
#pragma unroll
    for (int k = 0; k < kHalf; ++k)
      if (k + 1 < kHalf || half == 0) stage[(half * kHalf + k) * kPatterns + own] = pixels[k];
#pragma unroll
    for (int i = 0; i < weights_each; ++i)
      if (t + i * kThreads < n_weights)
        store4(stage + kS4Pixels * kPatterns + (t + i * kThreads) * 4,
               load4(w.c5 + (c * n_weights + t + i * kThreads) * 4));
  };
  fetch(0);
  put(0, shared);
  __syncthreads();
  for (int c = 0; c < kMaps3; ++c) {
    const float* const stage = shared + (c & 1) * kC5Stage;
    if (c + 1 < kMaps3) fetch(c + 1);
    add_products<kS4Pixels, kC5Units, kC5Each>(stage + patterns,
                                               stage + kS4Pixels * kPatterns + units, sum);
    if (c + 1 < kMaps3) put(c + 1, shared + ((c + 1) & 1) * kC5Stage);
    __syncthreads();
  }
  if (t / kPatternLanes < kC5Units / kC5Each)
    store_units<kC5Each>(act, sum, shared + units * kPatterns + patterns);
}

// F6 [84][128] from C5 [120][128], in the same place. Its first barrier waits for C5 too.
__device__ inline void f6_layer(Act act, const Lenet5Weights& w, float* shared) {
  const int t = static_cast<int>(threadIdx.x), patterns = t % kPatternLanes * 4;
  const int units = smaller(t / kPatternLanes, kF6Units / kF6Each - 1) * kF6Each;
  float* const stage = shared + kF6WeightsAt;
  constexpr int n_weights = kF6Depth * kF6Units / 4;  // of one stage, in float4
  static_assert(n_weights <= kThreads && kC5Units % kF6Depth == 0);

  float sum[8][kF6Each];
  start_sums(w.parameters.f6.bias + units, sum);
  float4 next = t < n_weights ? load4(w.f6 + t * 4) : make_float4(0, 0, 0, 0);
  for (int first = 0; first < kC5Units; first += kF6Depth) {
    if (t < n_weights) store4(stage + t * 4, next);
    __syncthreads();
    if (first + kF6Depth < kC5Units && t < n_weights)
      next = load4(w.f6 + (first + kF6Depth) * kF6Units + t * 4);
    add_products<kF6Depth, kF6Units, kF6Each>(shared + first * kPatterns + patterns, stage + units,
                                              sum);
    __syncthreads();
  }
  if (t / kPatternLanes < kF6Units / kF6Each)
    store_units<kF6Each>(act, sum, shared + units * kPatterns + patterns);
  if (t < kF6Units * kClasses / 4) store4(stage + t * 4, load4(w.output + t * 4));
}

// Logits [10][128] from F6's [84][128]: 4 patterns x 2 classes for each thread.
__device__ inline void output_layer(const float* bias, float* shared) {
  const int t = static_cast<int>(threadIdx.x), patterns = t % 32 * 4, o = t / 32 * 2;
  if (o >= kClasses) return;
  const float *const x = shared + patterns, *const w = shared + kF6WeightsAt + o;
  float sum[2][4];
  for (int i = 0; i < 4; ++i) sum[0][i] = bias[o], sum[1][i] = bias[o + 1];
#pragma unroll 4
  for (int k = 0; k < kF6Units; ++k) {
    float a[4];
    load4_to(x + k * kPatterns, a);
    const float2 two = *reinterpret_cast<const float2*>(w + k * kClasses);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      sum[0][i] = fmaf(a[i], two.x, sum[0][i]);
      sum[1][i] = fmaf(a[i], two.y, sum[1][i]);
    }
  }
  for (int i = 0; i < 2; ++i)
    store4(shared + kLogitsAt + (o + i) * kPatterns + patterns,
           make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
}

// Patterns 0 ... n_patterns - 1 of a chunk that starts with the job's image first_image.
__global__ void __launch_bounds__(kThreads, 2)
    lenet5_answers(Act act, Subgrid subgrid, Lenet5Weights w, const float* s4,
                   const LossyShifts* lossy_shifts, std::int64_t first_image,
                   std::int64_t n_patterns, std::uint8_t* predictions, float* logits) {
  float* const shared = dynamic_shared<float>();
  const std::int64_t number =
      static_cast<std::int64_t>(blockIdx.x) * kPatterns + threadIdx.x % kPatterns;
  // Threads beyond the last pattern compute the last one again and answer nothing.
  const Window window(subgrid, Pattern(subgrid, number < n_patterns ? number : n_patterns - 1),
                      lossy_shifts);
  c5_layer(act, w, window, s4, shared);
  f6_layer(act, w, shared);
  __syncthreads();
  output_layer(w.parameters.output.bias, shared);
  __syncthreads();
  if (threadIdx.x >= kPatterns || number >= n_patterns) return;
  const Pattern pattern(subgrid, number);
  const std::int64_t answer =
      ((first_image + pattern.image) * subgrid.grid.n_dy + subgrid.first_dy + pattern.row) *
          subgrid.grid.n_dx +
      subgrid.first_dx + pattern.column;
  const float* const own = shared + kLogitsAt + threadIdx.x;
  predictions[answer] = static_cast<std::uint8_t>(argmax(own, kPatterns));
  if (logits == nullptr) return;
  for (int c = 0; c < kClasses; ++c) logits[answer * kClasses + c] = own[c * kPatterns];
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
