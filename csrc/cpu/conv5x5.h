// 5 x 5 convolution (as cross-correlation, the network's convention) by connection table, on a lane
// group: as many images as a vector has lanes, one image in each lane. Weights are broadcast; no
// lane ever talks to another, so the sparse table costs nothing and every height and width works.
//
//   output[o][y][x] = bias[o] + sum over connections (o, c), u, v of
//                     weight[connection][u][v] * input[c][y + u][x + v]
//
// Maps in a lane group are Vec<T> [n_maps, height, width].
#pragma once

#include "../c3_table.h"
#include "constant.h"
#include "vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

struct Conv5x5 {
  const std::int64_t* table;  // [n_outputs] bit masks
  int n_inputs, n_outputs;
  int height, width;  // of the input maps
  int out_height() const { return height - 4; }
  int out_width() const { return width - 4; }
  int n_connections() const { return connection_index(table, n_outputs, 0); }
  int input_size() const { return n_inputs * height * width; }
  int output_size() const { return n_outputs * out_height() * out_width(); }
};

// The widest run of output columns, and how many rows of it, that a pass holds in accumulators. An
// input column is loaded once and meets the five weights of a row, which stay in registers:
// 10 accumulators, 5 weights and the column make 16 registers. With 32, two rows of outputs share
// the column: 20 + 10 + 1.
template <class T>
constexpr int kConvRows = sizeof(T) == 4 && kRegisters >= 32 ? 2 : 1;

// Cuts 0 ... total - 1 into runs of columns and calls f(first of the run, Constant<its width>{}).
// Each width is code of its own, so there are few: 10 for C3's rows, 7 for C1's 28, and 4, 2, 1 for
// what is left of others. float64 serves gradient checks only: 2 and 1.
template <class T, class F>
inline void for_runs(int total, F&& f) {
  const bool sevens = total % 7 == 0 && total % 10 != 0;
  for (int x = 0, left = total; left > 0; left = total - x) {
    if constexpr (sizeof(T) == 4) {
      if (left >= 10 && !sevens) {
        f(x, Constant<10>{}), x += 10;
        continue;
      }
      if (left >= 7) {
        f(x, Constant<7>{}), x += 7;
        continue;
      }
      if (left >= 4) {
        f(x, Constant<4>{}), x += 4;
        continue;
      }
    }
    if (left >= 2)
      f(x, Constant<2>{}), x += 2;
    else
      f(x, Constant<1>{}), x += 1;
  }
}

// Output rows y ... y + rows - 1, columns x0 ... x0 + n - 1 of map o.
template <class T, int rows, int n>
[[gnu::noinline]] void conv5x5_forward_block(const Conv5x5& conv, const Vec<T>* input,
                                             const T* weight_o, T bias, int o, int y, int x0,
                                             Vec<T>* output) {
  Vec<T> sum[rows][n];
  for (int r = 0; r < rows; ++r)
    for (int x = 0; x < n; ++x) sum[r][x] = broadcast<T>(bias);
  const T* w = weight_o;
  for (std::int64_t bits = conv.table[o]; bits != 0; bits &= bits - 1, w += 25) {
    const int c = __builtin_ctzll(bits);
    const Vec<T>* in = input + (c * conv.height + y) * conv.width + x0;
    // Input row i is row i - r of the window of output row r.
#pragma GCC unroll 6
    for (int i = 0; i < rows + 4; ++i, in += conv.width)
#pragma GCC unroll 14
      for (int x = 0; x < n + 4; ++x) {
        const Vec<T> column = load_once<T>(in + x);
#pragma GCC unroll 2
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 5
          for (int v = 0; v < 5; ++v)
            if (i - r >= 0 && i - r < 5 && x - v >= 0 && x - v < n)
              sum[r][x - v] += w[(i - r) * 5 + v] * column;
      }
  }
  for (int r = 0; r < rows; ++r) {
    Vec<T>* const out = output + (o * conv.out_height() + y + r) * conv.out_width() + x0;
    for (int x = 0; x < n; ++x) out[x] = sum[r][x];
  }
}

template <class T>
[[gnu::noinline]] void conv5x5_forward(const Conv5x5& conv, const Vec<T>* input, const T* weight,
                                       const T* bias, Vec<T>* output) {
  const int out_height = conv.out_height();
  const T* weight_o = weight;
  for (int o = 0; o < conv.n_outputs; weight_o += 25 * __builtin_popcountll(conv.table[o]), ++o)
    for_runs<T>(conv.out_width(), [&](int x0, auto columns) {
      constexpr int n = decltype(columns)::value;
      constexpr int rows = n >= 7 ? kConvRows<T> : 1;
      int y = 0;
      for (; y + rows <= out_height; y += rows)
        conv5x5_forward_block<T, rows, n>(conv, input, weight_o, bias[o], o, y, x0, output);
      for (; y < out_height; ++y)
        conv5x5_forward_block<T, 1, n>(conv, input, weight_o, bias[o], o, y, x0, output);
    });
}

// grad_input[c][y][x] = sum over (o, c), u, v of weight[...][u][v] * grad_output[o][y - u][x - v],
// written row by row: a run of n gradient columns reaches n + 4 columns of the input.
template <class T>
[[gnu::noinline]] void conv5x5_grad_input(const Conv5x5& conv, const Vec<T>* grad_output,
                                          const T* weight, Vec<T>* grad_input) {
  const int out_height = conv.out_height(), out_width = conv.out_width();
  for (int c = 0; c < conv.n_inputs; ++c) {
    for (int y = 0; y < conv.height; ++y) {
      Vec<T>* const row = grad_input + (c * conv.height + y) * conv.width;
      for (int x = 0; x < conv.width; ++x) row[x] = Vec<T>{};
      const int u_first = y - out_height + 1 > 0 ? y - out_height + 1 : 0;
      const int u_last = y < 4 ? y : 4;
      for_runs<T>(out_width, [&](int x0, auto columns) {
        constexpr int n = decltype(columns)::value;
        Vec<T> sum[n + 4];
        for (int x = 0; x < n + 4; ++x) sum[x] = row[x0 + x];
        const T* weight_o = weight;
        for (int o = 0; o < conv.n_outputs;
             weight_o += 25 * __builtin_popcountll(conv.table[o]), ++o) {
          if (!(conv.table[o] >> c & 1)) continue;
          const T* const w = weight_o + 25 * __builtin_popcountll(conv.table[o] & ((1ll << c) - 1));
          for (int u = u_first; u <= u_last; ++u) {
            const Vec<T>* const grad = grad_output + (o * out_height + y - u) * out_width + x0;
#pragma GCC unroll 10
            for (int x = 0; x < n; ++x) {
              const Vec<T> column = load_once<T>(grad + x);
#pragma GCC unroll 5
              for (int v = 0; v < 5; ++v) sum[x + v] += w[u * 5 + v] * column;
            }
          }
        }
        for (int x = 0; x < n + 4; ++x) row[x0 + x] = sum[x];
      });
    }
  }
}

// Gradients that one pass over the maps accumulates: those of a row of five taps, for this many
// output maps. Each input column is then loaded for five maps instead of one:
// 25 accumulators, 5 gradients and the column make 31 registers.
constexpr int kGradMaps = kRegisters >= 32 ? 5 : 2;

// The pass for one row of taps u and input map c: grad[j] is the gradient of output map j's first
// row wanted, sums[j] its five accumulators.
template <class T, int n_maps>
[[gnu::noinline]] void conv5x5_grad_weight_rows(const Vec<T>* const* grad, const Vec<T>* in,
                                                int rows, int out_width, int width,
                                                Vec<T>* const* sums) {
  Vec<T> sum[n_maps][5];
  for (int j = 0; j < n_maps; ++j)
    for (int v = 0; v < 5; ++v) sum[j][v] = sums[j][v];
  for (int y = 0; y < rows; ++y, in += width)
    for (int x = 0; x < out_width; ++x) {
      Vec<T> g[n_maps];
#pragma GCC unroll 5
      for (int j = 0; j < n_maps; ++j) g[j] = load_once<T>(grad[j] + y * out_width + x);
#pragma GCC unroll 5
      for (int v = 0; v < 5; ++v) {
        const Vec<T> column = load_once<T>(in + x + v);
#pragma GCC unroll 5
        for (int j = 0; j < n_maps; ++j) sum[j][v] += g[j] * column;
      }
    }
  for (int j = 0; j < n_maps; ++j)
    for (int v = 0; v < 5; ++v) sums[j][v] = sum[j][v];
}

// Adds this lane group's share of the weight and bias gradients, lane by lane: grad_weight is
// Vec<T> [n_connections, 25], grad_bias Vec<T> [n_outputs]; the caller sums the lanes at the end.
template <class T>
[[gnu::noinline]] void conv5x5_grad_weight(const Conv5x5& conv, const Vec<T>* grad_output,
                                           const Vec<T>* input, Vec<T>* grad_weight,
                                           Vec<T>* grad_bias) {
  const int out_height = conv.out_height(), out_width = conv.out_width();
  const int out_size = out_height * out_width;
  for (int o = 0; o < conv.n_outputs; ++o) {
    Vec<T> sum_bias = {};
    for (int i = 0; i < out_size; ++i) sum_bias += grad_output[o * out_size + i];
    grad_bias[o] += sum_bias;
  }
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
        grad[j] = grad_output + o * out_size;
        sums[j] = grad_weight + 25 * connection_index(conv.table, o, c);
      }
      // A strip of rows stays in the first-level cache for all rows of taps.
      constexpr int kStripBytes = 24 << 10;
      const int n_strips = divide_up(n * out_size * static_cast<int>(sizeof(Vec<T>)), kStripBytes);
      for (int strip = 0; strip < n_strips; ++strip) {
        const int y = out_height * strip / n_strips;
        const int rows = out_height * (strip + 1) / n_strips - y;
        for (int u = 0; u < 5; ++u) {
          const Vec<T>* const in = input + (c * conv.height + y + u) * conv.width;
          const Vec<T>* grad_rows[kGradMaps];
          Vec<T>* sum_rows[kGradMaps];
          for (int j = 0; j < n; ++j) {
            grad_rows[j] = grad[j] + y * out_width;
            sum_rows[j] = sums[j] + u * 5;
          }
          with_constant<kGradMaps>(n, [&](auto maps) {
            conv5x5_grad_weight_rows<T, decltype(maps)::value>(grad_rows, in, rows, out_width,
                                                              conv.width, sum_rows);
          });
        }
      }
    }
  }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
