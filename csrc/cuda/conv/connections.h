// The connections between LeNet-5's maps S2 and C3, in shared memory, and what one of them adds to
// a thread's results: for c3_conv of LeNet-5's maps, and for LeNet-5's training.
#pragma once

#include "cuda/conv/table_rows.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

// A connection's maps, and the connections of each input map, of a table with at most 6 input and
// 16 output maps.
struct Connections {
  int output_of[kMaps1 * kMaps3], input_of[kMaps1 * kMaps3];
  int n_seen[kMaps1], seen_by[kMaps1][kMaps3];

  // A thread for each pair of maps. The caller sees to the barrier.
  __device__ __forceinline__ void list(const TableRows& table, int n_inputs) {
    const int o = threadIdx.x / kMaps1, c = threadIdx.x % kMaps1;
    if (o >= table.n_outputs || c >= n_inputs) return;
    int place = 0;  // among the connections of c
    for (int before = 0; before < o; ++before) place += table.connects(before, c);
    if (table.connects(o, c)) {
      const int k = table.connection_index(o, c);
      output_of[k] = o, input_of[k] = c, seen_by[c][place++] = k;
    }
    if (o == table.n_outputs - 1) n_seen[c] = place;
  }
};

// n values from shared memory, by the widest loads of which they are a multiple; `from` is aligned
// to these.
template <int n>
__device__ __forceinline__ void load_values(const float* from, float (&values)[n]) {
  if constexpr (n % 4 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(from + i);
      values[i] = four.x, values[i + 1] = four.y, values[i + 2] = four.z, values[i + 3] = four.w;
    }
  } else if constexpr (n % 2 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 2) {
      const float2 two = *reinterpret_cast<const float2*>(from + i);
      values[i] = two.x, values[i + 1] = two.y;
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) values[i] = from[i];
  }
}

// Adds a connection to rows x columns results of an output map. `window` is their first input, in
// a map whose rows are `pitch` values apart; w has at least 25 weights.
template <int pitch, int n_weights, int rows, int columns>
__device__ __forceinline__ void convolve_tile(const float* window, const float (&w)[n_weights],
                                              float (&sum)[rows][columns]) {
#pragma unroll
  for (int row = 0; row < rows + kTaps - 1; ++row) {
    float in[columns + kTaps - 1];
    load_values(window + row * pitch, in);
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < columns; ++x) sum[r][x] += w[u * kTaps + v] * in[x + v];
    }
  }
}

// A lane's sums for a connection: its weights' gradient, and its output map's bias.
constexpr int kLaneSums = kTaps * kTaps + 1;

// Adds half an image: 5 rows of grad_output times 9 rows of the input.
__device__ __forceinline__ void correlate_half(const float* in_map, const float* grad_map,
                                               float (&sum)[kLaneSums]) {
  constexpr int rows = kC3Side / 2;
  float g[rows][kC3Side];
#pragma unroll
  for (int i = 0; i < rows * kC3Side; i += 2) {
    const float2 two = *reinterpret_cast<const float2*>(grad_map + i);
    g[i / kC3Side][i % kC3Side] = two.x, g[i / kC3Side][i % kC3Side + 1] = two.y;
    sum[kTaps * kTaps] += two.x + two.y;
  }
#pragma unroll
  for (int row = 0; row < rows + kTaps - 1; ++row) {
    float in[kS2Side];
    load_values(in_map + row * kS2Side, in);
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < kC3Side; ++x) sum[u * kTaps + v] += g[r][x] * in[x + v];
    }
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
