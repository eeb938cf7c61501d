// C1 to S4: a block for each image, everything in shared memory, S4 to the workspace.
#pragma once

#include "lenet5_weights.h"

namespace lenetshift {
namespace cuda {
namespace {

// A block's shared memory, in floats: S2; ink and C1, three maps of it; in their place later C3, four
// maps of it, and their weights; what the image loses.
constexpr int kInkAt = kMaps1 * kS2Plane, kC1At = kInkAt + kInkRows * kInkPitch;
constexpr int kC3At = kInkAt, kC3WeightsAt = kC3At + kC3Group * kC3Plane;
constexpr int kLossAt = kC1At + kC1Group * kC1Plane;
constexpr int kS4Shared = kLossAt + static_cast<int>(sizeof(ImageLoss) / sizeof(float));
// The first weights come while ink is still read.
static_assert(kC3WeightsAt >= kC1At && kC3WeightsAt + kC3GroupWeights <= kLossAt &&
              kInkAt % 4 == 0 && kC1At % 4 == 0 && kC3WeightsAt % 4 == 0 &&
              kS4Shared * sizeof(float) <= 64 << 10);

// The image on C1's canvas, in a border of zeros; has_ink [2][28]: which rows and columns have any.
__device__ inline void load_ink(const std::uint8_t* image, const Canvas& canvas, float* ink,
                                int* has_ink) {
  for (Cells cell(kInkRows, kInkPitch); cell.plane == 0; cell.next()) {
    const int y = cell.row - 2 - canvas.y.last_shift, x = cell.column - 2 - canvas.x.last_shift;
    float value = 0;
    if (y >= 0 && y < kImageSize && x >= 0 && x < kImageSize) {
      const std::uint8_t pixel = image[y * kImageSize + x];
      value = static_cast<float>(pixel) * (1.0f / 255);
      if (pixel != 0) atomicMax(&has_ink[y], 1), atomicMax(&has_ink[kImageSize + x], 1);
    }
    ink[cell.row * kInkPitch + cell.column] = value;
  }
}

// Thread 0 looks at the rows, thread 1 at the columns.
__device__ inline void find_loss(const int* has_ink, const Canvas& canvas, ImageLoss* loss) {
  if (threadIdx.x >= 2) return;
  int first = kImageSize, last = -1;
  for (int i = 0; i < kImageSize; ++i)
    if (has_ink[threadIdx.x * kImageSize + i] != 0) first = smaller(first, i), last = i;
  if (threadIdx.x == 0) loss->y = canvas.y.lossy(first, last);
  if (threadIdx.x == 1) loss->x = canvas.x.lossy(first, last);
}

// C1 for three maps, after its activation: four neighbouring columns and three maps a thread.
template <class Act>
__device__ void c1_maps(const float* ink, const Canvas& canvas, const float* weight,
                        const float* bias, float* c1) {
  const int rows = canvas.y.c1(), tiles = divide_up(canvas.x.c1(), 4);
  for (int i = static_cast<int>(threadIdx.x); i < rows * tiles; i += kBlock) {
    const int y = i / tiles, x = i % tiles * 4;
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
        load4_to(weight + (u * 5 + v) * 4, w);
#pragma unroll
        for (int o = 0; o < kC1Group; ++o)
#pragma unroll
          for (int k = 0; k < 4; ++k) sum[o][k] = fmaf(w[o], in[v + k], sum[o][k]);
      }
    }
#pragma unroll
    for (int o = 0; o < kC1Group; ++o)
      store4(c1 + o * kC1Plane + y * kC1Pitch + x,
             make_float4(Act::value(sum[o][0]), Act::value(sum[o][1]), Act::value(sum[o][2]),
                         Act::value(sum[o][3])));
  }
}

// S2 (sums of four) of three maps on the canvas.
__device__ inline void s2_maps(const float* c1, const Canvas& canvas, float* s2) {
  for (Cells cell(canvas.y.s2(), canvas.x.s2()); cell.plane < kC1Group; cell.next()) {
    const float* const in = c1 + cell.plane * kC1Plane + cell.row * kC1Pitch + cell.column;
    s2[cell.plane * kS2Plane + cell.row * kS2Pitch + cell.column] =
        (in[0] + in[1]) + (in[kC1Pitch] + in[kC1Pitch + 1]);
  }
}

// Where a line of S2 stands on the canvas, and which lines of ink its frame lets it see. An edge
// line is the outermost of its shift's frame, offset ... offset + 27; the frame of canvas lines is
// everything. Ink lines are counted from two before the canvas.
struct FramedLine {
  int line, first, last;

  __device__ FramedLine(int p, const Axis& axis, LossyShifts lossy) {
    line = p, first = 0, last = axis.ink() - 1;
    if (p < axis.s2()) return;
    const int edge = p - axis.s2(), f = lossy.offset(edge, axis.n);
    line = edge < lossy.high ? f + kS2Last : f;
    first = f + 2, last = f + kImageSize + 1;
  }
};

// S2 at the cells of edge columns and edge rows, from the pixels of their frame: C1 on the spot.
template <class Act>
__device__ void s2_edges(const float* ink, const Canvas& canvas, const Lenet5Weights& w,
                         const ImageLoss& loss, float* s2) {
  // The edge columns over all rows, then the edge rows over the canvas's columns.
  const int n_columns = loss.x.count(), n_rows = canvas.y.s2() + loss.y.count();
  const int n_cells = n_columns * n_rows + loss.y.count() * canvas.x.s2();
  for (int i = static_cast<int>(threadIdx.x); i < n_cells * kMaps1; i += kBlock) {
    const int o = i % kMaps1, cell = i / kMaps1, rest = cell - n_columns * n_rows;
    const int row = rest < 0 ? cell / n_columns : canvas.y.s2() + rest / canvas.x.s2();
    const int column = rest < 0 ? canvas.x.s2() + cell % n_columns : rest % canvas.x.s2();
    const FramedLine y(row, canvas.y, loss.y), x(column, canvas.x, loss.x);
    const float* const weight = w.c1 + o / kC1Group * 100 + o % kC1Group;
    float s2_sum = 0;
    for (int c1 = 0; c1 < 4; ++c1) {
      const int y0 = y.line + c1 / 2, x0 = x.line + c1 % 2;
      float sum = w.parameters.c1.bias[o];
      for (int u = larger(0, y.first - y0); u < 5 && y0 + u <= y.last; ++u)
        for (int v = larger(0, x.first - x0); v < 5 && x0 + v <= x.last; ++v)
          sum = fmaf(weight[(u * 5 + v) * 4], ink[(y0 + u) * kInkPitch + x0 + v], sum);
      s2_sum += Act::value(sum);
    }
    s2[o * kS2Plane + row * kS2Pitch + column] = s2_sum;
  }
}

// C3 at so many columns of four maps is a thread's tile: four of one parity in the interior, which
// share their inputs, or two edge columns.
constexpr int kInterior = 4, kEdges = 2;

// The five rows of taps of four maps at n columns. `columns` are the S2 columns of the C3 columns;
// in the interior they are middle, + 2, + 4, ... of the first.
template <class Table, int group, int n>
__device__ __forceinline__ void c3_sums(const float* s2, Lines rows, const Lines (&columns)[n],
                                        const float* weight, float (&sum)[kC3Group][n]) {
  constexpr int connected = kConnected<Table, group>;
  constexpr bool interior = n == kInterior;
#pragma unroll 1
  for (int u = 0; u < 5; ++u) {
    const int row = u == 0 ? rows.first : u == 4 ? rows.last : rows.middle + 2 * u;
    const float* const s2_row = s2 + row * kS2Pitch;
#pragma unroll
    for (int c = 0; c < kMaps1; ++c) {
      const float* const in = s2_row + c * kS2Plane;
      float neighbours[n + 4];
      if (interior) {
#pragma unroll
        for (int k = 0; k < n + 4; ++k) neighbours[k] = in[columns[0].middle + 2 * k];
      }
#pragma unroll
      for (int v = 0; v < 5; ++v) {
        float w[kC3Group];
        load4_to(weight + ((u * kMaps1 + c) * 5 + v) * kC3Group, w);
#pragma unroll
        for (int k = 0; k < n; ++k) {
          const Lines& column = columns[k];
          const float x = interior ? neighbours[k + v]
                                   : in[v == 0   ? column.first
                                        : v == 4 ? column.last
                                                 : column.middle + 2 * v];
#pragma unroll
          for (int o = 0; o < kC3Group; ++o)
            if (connected >> (c * kC3Group + o) & 1) sum[o][k] = fmaf(w[o], x, sum[o][k]);
        }
      }
    }
  }
}

// C3 after its activation for one group of four maps, row `row`, columns first, first + step, ...
// before stop.
template <class Act, class Table, int group, int n>
__device__ __forceinline__ void c3_tile(const float* s2, const Canvas& canvas,
                                        const float* bias, const float* weight,
                                        const ImageLoss& loss, int row, int first, int step,
                                        int stop, float* c3) {
  float sum[kC3Group][n];
#pragma unroll
  for (int o = 0; o < kC3Group; ++o) {
    const float b = bias[group * kC3Group + o];
#pragma unroll
    for (int k = 0; k < n; ++k) sum[o][k] = b;
  }
  Lines columns[n];
#pragma unroll
  for (int k = 0; k < n; ++k)  // beyond the end: the last once more
    columns[k] = n == kInterior ? Lines{first, first, first}
                                : canvas.x.c3_lines(smaller(first + k, stop - 1), loss.x);
  c3_sums<Table, group, n>(s2, canvas.y.c3_lines(row, loss.y), columns, weight, sum);
#pragma unroll
  for (int k = 0; k < n; ++k) {
    if (first + k * step >= stop) break;
#pragma unroll
    for (int o = 0; o < kC3Group; ++o)
      c3[o * kC3Plane + row * kC3Pitch + first + k * step] = Act::value(sum[o][k]);
  }
}

template <class Act, class Table, int group>
__device__ __forceinline__ void c3_group(const float* s2, const Canvas& canvas, const float* bias,
                                         const float* weight, const ImageLoss& loss, float* c3) {
  const int n = canvas.x.c3(), n_edges = loss.x.count();
  const int interior = 2 * divide_up(n, 2 * kInterior);  // tiles in a row, both parities
  const int tiles = interior + divide_up(n_edges, kEdges);
  const int n_tiles = (canvas.y.c3() + loss.y.count()) * tiles;
  for (int i = static_cast<int>(threadIdx.x); i < n_tiles; i += kBlock) {
    const int row = i / tiles, tile = i % tiles;
    if (tile < interior)
      c3_tile<Act, Table, group, kInterior>(s2, canvas, bias, weight, loss, row,
                                            tile / 2 * 2 * kInterior + tile % 2, 2, n, c3);
    else
      c3_tile<Act, Table, group, kEdges>(s2, canvas, bias, weight, loss, row,
                                         n + (tile - interior) * kEdges, 1, n + n_edges, c3);
  }
}

__device__ inline void load_c3_weights(const Lenet5Weights& w, int group, float* target) {
  for (int i = static_cast<int>(threadIdx.x) * 4; i < kC3GroupWeights; i += kBlock * 4)
    store4(target + i, load4(w.c3 + group * kC3GroupWeights + i));
}

// S4 (sums of four) of four maps, edges included: s4 [4][kS4Plane].
__device__ inline void s4_group(const float* c3, const Canvas& canvas, const ImageLoss& loss,
                                float* s4) {
  const int n_rows = canvas.y.s4() + loss.y.count(), n_columns = canvas.x.s4() + loss.x.count();
  for (Cells cell(n_rows, n_columns); cell.plane < kC3Group; cell.next()) {
    const Lines y = canvas.y.s4_lines(cell.row, loss.y), x = canvas.x.s4_lines(cell.column, loss.x);
    const float* const in = c3 + cell.plane * kC3Plane;
    const float* const upper = in + y.first * kC3Pitch;
    const float* const lower = in + y.last * kC3Pitch;
    s4[cell.plane * kS4Plane + cell.row * kS4Pitch + cell.column] =
        (upper[x.first] + upper[x.last]) + (lower[x.first] + lower[x.last]);
  }
}

// Group by group; the first group's weights are there.
template <class Act, class Table, int group = 0>
__device__ __forceinline__ void c3_and_s4(const float* s2, const Canvas& canvas,
                                          const Lenet5Weights& w, const ImageLoss& loss, float* c3,
                                          float* weight, float* s4) {
  if constexpr (group < kC3Groups) {
    c3_group<Act, Table, group>(s2, canvas, w.parameters.c3.bias, weight, loss, c3);
    __syncthreads();
    s4_group(c3, canvas, loss, s4 + group * kC3Group * kS4Plane);
    if (group + 1 < kC3Groups) load_c3_weights(w, group + 1, weight);
    __syncthreads();
    c3_and_s4<Act, Table, group + 1>(s2, canvas, w, loss, c3, weight, s4);
  }
}

// images uint8 [n][28][28] -> s4 [n][kS4Size], losses [n]; a block an image.
template <class Act, class Table>
__global__ void __launch_bounds__(kBlock, 3)
    lenet5_s4(Canvas canvas, Lenet5Weights w, const std::uint8_t* images, float* s4,
              ImageLoss* losses) {
  float* const shared = dynamic_shared<float>();
  float *const s2 = shared, *const ink = shared + kInkAt, *const c1 = shared + kC1At;
  ImageLoss* const loss_found = reinterpret_cast<ImageLoss*>(shared + kLossAt);
  int* const has_ink = reinterpret_cast<int*>(s2);  // until S2 is written
  const std::int64_t image = blockIdx.x;

  if (threadIdx.x < 2 * kImageSize) has_ink[threadIdx.x] = 0;
  __syncthreads();
  load_ink(images + image * kPixels, canvas, ink, has_ink);
  __syncthreads();
  find_loss(has_ink, canvas, loss_found);
  for (int group = 0; group < kC1Groups; ++group) {
    const float* const bias = w.parameters.c1.bias + group * kC1Group;
    c1_maps<Act>(ink, canvas, w.c1 + group * 100, bias, c1);
    __syncthreads();
    s2_maps(c1, canvas, s2 + group * kC1Group * kS2Plane);
    __syncthreads();
  }
  const ImageLoss& loss = *loss_found;  // stays in shared memory: registers are scarce
  s2_edges<Act>(ink, canvas, w, loss, s2);
  load_c3_weights(w, 0, shared + kC3WeightsAt);
  __syncthreads();
  c3_and_s4<Act, Table>(s2, canvas, w, loss, shared + kC3At, shared + kC3WeightsAt,
                        s4 + image * kS4Size);
  if (threadIdx.x == 0) losses[image] = loss;
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
