// The gradients of cpu/conv/conv5x5.h on a lane group. The algorithm:
//
//   grad_input[c][y][x]      = sum over connections (o, c), u, v of
//                              weight[connection][u][v] * grad_output[o][y - u][x - v]
//   grad_weight[(o, c)][u][v] = sum over y, x of grad_output[o][y][x] * input[c][y + u][x + v]
//   grad_bias[o]             = sum over y, x of grad_output[o][y][x]
//
// in the adjoints of the same form, at each point separately. Sums over images are taken at the
// points, lane by lane, and end with one G^T for a whole batch (conv5x5_sum_taps). The schedule:
//
//   as many tiles of columns as the L2 cache holds
//     output maps, rows: gradients to points
//     input maps, rows: to points
//     input maps                                 weight gradients
//       kGradMaps connected output maps
//         points
//           tiles, rows                          5 rows of taps by kGradMaps maps in registers
//     output maps: sum at point 1                bias gradients
//     tiles                                      input gradients
//       input maps
//         points
//           runs of rows                         in registers, with four rows more
//             connected output maps
//               rows                             each loaded once, met by five weights
//         rows: from points to columns
//
// It is bound by the issue of multiply-adds.
#pragma once

#include "cpu/conv/conv5x5.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The gradient of one row of taps, summed over the lanes. grad_point(p) returns the gradient of
// point p; store(v, sum) takes that of tap v.
template <class T, class GradPoint, class Store>
inline void conv5x5_sum_taps(GradPoint&& grad_point, Store&& store) {
  Vec<T> points[kPoints], taps[kTaps];
  for (int p = 0; p < kPoints; ++p) points[p] = grad_point(p);
  points_to_taps<ConvForm>(points, taps);
  for (int v = 0; v < kTaps; ++v) store(v, sum_of_lanes<T>(taps[v]));
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

// One point of the gradient of one input map: adds to rows 0 ... n + 3 of `sums`, from rows 0 ... n
// - 1 of the gradients of the output maps that see it. With 16 registers, four sums of the longest
// run do not fit; runs whose sums all fit are 6 to 13 % slower.
template <class T, int n>
[[gnu::noinline]] void grad_input_rows(const Conv5x5& conv, int c, const Vec<T>* grad,
                                       std::int64_t map_size, const T* weight, Vec<T>* sums) {
  Vec<T> sum[n + kTaps - 1];
#pragma GCC unroll 18
  for (int y = 0; y < n + kTaps - 1; ++y) sum[y] = sums[y];
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
  for (int y = 0; y < n + kTaps - 1; ++y) sums[y] = sum[y];
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

// The number of output maps whose weight gradients are summed at once, a column of taps at one
// point for each. An input row is then loaded once for all of them. Sums, gradients and the row
// stay in registers.
constexpr int kGradMaps = (kRegisters - 1) / (kTaps + 1);
static_assert(kGradMaps <= 5, "what the loops over maps are unrolled for");

// The sums for one point of input map c: grad[j] is the gradient of output map j, sums[j] the first
// of its five sums.
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

// The point x = 1, at which the value of a tile's gradients is their sum.
constexpr int kPointOne = 0;
static_assert(kConvPoints.x[kPointOne] == 1);

// Where the gradients of a lane group go. The shares of weight and bias are added, lane by lane:
// the caller sums the lanes at the end. The input's gradient is written. Null: not wanted; weight
// and bias are wanted together.
template <class T>
struct ConvGrads {
  Vec<T>* weight;  // its points
  Vec<T>* bias;    // [n_outputs]
  Vec<T>* input;
};

// The gradients of a lane group. input may be null if the weight's are not wanted. `checked` as in
// conv5x5_forward, for the input's gradient.
template <class T, bool checked = false>
[[gnu::noinline]] Vec<T> conv5x5_backward(const Conv5x5& conv, const Vec<T>* grad_output,
                                          const Vec<T>* input, const T* weight_points,
                                          const ConvScratch<T>& scratch,
                                          const ConvGrads<T>& grads) {
  Vec<T>* const grad_weight = grads.weight;
  Vec<T>* const grad_bias = grads.bias;
  Vec<T>* const grad_input = grads.input;
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
