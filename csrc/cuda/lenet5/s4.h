// C1 to S4 of all shifts of a subgrid, a block for each image.
//
// The algorithm: cuda/lenet5/canvas.h.
//
// The schedule, with everything between the image and S4 in shared memory:
//   the image on C1's canvas; which shifts are lossy
//   for each group of 3 maps of C1           two groups, one after the other in the same memory
//     C1: a thread takes runs of 4 neighbouring columns of 3 maps
//     S2 of these maps
//   S2's edge lines, with C1 along the way: a thread takes a pixel
//   for each group of 4 maps of C3           four groups, likewise
//     C3: a thread takes runs of 4 columns of one parity of 4 maps, then of 2 edge columns
//     S4 of these maps, edge lines included, to the workspace
//
// There are groups because all maps of C1 or C3 at once would take more shared memory than every
// card has. C3 takes 1.0 M of the 1.2 M multiply-adds of an image. It loads 13 times from shared
// memory for 50 multiply-adds (symmetric LeNet-5: 80).
#pragma once

#include "cuda/lenet5/weights.h"

namespace lenetshift {
namespace cuda {
namespace {

// A block's shared memory, in floats: S2; ink and three maps of C1; later, in their place, four
// maps of C3 and their weights; the lossy shifts.
constexpr int kInkAt = kMaps1 * kS2Map, kC1At = kInkAt + kInkRows * kInkPitch;
constexpr int kC3At = kInkAt, kC3WeightsAt = kC3At + kC3Group * kC3Map;
constexpr int kLossyAt = kC1At + kC1Group * kC1Map;
constexpr int kS4Shared = kLossyAt + static_cast<int>(sizeof(LossyShifts) / sizeof(float));
// The first weights are loaded while ink is still read.
static_assert(kC3WeightsAt >= kC1At && kC3WeightsAt + kC3GroupWeights <= kLossyAt &&
              kInkAt % 4 == 0 && kC1At % 4 == 0 && kC3WeightsAt % 4 == 0 &&
              kS4Shared * sizeof(float) <= 64 << 10);

// The image on C1's canvas, in a border of zeros; has_ink [2][28]: whether each row and column has
// any.
__device__ inline void load_ink(const std::uint8_t* image, const Canvas& canvas, float* ink,
                                int* has_ink) {
  for (Elements at(kInkRows, kInkPitch); at.map == 0; at.next()) {
    const int y = at.row - 2 - canvas.y.last_shift, x = at.column - 2 - canvas.x.last_shift;
    float value = 0;
    if (y >= 0 && y < kImageSize && x >= 0 && x < kImageSize) {
      const std::uint8_t pixel = image[y * kImageSize + x];
      value = static_cast<float>(pixel) * (1.0f / 255);
      if (pixel != 0) atomicMax(&has_ink[y], 1), atomicMax(&has_ink[kImageSize + x], 1);
    }
    ink[at.row * kInkPitch + at.column] = value;
  }
}

// Thread 0 checks the rows, thread 1 the columns.
__device__ inline void find_lossy(const int* has_ink, const Canvas& canvas, LossyShifts* lossy) {
  if (threadIdx.x >= 2) return;
  int first = kImageSize, last = -1;
  for (int i = 0; i < kImageSize; ++i)
    if (has_ink[threadIdx.x * kImageSize + i] != 0) first = smaller(first, i), last = i;
  if (threadIdx.x == 0) lossy->y = canvas.y.lossy(first, last);
  if (threadIdx.x == 1) lossy->x = canvas.x.lossy(first, last);
}

// C1 for three maps, after its activation. A thread takes runs of four neighbouring columns.
__device__ inline void c1_maps(Act act, const float* ink, const Canvas& canvas, const float* weight,
                               const float* bias, float* c1) {
  const int rows = canvas.y.c1(), runs = divide_up(canvas.x.c1(), 4);
  for (int i = static_cast<int>(threadIdx.x); i < rows * runs; i += kThreads) {
    const int y = i / runs, x = i % runs * 4;
    float sum[kC1Group][4];
#pragma unroll
    for (int o = 0; o < kC1Group; ++o)
#pragma unroll
      for (int k = 0; k < 4; ++k) sum[o][k] = bias[o];
#pragma unroll 1
    for (int u = 0; u < 5; ++u) {
      float in[8];
      const float* const row = ink + (y + u) * kInkPitch + x;
      load4_to(row, in);
      load4_to(row + 4, in + 4);
#pragma unroll
      for (int v = 0; v < 5; ++v) {
        float w[4];
        load4_to(weight + (u * 5 + v) * kC1TapPitch, w);
#pragma unroll
        for (int o = 0; o < kC1Group; ++o)
#pragma unroll
          for (int k = 0; k < 4; ++k) sum[o][k] = fmaf(w[o], in[v + k], sum[o][k]);
      }
    }
#pragma unroll
    for (int o = 0; o < kC1Group; ++o)
      store4(c1 + o * kC1Map + y * kC1Pitch + x,
             make_float4(act.value(sum[o][0]), act.value(sum[o][1]), act.value(sum[o][2]),
                         act.value(sum[o][3])));
  }
}

// S2 (sums of four) of three maps on the canvas.
__device__ inline void s2_maps(const float* c1, const Canvas& canvas, float* s2) {
  for (Elements at(canvas.y.s2(), canvas.x.s2()); at.map < kC1Group; at.next()) {
    const float* const in = c1 + at.map * kC1Map + at.row * kC1Pitch + at.column;
    s2[at.map * kS2Map + at.row * kS2Pitch + at.column] =
        (in[0] + in[1]) + (in[kC1Pitch] + in[kC1Pitch + 1]);
  }
}

// The place of a line of S2 on the canvas, and the first and last line of ink that it sees. An edge
// line is the outermost line of its shift's frame, lines offset ... offset + 27; a line of the
// canvas sees all ink. Lines of ink are counted from two before the canvas.
struct FramedLine {
  int line, first, last;

  __device__ FramedLine(int p, const Axis& axis, LossyEnds lossy) {
    line = p, first = 0, last = axis.ink() - 1;
    if (p < axis.s2()) return;
    const int edge = p - axis.s2(), f = lossy.offset(edge, axis.n);
    line = edge < lossy.high ? f + kS2Last : f;
    first = f + 2, last = f + kImageSize + 1;
  }
};

// S2's edge columns and edge rows, from the image's pixels inside the frame; C1 is computed along
// the way.
__device__ inline void s2_edges(Act act, const float* ink, const Canvas& canvas,
                                const Lenet5Weights& w, const LossyShifts& lossy, float* s2) {
  // The edge columns over all rows, then the edge rows over the canvas's columns.
  const int n_columns = lossy.x.count(), n_rows = canvas.y.s2() + lossy.y.count();
  const int n_pixels = n_columns * n_rows + lossy.y.count() * canvas.x.s2();
  for (int i = static_cast<int>(threadIdx.x); i < n_pixels * kMaps1; i += kThreads) {
    const int o = i % kMaps1, pixel = i / kMaps1, rest = pixel - n_columns * n_rows;
    const int row = rest < 0 ? pixel / n_columns : canvas.y.s2() + rest / canvas.x.s2();
    const int column = rest < 0 ? canvas.x.s2() + pixel % n_columns : rest % canvas.x.s2();
    const FramedLine y(row, canvas.y, lossy.y), x(column, canvas.x, lossy.x);
    const float* const weight = w.c1 + o / kC1Group * kC1GroupWeights + o % kC1Group;
    float s2_sum = 0;
    for (int pooled = 0; pooled < 4; ++pooled) {
      const int y0 = y.line + pooled / 2, x0 = x.line + pooled % 2;
      float sum = w.parameters.c1.bias[o];
      for (int u = larger(0, y.first - y0); u < 5 && y0 + u <= y.last; ++u)
        for (int v = larger(0, x.first - x0); v < 5 && x0 + v <= x.last; ++v)
          sum = fmaf(weight[(u * 5 + v) * kC1TapPitch], ink[(y0 + u) * kInkPitch + x0 + v], sum);
      s2_sum += act.value(sum);
    }
    s2[o * kS2Map + row * kS2Pitch + column] = s2_sum;
  }
}

// The columns of a thread's run of C3: four of one parity, which share their inputs, or two edge
// columns.
constexpr int kInterior = 4, kEdges = 2;

template <int n>
using C3Sums = float[kC3Group][n];

// Adds the taps of four maps at `column`, + 2, + 4, + 6. `connected` (see group_connections) is
// known at compile time, so what is not connected costs nothing.
template <int connected>
__device__ __forceinline__ void add_interior(const float* s2, Lines rows, int column,
                                             const float* weight, C3Sums<kInterior>& sum) {
#pragma unroll 1
  for (int u = 0; u < 5; ++u) {
    const int row = u == 0 ? rows.first : u == 4 ? rows.last : rows.middle + 2 * u;
#pragma unroll
    for (int c = 0; c < kMaps1; ++c) {
      float in[kInterior + 4];
#pragma unroll
      for (int k = 0; k < kInterior + 4; ++k)
        in[k] = s2[c * kS2Map + row * kS2Pitch + column + 2 * k];
#pragma unroll
      for (int v = 0; v < 5; ++v) {
        float w[kC3Group];
        load4_to(weight + ((u * kMaps1 + c) * 5 + v) * kC3Group, w);
#pragma unroll
        for (int o = 0; o < kC3Group; ++o)
#pragma unroll
          for (int k = 0; k < kInterior; ++k)
            if (connected >> (c * kC3Group + o) & 1) sum[o][k] = fmaf(w[o], in[k + v], sum[o][k]);
      }
    }
  }
}

// The same for edge columns, whose S2 columns are `columns`. There are few of them, so what is not
// connected is multiplied by zero, and every group of maps runs this code.
__device__ __forceinline__ void add_edges(const float* s2, Lines rows,
                                          const Lines (&columns)[kEdges], const float* weight,
                                          C3Sums<kEdges>& sum) {
#pragma unroll 1
  for (int u = 0; u < 5; ++u) {
    const int row = u == 0 ? rows.first : u == 4 ? rows.last : rows.middle + 2 * u;
#pragma unroll 1
    for (int c = 0; c < kMaps1; ++c) {
      const float* const in = s2 + c * kS2Map + row * kS2Pitch;
#pragma unroll
      for (int v = 0; v < 5; ++v) {
        float w[kC3Group];
        load4_to(weight + ((u * kMaps1 + c) * 5 + v) * kC3Group, w);
#pragma unroll
        for (int k = 0; k < kEdges; ++k) {
          const Lines& column = columns[k];
          const float x = in[v == 0 ? column.first : v == 4 ? column.last : column.middle + 2 * v];
#pragma unroll
          for (int o = 0; o < kC3Group; ++o) sum[o][k] = fmaf(w[o], x, sum[o][k]);
        }
      }
    }
  }
}

template <int n>
__device__ __forceinline__ void start_c3(const float* bias, C3Sums<n>& sum) {
#pragma unroll
  for (int o = 0; o < kC3Group; ++o)
#pragma unroll
    for (int k = 0; k < n; ++k) sum[o][k] = bias[o];
}

// Activates and stores columns first, first + step, ... before stop.
template <int n>
__device__ __forceinline__ void store_c3(Act act, const C3Sums<n>& sum, int first, int step,
                                         int stop, float* c3_row) {
#pragma unroll
  for (int k = 0; k < n; ++k) {
    if (first + k * step >= stop) break;
#pragma unroll
    for (int o = 0; o < kC3Group; ++o) c3_row[o * kC3Map + first + k * step] = act.value(sum[o][k]);
  }
}

// C3 after its activation for one group of four maps: c3 [4][kC3Map]. The runs of edge columns are
// numbered behind all others, so that few warps take both kinds, one after the other.
template <class Table>
__device__ __forceinline__ void c3_group(Act act, int group, const float* s2, const Canvas& canvas,
                                         const float* bias, const float* weight,
                                         const LossyShifts& lossy, float* c3) {
  const int n = canvas.x.c3(), n_edges = lossy.x.count();
  const int n_rows = canvas.y.c3() + lossy.y.count();
  const int runs = 2 * divide_up(n, 2 * kInterior);  // in a row, both parities
  const int edge_runs = divide_up(n_edges, kEdges);
  int i = static_cast<int>(threadIdx.x);
  for (; i < n_rows * runs; i += kThreads) {
    const int row = i / runs, run = i % runs;
    const int first = run / 2 * 2 * kInterior + run % 2;
    const Lines rows = canvas.y.c3_lines(row, lossy.y);
    C3Sums<kInterior> sum;
    start_c3<kInterior>(bias + group * kC3Group, sum);
    constexpr bool dense = kConnected<Table, 0> == kConnected<DenseC3, 0>;
    if (dense || group == 0)
      add_interior<kConnected<Table, 0>>(s2, rows, first, weight, sum);
    else if (group == 1)
      add_interior<kConnected<Table, 1>>(s2, rows, first, weight, sum);
    else if (group == 2)
      add_interior<kConnected<Table, 2>>(s2, rows, first, weight, sum);
    else
      add_interior<kConnected<Table, 3>>(s2, rows, first, weight, sum);
    store_c3<kInterior>(act, sum, first, 2, n, c3 + row * kC3Pitch);
  }
  for (i -= n_rows * runs; i < n_rows * edge_runs; i += kThreads) {
    const int row = i / edge_runs, first = n + i % edge_runs * kEdges, stop = n + n_edges;
    const Lines rows = canvas.y.c3_lines(row, lossy.y);
    Lines columns[kEdges];
#pragma unroll
    for (int k = 0; k < kEdges; ++k)  // beyond the end: the last one again
      columns[k] = canvas.x.c3_lines(smaller(first + k, stop - 1), lossy.x);
    C3Sums<kEdges> sum;
    start_c3<kEdges>(bias + group * kC3Group, sum);
    add_edges(s2, rows, columns, weight, sum);
    store_c3<kEdges>(act, sum, first, 1, stop, c3 + row * kC3Pitch);
  }
}

__device__ inline void load_c3_weights(const Lenet5Weights& w, int group, float* target) {
  for (int i = static_cast<int>(threadIdx.x) * 4; i < kC3GroupWeights; i += kThreads * 4)
    store4(target + i, load4(w.c3 + group * kC3GroupWeights + i));
}

// S4 (sums of four) of four maps, edges included: s4 [4][kS4Map].
__device__ inline void s4_group(const float* c3, const Canvas& canvas, const LossyShifts& lossy,
                                float* s4) {
  const int n_rows = canvas.y.s4() + lossy.y.count(), n_columns = canvas.x.s4() + lossy.x.count();
  for (Elements at(n_rows, n_columns); at.map < kC3Group; at.next()) {
    const Lines y = canvas.y.s4_lines(at.row, lossy.y), x = canvas.x.s4_lines(at.column, lossy.x);
    const float* const in = c3 + at.map * kC3Map;
    const float* const upper = in + y.first * kC3Pitch;
    const float* const lower = in + y.last * kC3Pitch;
    s4[at.map * kS4Map + at.row * kS4Pitch + at.column] =
        (upper[x.first] + upper[x.last]) + (lower[x.first] + lower[x.last]);
  }
}

// images uint8 [n][28][28] -> s4 [n][kS4Size], lossy_shifts [n]. Block x takes image x.
template <class Table>
__global__ void __launch_bounds__(kThreads, 3)
    lenet5_s4(Act act, Canvas canvas, Lenet5Weights w, const std::uint8_t* images, float* s4,
              LossyShifts* lossy_shifts) {
  float* const shared = dynamic_shared<float>();
  float *const s2 = shared, *const ink = shared + kInkAt, *const c1 = shared + kC1At;
  LossyShifts* const shared_lossy = reinterpret_cast<LossyShifts*>(shared + kLossyAt);
  int* const has_ink = reinterpret_cast<int*>(s2);  // until S2 is written
  const std::int64_t image = blockIdx.x;

  if (threadIdx.x < 2 * kImageSize) has_ink[threadIdx.x] = 0;
  __syncthreads();
  load_ink(images + image * kPixels, canvas, ink, has_ink);
  __syncthreads();
  find_lossy(has_ink, canvas, shared_lossy);
  for (int group = 0; group < kC1Groups; ++group) {
    const float* const bias = w.parameters.c1.bias + group * kC1Group;
    c1_maps(act, ink, canvas, w.c1 + group * kC1GroupWeights, bias, c1);
    __syncthreads();
    s2_maps(c1, canvas, s2 + group * kC1Group * kS2Map);
    __syncthreads();
  }
  const LossyShifts& lossy = *shared_lossy;  // stays in shared memory: registers are scarce
  s2_edges(act, ink, canvas, w, lossy, s2);
  float *const c3 = shared + kC3At, *const weight = shared + kC3WeightsAt;
  load_c3_weights(w, 0, weight);
  __syncthreads();
  for (int group = 0; group < kC3Groups; ++group) {
    c3_group<Table>(act, group, s2, canvas, w.parameters.c3.bias, weight, lossy, c3);
    __syncthreads();
    s4_group(c3, canvas, lossy, s4 + image * kS4Size + group * kC3Group * kS4Map);
    if (group + 1 < kC3Groups) load_c3_weights(w, group + 1, weight);
    __syncthreads();
  }
  if (threadIdx.x == 0) lossy_shifts[image] = lossy;
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
