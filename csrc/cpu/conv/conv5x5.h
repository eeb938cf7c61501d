// 5 x 5 convolution (as cross-correlation, the network's convention) by connection table, on a lane
// group. The algorithm:
//
//   for each image, output map o, row y, column x:
//     output[o][y][x] = bias[o] + sum over connections (o, c), rows of taps u, taps v of
//                       weight[connection][u][v] * input[c][y + u][x + v]
//
// Images lie in the lanes and weights are broadcast. No lane ever talks to another, so the sparse
// table costs nothing and every height and width works. Along a row the kernel uses the form F(5,
// 5) (cpu/math/toom_cook.h): it computes a tile of five output columns from nine input columns in
// nine products instead of 25. At each point p that leaves a sum down the tile's column,
//
//   product[o][p][y] = sum over (o, c), u of weight[connection][u][p] * input[c][p][y + u]
//
// where [p] is the value at the point. The schedule, forward:
//
//   weights to points                            once for all lane groups
//   tiles of five columns                        whose input's points stay in the L2 cache
//     input maps, rows: to points
//     output maps
//       points
//         runs of up to 14 (10) rows             in registers
//           connected input maps                 five weights in registers
//             rows of the run and four more      each loaded once, met by five weights
//       rows: from points to columns
//
// It is bound by the issue of multiply-adds, which are 58 % of the time at the peak rate; the
// changes of layout in c3_conv take 17 %, the transforms to points and back 16 %. Backward is in
// cpu/conv/conv5x5_backward.h.
//
// Maps in a lane group are Vec<T> [n_maps, height, width]; the points of a few tiles are
// [n_maps, kPoints, tiles, rows]; those of the weights and of their gradient
// [n_connections, u, kPoints].
#pragma once

#include "c3_table.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"
#include "cpu/simd/workspace.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// From tools/generate/toom_cook_points.py. A layer's sum has three to four times the rounding error
// of the direct sum; with 0, +-1, +-2, +-1/2 and 4 it would have seven times.
constexpr Points<8> kConvPoints = {{1, -1, 2, -2, 0.625, -0.625, 0.25, -0.25}, Fractions::in_taps};
using ConvForm = Form<5, kTaps, kConvPoints>;
constexpr int kTileOutputs = ConvForm::outputs, kTileInputs = ConvForm::inputs;
constexpr int kPoints = ConvForm::points;

struct Conv5x5 {
  const std::int64_t* table;  // [n_outputs] bit masks
  int n_inputs, n_outputs;
  int height, width;  // of the input maps
  int out_height() const { return height - (kTaps - 1); }
  int out_width() const { return width - (kTaps - 1); }
  int n_tiles() const { return divide_up(out_width(), kTileOutputs); }
  int n_connections() const { return connection_index(table, n_outputs, 0); }
  int input_size() const { return n_inputs * height * width; }
  int output_size() const { return n_outputs * out_height() * out_width(); }
  int n_weight_points() const { return n_connections() * kPoints * kTaps; }
};

// Tiles whose points are in memory at once.
struct Tiles {
  int first, n;
};

// A thread's memory for one convolution.
template <class T>
struct ConvScratch {
  // Backward takes as many tiles at once as the second-level cache holds next to the rest, because
  // each time it reads and writes the weights' gradients. Forward takes one.
  static constexpr int kBytes = 400 << 10;
  int n_tiles;
  Vec<T>* input;    // points of the input maps
  Vec<T>* grad;     // points of the output maps' gradients
  Vec<T>* one_map;  // [kPoints, height]: of one map and tile

  ConvScratch() = default;
  ConvScratch(Workspace& workspace, const Conv5x5& conv) {
    const std::int64_t input_rows = conv.n_inputs * kPoints * conv.height;
    const std::int64_t grad_rows = conv.n_outputs * kPoints * conv.out_height();
    const std::int64_t fit =
        kBytes / ((input_rows + grad_rows) * static_cast<std::int64_t>(sizeof(Vec<T>)));
    n_tiles = fit < 1 ? 1 : fit < conv.n_tiles() ? static_cast<int>(fit) : conv.n_tiles();
    input = workspace.take<Vec<T>>(n_tiles * input_rows);
    grad = workspace.take<Vec<T>>(n_tiles * grad_rows);
    one_map = workspace.take<Vec<T>>(kPoints * conv.height);
  }
};

// weight [n_connections, 5, 5] to its points.
template <class T>
[[gnu::noinline]] void conv5x5_pack(const Conv5x5& conv, const T* weight, T* points) {
  const int n_rows = conv.n_connections() * kTaps;
  for (int i = 0; i < n_rows; ++i, weight += kTaps, points += kPoints)
    pack_taps<ConvForm>(weight, points);
}

// Runs of output rows that are summed at once. Each length has its own code, so there are few:
// those that divide C3's and C1's rows and leave room in the registers for the taps and an input
// row, and halves of the latter for the rest of other heights. float64 is only for gradient checks.
constexpr int largest_divisor(int n, int most) {
  while (n % most != 0) --most;
  return most;
}
template <class T>
struct Runs {
  static constexpr int most = sizeof(T) == 4 ? kRegisters - kTaps - 1 : 2;
  static constexpr int c1 = largest_divisor(kImageSize, most);
  static constexpr int c3 = largest_divisor(kC3Side, most);
  static_assert(c1 <= 14 && c3 <= 14, "what the loops over runs are unrolled for");
};

// Calls f(first of a run, Constant<its length>{}) from row y on.
template <int length, class F>
inline void for_halving_runs(int y, int total, F&& f) {
  for (; total - y >= length; y += length) f(y, Constant<length>{});
  if constexpr (length > 1) for_halving_runs<(length + 1) / 2>(y, total, f);
}
template <class T, class F>
inline void for_runs(int total, F&& f) {
  using R = Runs<T>;
  int y = 0;
  if (total % R::c1 != 0 || total % R::c3 == 0)
    for (; total - y >= R::c3; y += R::c3) f(y, Constant<R::c3>{});
  for_halving_runs<R::c1>(y, total, f);
}

// The points of tiles of the input maps; columns beyond the maps count as zeros.
template <class T>
[[gnu::noinline]] void input_points(const Conv5x5& conv, const Vec<T>* input, Tiles tiles,
                                    Vec<T>* points) {
  const int size = tiles.n * conv.height;
  for (int c = 0; c < conv.n_inputs; ++c, points += kPoints * size)
    for (int y = 0; y < conv.height; ++y, input += conv.width)
      for (int i = 0, x0 = tiles.first * kTileOutputs; i < tiles.n; ++i, x0 += kTileOutputs) {
        Vec<T> d[kTileInputs];
#pragma GCC unroll 9
        for (int k = 0; k < kTileInputs; ++k) d[k] = x0 + k < conv.width ? input[x0 + k] : Vec<T>{};
        inputs_to_points<ConvForm>(d, points + i * conv.height + y, size);
      }
}

// One point of one output map, rows 0 ... n - 1 of `product`. `input` points to the point of map 0,
// `weight` to that of the map's first connection. An input row is loaded once for five weights.
template <class T, int n>
[[gnu::noinline]] void forward_rows(std::int64_t connected, const Vec<T>* input,
                                    std::int64_t map_size, const T* weight, Vec<T>* product) {
  Vec<T> sum[n] = {};
  for (std::int64_t bits = connected; bits != 0; bits &= bits - 1, weight += kPoints * kTaps) {
    const Vec<T>* const in = input + __builtin_ctzll(bits) * map_size;
    Vec<T> w[kTaps];
#pragma GCC unroll 5
    for (int u = 0; u < kTaps; ++u) w[u] = broadcast<T>(weight[u * kPoints]);
#pragma GCC unroll 18
    for (int y = 0; y < n + kTaps - 1; ++y) {
      const Vec<T> row = load_once<T>(in + y);
#pragma GCC unroll 5
      for (int u = 0; u < kTaps; ++u)
        if (y - u >= 0 && y - u < n) sum[y - u] += w[u] * row;
    }
  }
#pragma GCC unroll 14
  for (int y = 0; y < n; ++y) product[y] = sum[y];
}

// With `checked`, returns a vector that is finite if every point is; cpu/conv/not_finite.h says
// why. The last two outputs of a tile are made from all of its points.
template <class T, bool checked = false>
[[gnu::noinline]] Vec<T> conv5x5_forward(const Conv5x5& conv, const Vec<T>* input,
                                         const T* weight_points, const T* bias,
                                         const ConvScratch<T>& scratch, Vec<T>* output) {
  Vec<T> check = {};
  const int rows = conv.out_height(), out_width = conv.out_width();
  const std::int64_t map_size = kPoints * conv.height;
  for (int tile = 0; tile < conv.n_tiles(); ++tile) {
    input_points<T>(conv, input, {tile, 1}, scratch.input);
    const T* weight = weight_points;
    Vec<T>* target = output + tile * kTileOutputs;
    const int left = out_width - tile * kTileOutputs;
    for (int o = 0; o < conv.n_outputs; ++o) {
      for (int p = 0; p < kPoints; ++p)
        for_runs<T>(rows, [&](int y, auto size) {
          forward_rows<T, decltype(size)::value>(conv.table[o], scratch.input + p * conv.height + y,
                                                 map_size, weight + p,
                                                 scratch.one_map + p * rows + y);
        });
      weight += kPoints * kTaps * __builtin_popcountll(conv.table[o]);
      const Vec<T> bias_o = broadcast<T>(bias[o]);
      for (int y = 0; y < rows; ++y, target += out_width) {
        Vec<T> out[kTileOutputs];
        points_to_outputs<ConvForm>(scratch.one_map + y, rows, out);
#pragma GCC unroll 5
        for (int k = 0; k < kTileOutputs; ++k)
          if (k < left) target[k] = out[k] + bias_o;
        if (checked) check += out[kTileOutputs - 2] + out[kTileOutputs - 1];
      }
    }
  }
  return check;
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
