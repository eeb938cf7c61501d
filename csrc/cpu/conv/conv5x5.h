// 5 x 5 convolution (as cross-correlation, the network's convention) by connection table, on a lane
// group: as many images as a vector has lanes, one image in each lane. Weights are broadcast; no
// lane ever talks to another, so the sparse table costs nothing and every height and width works.
//
//   output[o][y][x] = bias[o] + sum over connections (o, c), u, v of
//                     weight[connection][u][v] * input[c][y + u][x + v]
//
// Along a row it is the form F(5, 5) of cpu/math/toom_cook.h: a tile of five output columns from
// nine input columns. At each of the form's nine points that leaves a sum over connections and rows
// of taps u alone, down the tile's column:
//
//   point of output[o][y] = sum over (o, c), u of (point of weight[connection][u])
//                                               * (point of input[c][y + u])
//
// Maps in a lane group are Vec<T> [n_maps, height, width]; the points of a few tiles are
// [n_maps, kPoints, tiles, rows]; those of the weights and of their gradient
// [n_connections, u, kPoints].
#pragma once

#include "c3_table.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr Points<8> kConvPoints = {{1, -1, 2, -2, 0.625, -0.625, 0.25, -0.25}, Fractions::in_taps};
using ConvForm = Form<5, kTaps, kConvPoints>;
constexpr int kTileOutputs = ConvForm::outputs, kTileInputs = ConvForm::inputs;
constexpr int kPoints = ConvForm::points;
constexpr int kPointOne = 0;  // where x = 1, the outputs of a tile are summed
static_assert(kConvPoints.x[kPointOne] == 1);

struct Conv5x5 {
  const std::int64_t* table;  // [n_outputs] bit masks
  int n_inputs, n_outputs;
  int height, width;  // of the input maps
  int out_height() const { return height - 4; }
  int out_width() const { return width - 4; }
  int n_tiles() const { return divide_up(out_width(), kTileOutputs); }
  int n_connections() const { return connection_index(table, n_outputs, 0); }
  int input_size() const { return n_inputs * height * width; }
  int output_size() const { return n_outputs * out_height() * out_width(); }
  int n_weight_points() const { return n_connections() * kPoints * kTaps; }
};

// Tiles whose points are there at once.
struct Tiles {
  int first, n;
};

// A thread's memory for one convolution.
template <class T>
struct ConvScratch {
  // Backward takes as many tiles at once as the second-level cache holds beside the rest: each
  // time, the weights' gradients are read and written. Forward takes one.
  static constexpr int kBytes = 400 << 10;
  int n_tiles;
  Vec<T>* input;    // points of the input maps
  Vec<T>* grad;     // points of the output maps' gradients
  Vec<T>* one_map;  // [kPoints, height]: of one map and tile

  ConvScratch() = default;
  ConvScratch(Arena& arena, const Conv5x5& conv) {
    const std::int64_t input_rows = conv.n_inputs * kPoints * conv.height;
    const std::int64_t grad_rows = conv.n_outputs * kPoints * conv.out_height();
    const std::int64_t fit =
        kBytes / ((input_rows + grad_rows) * static_cast<std::int64_t>(sizeof(Vec<T>)));
    n_tiles = fit < 1 ? 1 : fit < conv.n_tiles() ? static_cast<int>(fit) : conv.n_tiles();
    input = arena.take<Vec<T>>(n_tiles * input_rows);
    grad = arena.take<Vec<T>>(n_tiles * grad_rows);
    one_map = arena.take<Vec<T>>(kPoints * conv.height);
  }
};

// weight [n_connections, 5, 5] to its points.
template <class T>
[[gnu::noinline]] void conv5x5_pack(const Conv5x5& conv, const T* weight, T* points) {
  const int n_rows = conv.n_connections() * kTaps;
  for (int i = 0; i < n_rows; ++i, weight += kTaps, points += kPoints)
    pack_taps<ConvForm>(weight, points);
}

// The gradient of one row of taps, summed over the lanes: grad_point(p) gives that of its points,
// store(v, sum) takes it.
template <class T, class GradPoint, class Store>
inline void conv5x5_sum_taps(GradPoint&& grad_point, Store&& store) {
  Vec<T> points[kPoints], taps[kTaps];
  for (int p = 0; p < kPoints; ++p) points[p] = grad_point(p);
  points_to_taps<ConvForm>(points, taps);
  for (int v = 0; v < kTaps; ++v) store(v, sum_of_lanes<T>(taps[v]));
}

// Cuts 0 ... total - 1 into runs of rows and calls f(first of the run, Constant<its length>{}).
// Each length is code of its own, so there are few: 10 for C3's rows, 14 or 7 for C1's 28, and 4,
// 2, 1 for what is left of others. float64 serves gradient checks only: 2 and 1.
template <class T, class F>
inline void for_runs(int total, F&& f) {
  const bool sevens = total % 7 == 0 && total % 10 != 0;
  for (int y = 0, left = total; left > 0; left = total - y) {
    if constexpr (sizeof(T) == 4) {
      if constexpr (kRegisters >= 32) {
        if (left >= 14 && sevens) {
          f(y, Constant<14>{}), y += 14;
          continue;
        }
      }
      if (left >= 10 && !sevens) {
        f(y, Constant<10>{}), y += 10;
        continue;
      }
      if (left >= 7) {
        f(y, Constant<7>{}), y += 7;
        continue;
      }
      if (left >= 4) {
        f(y, Constant<4>{}), y += 4;
        continue;
      }
    }
    if (left >= 2)
      f(y, Constant<2>{}), y += 2;
    else
      f(y, Constant<1>{}), y += 1;
  }
}

// The points of tiles of the input maps; columns beyond the maps are zeros.
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

// The points of tiles of the gradients of the output maps, likewise.
template <class T>
[[gnu::noinline]] void grad_points(const Conv5x5& conv, const Vec<T>* grad_output, Tiles tiles,
                                   Vec<T>* points) {
  const int rows = conv.out_height(), size = tiles.n * rows;
  for (int o = 0; o < conv.n_outputs; ++o, points += kPoints * size)
    for (int y = 0; y < rows; ++y, grad_output += conv.out_width())
      for (int i = 0, x0 = tiles.first * kTileOutputs; i < tiles.n; ++i, x0 += kTileOutputs) {
        Vec<T> g[kTileOutputs];
#pragma GCC unroll 5
        for (int k = 0; k < kTileOutputs; ++k)
          g[k] = x0 + k < conv.out_width() ? grad_output[x0 + k] : Vec<T>{};
        outputs_to_points<ConvForm>(g, points + i * rows + y, size);
      }
}

// One point of one output map, rows 0 ... n - 1 of `product`: input and weight stand at the point
// of map 0 and of the map's first connection. An input row is loaded once and meets five weights.
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
    for (int y = 0; y < n + 4; ++y) {
      const Vec<T> row = load_once<T>(in + y);
#pragma GCC unroll 5
      for (int u = 0; u < kTaps; ++u)
        if (y - u >= 0 && y - u < n) sum[y - u] += w[u] * row;
    }
  }
#pragma GCC unroll 14
  for (int y = 0; y < n; ++y) product[y] = sum[y];
}

// With `checked`, returns what is finite if every point was; cpu/conv/not_finite.h has the rest.
// The last two outputs of a tile are made from all of its points.
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

// One point of the gradient of one input map: adds to rows 0 ... n + 3 of `sums`, from rows
// 0 ... n - 1 of the gradients of the output maps that see it.
template <class T, int n>
[[gnu::noinline]] void grad_input_rows(const Conv5x5& conv, int c, const Vec<T>* grad,
                                       std::int64_t map_size, const T* weight, Vec<T>* sums) {
  Vec<T> sum[n + 4];
#pragma GCC unroll 18
  for (int y = 0; y < n + 4; ++y) sum[y] = sums[y];
  for (int o = 0; o < conv.n_outputs; ++o, grad += map_size) {
    const std::int64_t connected = conv.table[o];
    if (connected >> c & 1) {
      const T* const at =
          weight + kPoints * kTaps * __builtin_popcountll(connected & ((1ll << c) - 1));
      Vec<T> w[kTaps];
#pragma GCC unroll 5
      for (int u = 0; u < kTaps; ++u) w[u] = broadcast<T>(at[u * kPoints]);
#pragma GCC unroll 14
      for (int y = 0; y < n; ++y) {
        const Vec<T> row = load_once<T>(grad + y);
#pragma GCC unroll 5
        for (int u = 0; u < kTaps; ++u) sum[y + u] += w[u] * row;
      }
    }
    weight += kPoints * kTaps * __builtin_popcountll(connected);
  }
#pragma GCC unroll 18
  for (int y = 0; y < n + 4; ++y) sums[y] = sum[y];
}

// Adds to grad_input the share of tile `first + i`, from scratch.grad.
template <class T, bool checked>
[[gnu::noinline]] Vec<T> add_grad_input(const Conv5x5& conv, const T* weight_points, Tiles tiles,
                                        int i, const ConvScratch<T>& scratch, Vec<T>* grad_input) {
  Vec<T> check = {};
  const int rows = conv.out_height(), x0 = (tiles.first + i) * kTileOutputs;
  Vec<T>* target = grad_input + x0;
  for (int c = 0; c < conv.n_inputs; ++c) {
    for (int j = 0; j < kPoints * conv.height; ++j) scratch.one_map[j] = Vec<T>{};
    for (int p = 0; p < kPoints; ++p)
      for_runs<T>(rows, [&](int y, auto size) {
        grad_input_rows<T, decltype(size)::value>(
            conv, c, scratch.grad + (p * tiles.n + i) * rows + y, kPoints * tiles.n * rows,
            weight_points + p, scratch.one_map + p * conv.height + y);
      });
    for (int y = 0; y < conv.height; ++y, target += conv.width) {
      Vec<T> d[kTileInputs];
      points_to_inputs<ConvForm>(scratch.one_map + y, conv.height, d);
#pragma GCC unroll 9
      for (int k = 0; k < kTileInputs; ++k)
        if (x0 + k < conv.width) target[k] += d[k];
      if (checked)  // the last three are made from all points
        check += d[kTileInputs - 3] + d[kTileInputs - 2] + d[kTileInputs - 1];
    }
  }
  return check;
}

// Output maps whose weight gradients a pass accumulates, one row of taps at one point for each: an
// input row is then loaded for five maps. 25 accumulators, 5 gradients and the row make 31
// registers.
constexpr int kGradMaps = kRegisters >= 32 ? 5 : 2;

// The pass for one point of input map c: grad[j] is the gradient of output map j, sums[j] the first
// of its five accumulators.
template <class T, int n_maps>
[[gnu::noinline]] void grad_weight_rows(const Vec<T>* const* grad, const Vec<T>* in, int n_tiles,
                                        int rows, Vec<T>* const* sums) {
  Vec<T> sum[n_maps][kTaps];
  for (int j = 0; j < n_maps; ++j)
    for (int u = 0; u < kTaps; ++u) sum[j][u] = sums[j][u * kPoints];
  std::int64_t i = 0;
  for (int tile = 0; tile < n_tiles; ++tile, in += kTaps - 1)
    for (int y = 0; y < rows; ++y, ++i, ++in) {
      Vec<T> g[n_maps];
#pragma GCC unroll 5
      for (int j = 0; j < n_maps; ++j) g[j] = load_once<T>(grad[j] + i);
#pragma GCC unroll 5
      for (int u = 0; u < kTaps; ++u) {
        const Vec<T> row = load_once<T>(in + u);
#pragma GCC unroll 5
        for (int j = 0; j < n_maps; ++j) sum[j][u] += g[j] * row;
      }
    }
  for (int j = 0; j < n_maps; ++j)
    for (int u = 0; u < kTaps; ++u) sums[j][u * kPoints] = sum[j][u];
}

// Adds the tiles' share of the weights' gradients, lane by lane, from scratch.input and
// scratch.grad.
template <class T>
[[gnu::noinline]] void add_grad_weight(const Conv5x5& conv, int n_tiles,
                                       const ConvScratch<T>& scratch, Vec<T>* grad_weight) {
  const int rows = conv.out_height();
  for (int c = 0; c < conv.n_inputs; ++c) {
    int n_seen = 0;  // output maps that see c
    for (int o = 0; o < conv.n_outputs; ++o) n_seen += conv.table[o] >> c & 1;
    const int n_blocks = divide_up(n_seen, kGradMaps);
    for (int block = 0, o = 0; block < n_blocks; ++block) {
      const int n = n_seen * (block + 1) / n_blocks - n_seen * block / n_blocks;
      const Vec<T>* grad[kGradMaps];
      Vec<T>* sums[kGradMaps];
      for (int j = 0; j < n; ++j, ++o) {
        while (!(conv.table[o] >> c & 1)) ++o;
        grad[j] = scratch.grad + o * kPoints * n_tiles * rows;
        sums[j] = grad_weight + kPoints * kTaps * connection_index(conv.table, o, c);
      }
      with_constant<kGradMaps>(n, [&](auto maps) {
        for (int p = 0; p < kPoints; ++p) {
          grad_weight_rows<T, decltype(maps)::value>(
              grad, scratch.input + (c * kPoints + p) * n_tiles * conv.height, n_tiles, rows, sums);
          for (int j = 0; j < n; ++j) grad[j] += n_tiles * rows, ++sums[j];
        }
      });
    }
  }
}

// The gradients of a lane group. grad_weight (its points) and grad_bias [n_outputs] get its share
// added, lane by lane: the caller sums the lanes at the end. grad_input is written; it, or the
// other two with input, may be null. `checked` as above, for grad_input.
template <class T, bool checked = false>
[[gnu::noinline]] Vec<T> conv5x5_backward(const Conv5x5& conv, const Vec<T>* grad_output,
                                          const Vec<T>* input, const T* weight_points,
                                          const ConvScratch<T>& scratch, Vec<T>* grad_weight,
                                          Vec<T>* grad_bias, Vec<T>* grad_input) {
  Vec<T> check = {};
  for (int i = 0; grad_input && i < conv.input_size(); ++i) grad_input[i] = Vec<T>{};
  for (Tiles tiles = {0, 0}; tiles.first < conv.n_tiles(); tiles.first += tiles.n) {
    const int left = conv.n_tiles() - tiles.first;
    tiles.n = left < scratch.n_tiles ? left : scratch.n_tiles;
    grad_points<T>(conv, grad_output, tiles, scratch.grad);
    if (grad_weight) {
      input_points<T>(conv, input, tiles, scratch.input);
      add_grad_weight<T>(conv, tiles.n, scratch, grad_weight);
      const int size = tiles.n * conv.out_height();
      for (int o = 0; o < conv.n_outputs; ++o)
        for (int i = 0; i < size; ++i)
          grad_bias[o] += scratch.grad[(o * kPoints + kPointOne) * size + i];
    }
    for (int i = 0; grad_input && i < tiles.n; ++i)
      check += add_grad_input<T, checked>(conv, weight_points, tiles, i, scratch, grad_input);
  }
  return check;
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
