// predict_shifts for the MLP in a Toom-Cook form (cpu/math/toom_cook.h), as on the CPU: images are
// cut into cells, and a cell's pixels and a tile of shifts meet in fewer products.
//
// The algorithm, for one image I and a tile of shifts (dx + j, dy + k), j < 4, k < 5, where X and Y
// are the matrices of F(4, 3) and F(5, 3):
//   for hidden unit h with weights W, zero outside the frame
//     for each of 7 points q in y and 6 points p in x
//       sum[q][p] = sum over inked cells of 3 x 3 pixels, those from (x, y) on:
//         (Y.G cell X.G^T)[q][p] * (Y.B W[y + dy ...][x + dx ...] X.B^T)[q][p]
//     hidden[k][j] = act(bias[h] + (Y.A sum X.A^T)[k][j])
//   logits = output weights * hidden;  answer = argmax
// That takes 42 products for 20 shifts of 9 pixels instead of 180.
//
// The schedule:
//   pack the weights                              pack_perceptron
//   for each chunk of groups of 32 images         whose values fit in 256 MiB of workspace
//     the images in the order of the boxes of their ink, so that the images of a group have ink in
//       about the same cells                      image_order.h
//     a group's inked cells, and their pixels at the points: whole numbers    pixels_at_points
//     for each tile of the grid
//       the weights at the points                 weights_at_points, in double, rounded once
//       for each group, for each strip of 32 hidden units: a block            sums_of_cells
//         for each pair of points in x
//           a warp for each point in y, half of it for each of the pair:
//             for each inked cell                 a thread keeps 8 images x 8 units in registers
//           through shared memory: a thread then keeps 4 units of an image under 20 shifts
//         activation; through shared memory into the strip's share of the logits
//       the strips' shares added; answers         answers_of_tile
//
// No warp waits for another one while it multiplies: each has its own stage in shared memory.
// csrc/cuda/README.md counts what bounds it.
#pragma once

#include "cuda/perceptron/predict.h"
#include "toom_cook_matrices.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kCellSide = 3, kCells = divide_up(kImageSize, kCellSide);  // in a row or a column
constexpr int kAllCells = kCells * kCells;
constexpr int kTileDx = 4, kTileDy = 5, kTileShifts = kTileDx * kTileDy;
// From tools/generate/toom_cook_points.py.
constexpr Points<6> kCellPoints = {{0, 1, -1, 2, -0.5, -2}, Fractions::in_inputs};
using FormX = FormMatrices<kTileDx, kCellSide>;
using FormY = FormMatrices<kTileDy, kCellSide>;
constexpr FormX kFormX{kCellPoints};
constexpr FormY kFormY{kCellPoints};

// Points in x go in pairs. A pair has 2 * kPointsY points, numbered 2 * (point in y) + half.
constexpr int kPointsX = FormX::points, kPointsY = FormY::points;
constexpr int kPairs = kPointsX / 2, kPairPoints = 2 * kPointsY,
              kCellPointsXY = kPairs * kPairPoints;
static_assert(kPointsX % 2 == 0 && kPointsY <= kWarps);

// A tile's time is about that of six shifts pixel by pixel (csrc/cuda/README.md).
constexpr int kShiftsWorthATile = 8;
constexpr int kMostUnits = 4096;  // whose weights at the points are 69 MB

constexpr int kCellImages = kWarp, kCellUnits = 32;  // of a group, of a strip
constexpr int kBlockPairs = kCellImages * kCellUnits;
constexpr int kCellDepth = 8;  // cells in shared memory at a time
// The cells of a sum at most. A group with more has two sums at each point, brought back to shifts
// one after the other, which halves the rounding error of a long sum.
constexpr int kMostInSum = 64;
static_assert(kAllCells <= 2 * kMostInSum);

// The matrices, passed to the kernels by value.
struct CellTaps {
  int x[kPointsX][kCellSide], y[kPointsY][kCellSide];
};
struct CellInputs {
  double x[kPointsX][FormX::inputs], y[kPointsY][FormY::inputs];
};
struct TileOutputs {
  float x[kPointsX][kTileDx], y[kPointsY][kTileDy];  // transposed
};

constexpr CellTaps cell_taps() {
  CellTaps taps = {};
  for (int j = 0; j < kCellSide; ++j) {
    for (int p = 0; p < kPointsX; ++p) taps.x[p][j] = static_cast<int>(kFormX.g[p][j]);
    for (int q = 0; q < kPointsY; ++q) taps.y[q][j] = static_cast<int>(kFormY.g[q][j]);
  }
  return taps;
}

// Whether a pixel at any point is a 16-bit number.
constexpr bool taps_fit() {
  const CellTaps taps = cell_taps();
  int most[2] = {};
  for (int axis = 0; axis < 2; ++axis)
    for (int p = 0; p < (axis == 0 ? kPointsX : kPointsY); ++p) {
      int sum = 0;
      for (int j = 0; j < kCellSide; ++j) {
        const int tap = axis == 0 ? taps.x[p][j] : taps.y[p][j];
        sum += tap < 0 ? -tap : tap;
      }
      most[axis] = larger(most[axis], sum);
    }
  return most[0] * most[1] * 255 <= 32767;
}
static_assert(taps_fit());

inline CellInputs cell_inputs() {
  CellInputs inputs = {};
  for (int p = 0; p < kPointsX; ++p)
    for (int k = 0; k < FormX::inputs; ++k) inputs.x[p][k] = kFormX.b[p][k];
  for (int q = 0; q < kPointsY; ++q)
    for (int k = 0; k < FormY::inputs; ++k) inputs.y[q][k] = kFormY.b[q][k];
  return inputs;
}

inline TileOutputs tile_outputs() {
  TileOutputs outputs = {};
  for (int p = 0; p < kPointsX; ++p)
    for (int j = 0; j < kTileDx; ++j) outputs.x[p][j] = static_cast<float>(kFormX.a[j][p]);
  for (int q = 0; q < kPointsY; ++q)
    for (int k = 0; k < kTileDy; ++k) outputs.y[q][k] = static_cast<float>(kFormY.a[k][q]);
  return outputs;
}

// Whether the form takes less time than the shifts one by one: partly filled tiles cost as much as
// whole ones.
inline bool form_pays(const Mlp& mlp, const ShiftGrid& grid) {
  const int tiles = divide_up(grid.n_dx, kTileDx) * divide_up(grid.n_dy, kTileDy);
  return grid.n_dx * grid.n_dy >= kShiftsWorthATile * tiles &&
         mlp.parameters.n_hidden <= kMostUnits;
}

// The values of a chunk.
struct CellMemory {
  int n_strips;
  std::int64_t groups;   // of a chunk
  ImageOrder order;      // of its images
  std::uint8_t* cell;    // [groups][100]: inked cells, ascending, and perhaps a blank one
  int* n_cells;          // [groups]: an even number
  std::int16_t* pixels;  // [groups][points][100 cells in that order][32 images]
  float* weights;        // [strips][points][100 cells][32 units], of one tile
  float* shares;         // [groups][strips][shifts of a tile][10][32 images]

  CellMemory(Workspace& workspace, int n_hidden, std::int64_t n_images)
      : n_strips(divide_up(n_hidden, kCellUnits)),
        groups(
            smaller(divide_up(n_images, kCellImages), smaller(kChunkBytes / group_bytes(), 65535))),
        order(workspace, groups * kCellImages) {
    cell = workspace.take<std::uint8_t>(groups * kAllCells);
    n_cells = workspace.take<int>(groups);
    pixels = workspace.take<std::int16_t>(groups * group_pixels());
    shares = workspace.take<float>(groups * group_shares());
    weights = workspace.take<float>(n_images == 0 ? 0 : n_strips * strip_weights());
  }

  static constexpr std::int64_t group_pixels() { return kCellPointsXY * kAllCells * kCellImages; }
  std::int64_t group_bytes() const {
    return group_pixels() * sizeof(std::int16_t) + group_shares() * sizeof(float);
  }
  __host__ __device__ static constexpr std::int64_t strip_weights() {
    return kCellPointsXY * kAllCells * kCellUnits;
  }
  __host__ __device__ static constexpr std::int64_t strip_shares() {
    return kTileShifts * kClasses * kCellImages;
  }
  __host__ __device__ std::int64_t group_shares() const { return n_strips * strip_shares(); }
};

// Block x: the inked cells of group x, and its pixels at the points. Lanes take images.
__global__ void __launch_bounds__(kThreads)
    pixels_at_points(CellMemory memory, CellTaps taps, const std::uint8_t* images, int n_images) {
  __shared__ unsigned char has_ink[round_up(kAllCells, kWarp)];
  __shared__ unsigned char inked[kAllCells];
  __shared__ int n_inked;
  static_assert(kCellImages == kStagedImages);
  std::uint8_t* const staged = dynamic_shared<std::uint8_t>();
  const std::int64_t group = blockIdx.x;
  stage_images(images, group * kCellImages, n_images, staged, memory.order.image);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  // A cell's pixels; those beyond the frame are blank.
  const auto load = [&](int cell, int(&pixel)[kCellSide][kCellSide]) {
    const int y0 = cell / kCells * kCellSide, x0 = cell % kCells * kCellSide;
#pragma unroll
    for (int y = 0; y < kCellSide; ++y)
#pragma unroll
      for (int x = 0; x < kCellSide; ++x)
        pixel[y][x] = y0 + y < kImageSize && x0 + x < kImageSize
                          ? staged[lane * kStagedPitch + (y0 + y) * kImageSize + x0 + x]
                          : 0;
  };
  for (int cell = warp; cell < round_up(kAllCells, kWarp); cell += kWarps) {
    int pixel[kCellSide][kCellSide] = {}, any = 0;
    if (cell < kAllCells) load(cell, pixel);
#pragma unroll
    for (int i = 0; i < kCellSide * kCellSide; ++i) any |= pixel[i / kCellSide][i % kCellSide];
    const unsigned images_with_ink = __ballot_sync(kAllLanes, any);
    if (lane == 0) has_ink[cell] = images_with_ink != 0;
  }
  __syncthreads();
  if (warp == 0) {
    int before = 0;
    for (int cell = lane; cell < round_up(kAllCells, kWarp); cell += kWarp) {
      const unsigned ballot = __ballot_sync(kAllLanes, has_ink[cell]);
      if (has_ink[cell] != 0) {
        const int place = before + __popc(ballot & ((1u << lane) - 1));
        inked[place] = static_cast<unsigned char>(cell);
        memory.cell[group * kAllCells + place] = static_cast<std::uint8_t>(cell);
      }
      before += __popc(ballot);
    }
    if (lane == 0) n_inked = before;
  }
  __syncthreads();
  // Cells are multiplied two at a time. Any cell serves as the blank one that makes them even.
  const int n_cells = round_up(n_inked, 2);
  if (threadIdx.x == 0) {
    memory.n_cells[group] = n_cells;
    if (n_cells > n_inked) memory.cell[group * kAllCells + n_inked] = 0;
  }
  std::int16_t* const target = memory.pixels + group * kCellPointsXY * kAllCells * kCellImages;
  for (int i = warp; i < n_cells; i += kWarps) {
    int pixel[kCellSide][kCellSide] = {};
    if (i < n_inked) load(inked[i], pixel);
    for (int p = 0; p < kPointsX; ++p) {
      int column[kCellSide] = {};
#pragma unroll
      for (int y = 0; y < kCellSide; ++y)
#pragma unroll
        for (int x = 0; x < kCellSide; ++x) column[y] += taps.x[p][x] * pixel[y][x];
#pragma unroll
      for (int q = 0; q < kPointsY; ++q) {
        int value = 0;
#pragma unroll
        for (int y = 0; y < kCellSide; ++y) value += taps.y[q][y] * column[y];
        const int point = p / 2 * kPairPoints + 2 * q + p % 2;
        target[(point * kAllCells + i) * kCellImages + lane] = static_cast<std::int16_t>(value);
      }
    }
  }
}

// Block (x, y): the weights of strip x at the points of cell y, for the tile that begins with shift
// (dx, dy). A warp takes a point in x, lanes take units.
__global__ void __launch_bounds__(kThreads)
    weights_at_points(CellMemory memory, CellInputs inputs, PerceptronWeights w, int dx, int dy) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int p = static_cast<int>(threadIdx.x) / kWarp;
  if (p >= kPointsX) return;
  const int cell = static_cast<int>(blockIdx.y);
  const int y0 = cell / kCells * kCellSide + dy, x0 = cell % kCells * kCellSide + dx;
  const float* const from = w.hidden + blockIdx.x * kCellUnits + lane;
  double sum[kPointsY] = {};
#pragma unroll
  for (int k = 0; k < FormY::inputs; ++k) {
    const int y = y0 + k;
    double row = 0;
#pragma unroll
    for (int l = 0; l < FormX::inputs; ++l) {
      const int x = x0 + l;
      const bool stays = y >= 0 && y < kImageSize && x >= 0 && x < kImageSize;
      const std::int64_t pixel = stays ? y * kImageSize + x : kPixels;  // that of a row of zeros
      row += inputs.x[p][l] * from[pixel * w.n_units];
    }
#pragma unroll
    for (int q = 0; q < kPointsY; ++q) sum[q] += inputs.y[q][k] * row;
  }
  float* const to = memory.weights + blockIdx.x * CellMemory::strip_weights() + lane;
#pragma unroll
  for (int q = 0; q < kPointsY; ++q) {
    const int point = p / 2 * kPairPoints + 2 * q + p % 2;
    to[(point * kAllCells + cell) * kCellUnits] = static_cast<float>(sum[q]);
  }
}

// A warp's stage: for each of its two points, kCellDepth rows of 32 images and 32 units. A row
// begins four banks after the one before, so that the eight lanes which store to two rows at once
// use all banks; the second point begins 16 banks after the first, so that the lanes which load
// from both, from either four runs of four values, use all banks.
constexpr int kStageRow = kCellImages + kCellUnits + 4;
constexpr int kStagePoint = kCellDepth * kStageRow + 16;
constexpr int kWarpStage = 2 * kStagePoint;
static_assert(kStagePoint % kWarp == 16);

// A thread's images, or units, among 32: four from its `own` on, and four from `own` + kOwnNext on.
constexpr int kOwnNext = 16;

// sum[images][units] += the products of cells begin ... end - 1, an even number, at the warp's two
// points, each in a half of the warp: pixels [2 points][100][32] and weights [2 points][100][32].
__device__ inline void add_cells(const std::int16_t* cells, int begin, int end,
                                 const std::int16_t* pixels, const float* weights, float* stage,
                                 float (&sum)[8][8]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, half = lane / 16;
  // What a lane loads: of each point 8 images of a cell, and 4 units of two cells.
  const int of_pixels = lane / 4, at_pixels = lane % 4 * 8;
  const int of_weights = lane / 8, at_weights = lane % 8 * 4;
  int4 x[2];
  float4 w[2][2];
  const auto fetch = [&](int first) {
#pragma unroll
    for (int point = 0; point < 2; ++point) {
      const int i = smaller(first + of_pixels, end - 1);
      x[point] = *reinterpret_cast<const int4*>(pixels + (point * kAllCells + i) * kCellImages +
                                                at_pixels);
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int cell = cells[smaller(first + of_weights + 4 * j, end - 1)];
        w[point][j] = load4(weights + (point * kAllCells + cell) * kCellUnits + at_weights);
      }
    }
  };
  const auto put = [&]() {
#pragma unroll
    for (int point = 0; point < 2; ++point) {
      float* const at = stage + point * kStagePoint;
      const int two[4] = {x[point].x, x[point].y, x[point].z, x[point].w};
      float value[8];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        value[2 * i] = static_cast<float>(static_cast<std::int16_t>(two[i] & 0xffff));
        value[2 * i + 1] = static_cast<float>(static_cast<std::int16_t>(two[i] >> 16));
      }
#pragma unroll
      for (int i = 0; i < 8; i += 4)
        store4(at + of_pixels * kStageRow + at_pixels + i,
               make_float4(value[i], value[i + 1], value[i + 2], value[i + 3]));
#pragma unroll
      for (int j = 0; j < 2; ++j)
        store4(at + (of_weights + 4 * j) * kStageRow + kCellImages + at_weights, w[point][j]);
    }
  };
  const float* const own_images = stage + half * kStagePoint + lane % 4 * 4;
  const float* const own_units = stage + half * kStagePoint + kCellImages + lane / 4 % 4 * 4;
  fetch(begin);
  for (int first = begin; first < end; first += kCellDepth) {
    __syncwarp();  // the previous cells
    put();
    __syncwarp();
    if (first + kCellDepth < end) fetch(first + kCellDepth);
    const int n = smaller(end - first, kCellDepth);
    const float *at_images = own_images, *at_units = own_units;
#pragma unroll 1
    for (int k = 0; k < n; k += 2, at_images += 2 * kStageRow, at_units += 2 * kStageRow)
#pragma unroll
      for (int row = 0; row < 2 * kStageRow; row += kStageRow) {
        float a[8], b[8];
        load4_to(at_images + row, a);
        load4_to(at_images + row + kOwnNext, a + 4);
        load4_to(at_units + row, b);
        load4_to(at_units + row + kOwnNext, b + 4);
#pragma unroll
        for (int m = 0; m < 8; ++m)
#pragma unroll
          for (int i = 0; i < 8; ++i) sum[m][i] = fmaf(a[m], b[i], sum[m][i]);
      }
  }
}

// Shared memory in floats: the sums of a pair's points [14][32 units][32 images], in their place
// the stages, or half of the hidden units [20 shifts][16 units][32 images]; the inked cells.
constexpr int kSumsSize = kPairPoints * kBlockPairs;
static_assert(kPointsY * kWarpStage <= kSumsSize && kTileShifts * kBlockPairs / 2 <= kSumsSize);
constexpr std::size_t kCellsShared =
    kSumsSize * sizeof(float) + round_up(kAllCells * sizeof(std::int16_t), 16);

// The row of a unit's sums is turned by 16 images if `unit` is in an odd run of four: so the eight
// lanes that store two runs of units at once use all banks.
__device__ inline int turned(int unit, int image) { return image ^ (unit / 4 % 2 * 16); }

// A thread's sums to sums [unit][image] of its point.
__device__ inline void store_sums(const float (&sum)[8][8], float* sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int images = lane % 4 * 4, units = lane / 4 % 4 * 4;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int unit = units + i % 4 + i / 4 * kOwnNext;
    float* const row = sums + unit * kCellImages;
#pragma unroll
    for (int m = 0; m < 8; m += 4)
      store4(row + turned(unit, images + m / 4 * kOwnNext),
             make_float4(sum[m][i], sum[m + 1][i], sum[m + 2][i], sum[m + 3][i]));
  }
}

// hidden[dy][dx] += what the sums of a pair of points in x contribute to a unit of an image.
__device__ inline void add_pair(const TileOutputs& outputs, int pair, const float* sums,
                                float (&hidden)[kTileShifts]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    // Point 0 contributes only to the first dy, infinity only to the last.
    float column[kTileDy] = {};
    column[0] = sums[half * kBlockPairs];
    column[kTileDy - 1] = sums[(2 * (kPointsY - 1) + half) * kBlockPairs];
#pragma unroll
    for (int q = 1; q + 1 < kPointsY; ++q) {
      const float value = sums[(2 * q + half) * kBlockPairs];
#pragma unroll
      for (int k = 0; k < kTileDy; ++k) column[k] = fmaf(outputs.y[q][k], value, column[k]);
    }
#pragma unroll
    for (int j = 0; j < kTileDx; ++j) {
      const float factor = outputs.x[2 * pair + half][j];
#pragma unroll
      for (int k = 0; k < kTileDy; ++k)
        hidden[k * kTileDx + j] = fmaf(factor, column[k], hidden[k * kTileDx + j]);
    }
  }
}

// Block (x, y): the share of strip x in the logits of group y, for a tile.
__global__ void __launch_bounds__(kThreads)
    sums_of_cells(CellMemory memory, TileOutputs outputs, Act act, PerceptronWeights w) {
  constexpr int each = kBlockPairs / kThreads;  // units of a thread: warp, warp + 8 ...
  static_assert(kTileDx * 2 == kWarps && each % 2 == 0);
  float* const shared = dynamic_shared<float>();
  std::int16_t* const cells = reinterpret_cast<std::int16_t*>(shared + kSumsSize);
  const int t = static_cast<int>(threadIdx.x), warp = t / kWarp, lane = t % kWarp;
  const std::int64_t group = blockIdx.y, strip = blockIdx.x;
  const int first_unit = static_cast<int>(strip) * kCellUnits;
  const int n_cells = memory.n_cells[group];
  for (int i = t; i < n_cells; i += kThreads) cells[i] = memory.cell[group * kAllCells + i];
  __syncthreads();

  float hidden[each][kTileShifts];
#pragma unroll
  for (int i = 0; i < each; ++i) {
    const float bias = w.bias[first_unit + warp + i * kWarps];
#pragma unroll
    for (int s = 0; s < kTileShifts; ++s) hidden[i][s] = bias;
  }
  const int n_sums = divide_up(n_cells, kMostInSum);
  for (int step = 0; step < kPairs * n_sums; ++step) {
    const int pair = step / n_sums, part = step % n_sums;
    const int point = pair * kPairPoints + 2 * warp;  // the first of the warp's two
    float sum[8][8] = {};
    if (warp < kPointsY)
      add_cells(cells, n_cells / 2 * part / n_sums * 2, n_cells / 2 * (part + 1) / n_sums * 2,
                memory.pixels + (group * kCellPointsXY + point) * kAllCells * kCellImages,
                memory.weights + (strip * kCellPointsXY + point) * kAllCells * kCellUnits,
                shared + warp * kWarpStage, sum);
    __syncthreads();  // the stages
    if (warp < kPointsY) store_sums(sum, shared + (2 * warp + lane / 16) * kBlockPairs);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int unit = warp + i * kWarps;
      add_pair(outputs, pair, shared + unit * kCellImages + turned(unit, lane), hidden[i]);
    }
    __syncthreads();  // the sums
  }
  act.apply(hidden);

  // A warp takes one dx, all dy, and five classes.
  const int dx = warp / 2, classes = warp % 2;
  float logit[kTileDy][5] = {};
  for (int part = 0; part < 2; ++part) {
#pragma unroll
    for (int i = 0; i < each; ++i)
      if (i / (each / 2) == part)
#pragma unroll
        for (int s = 0; s < kTileShifts; ++s)
          shared[(s * kCellUnits / 2 + warp + i % (each / 2) * kWarps) * kCellImages + lane] =
              hidden[i][s];
    __syncthreads();
    const float* weight =
        w.output + ((first_unit + part * kCellUnits / 2) * 2 + classes) * kLogitsStride;
#pragma unroll 4
    for (int unit = 0; unit < kCellUnits / 2; ++unit, weight += 2 * kLogitsStride) {
      float five[5];
      load4_to(weight, five);
      five[4] = weight[4];
#pragma unroll
      for (int k = 0; k < kTileDy; ++k) {
        const float value =
            shared[((k * kTileDx + dx) * kCellUnits / 2 + unit) * kCellImages + lane];
#pragma unroll
        for (int o = 0; o < 5; ++o) logit[k][o] = fmaf(value, five[o], logit[k][o]);
      }
    }
    __syncthreads();  // the hidden units
  }
  float* const share =
      memory.shares + group * memory.group_shares() + strip * CellMemory::strip_shares() + lane;
#pragma unroll
  for (int k = 0; k < kTileDy; ++k)
#pragma unroll
    for (int o = 0; o < 5; ++o)
      share[((k * kTileDx + dx) * kClasses + classes * 5 + o) * kCellImages] = logit[k][o];
}

// Block (x, y): answers of group y, shifts 8 x ... 8 x + 7 of the tile that begins with shift
// number (column, row) of the grid; the chunk has n_images and begins with image `first`. A warp
// takes a shift.
__global__ void __launch_bounds__(kThreads)
    answers_of_tile(CellMemory memory, PerceptronWeights w, ShiftedImages job, std::int64_t first,
                    int n_images, int column, int row) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int shift = static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarp);
  const std::int64_t group = blockIdx.y, place = group * kCellImages + lane;
  const int x = column + shift % kTileDx, y = row + shift / kTileDx;
  if (shift >= kTileShifts || x >= job.grid.n_dx || y >= job.grid.n_dy || place >= n_images) return;
  const std::int64_t number = first + memory.order.at(place);
  const float* share =
      memory.shares + group * memory.group_shares() + shift * kClasses * kCellImages + lane;
  float logit[kClasses];
#pragma unroll
  for (int o = 0; o < kClasses; ++o) logit[o] = w.output_bias[o];
  for (int strip = 0; strip < memory.n_strips; ++strip, share += CellMemory::strip_shares())
#pragma unroll
    for (int o = 0; o < kClasses; ++o) logit[o] += share[o * kCellImages];
  const std::int64_t answer = (number * job.grid.n_dy + y) * job.grid.n_dx + x;
  job.predictions[answer] = static_cast<std::uint8_t>(argmax(logit, 1));
  if (job.logits == nullptr) return;
#pragma unroll
  for (int o = 0; o < kClasses; ++o) job.logits[answer * kClasses + o] = logit[o];
}

// A prediction from cells, with the packed weights of all pixels.
inline void predict_cells(const char* op, const Mlp& mlp, const ShiftedImages& job,
                          const PerceptronWeights& w, const CellMemory& memory,
                          cudaStream_t stream) {
  const std::int64_t chunk = memory.groups * kCellImages;
  for (std::int64_t first = 0; first < job.n_images; first += chunk) {
    const int n_images = static_cast<int>(smaller(job.n_images - first, chunk));
    const std::uint8_t* const images = job.images + first * kPixels;
    const unsigned n_groups = blocks_for(n_images, kCellImages);
    const unsigned n_strips = static_cast<unsigned>(memory.n_strips);
    order_images(op, memory.order, images, n_images, kCellSide, stream);
    launch(op, pixels_at_points, n_groups, kStagedImages * kStagedPitch, stream, memory,
           cell_taps(), images, n_images);
    for (int row = 0; row < job.grid.n_dy; row += kTileDy)
      for (int column = 0; column < job.grid.n_dx; column += kTileDx) {
        launch(op, weights_at_points, dim3(n_strips, kAllCells), 0, stream, memory, cell_inputs(),
               w, job.grid.dx_first + column, job.grid.dy_first + row);
        launch(op, sums_of_cells, dim3(n_strips, n_groups), kCellsShared, stream, memory,
               tile_outputs(), Act{mlp.activation}, w);
        launch(op, answers_of_tile, dim3(blocks_for(kTileShifts, kWarps), n_groups), 0, stream,
               memory, w, job, first, n_images, column, row);
      }
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
