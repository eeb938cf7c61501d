// c3_conv and its gradients for LeNet-5's own maps in float: up to 6 input maps of 14 x 14, up to
// 16 output maps of 10 x 10, any table. c3_conv.cu has the algorithm, and kernels for all other
// sizes. ../README.md, "c3_conv", counts what these kernels cost.
//
// The schedule:
//   output: a block for 8 images, whose input is in shared memory
//     a warp for an output map, then for another one, so that warps have similar work
//       for each connection of the map
//         a lane has 5 x 5 results of an image: 625 multiply-adds for 81 + 28 loaded values
//     few images: a block for one image and 8 maps, and 1 x 5 results for a lane
//   gradients: a block for 4 images, or 1, whose input and grad_output are in shared memory; it may
//   take several such groups, and its sums for weight and bias are a slot, as in c3_conv.cu
//     grad_weight, grad_bias: a lane for each connection
//       for each half of an image, of those that this warp takes
//         5 rows of grad_output in registers: 1250 multiply-adds for 50 + 126 loaded values
//     grad_input: a warp for an input map
//       a lane has 7 x 7 results of an image, and one of 2 (8) parts of the connections
//         for each connection: 625 multiply-adds for 49 + 25 loaded values; none with a zero
//         beyond the frame, of which 14 x 14 results have 2400 for each connection
//     the input's gradient goes where the input was, and from there to its place in one piece
#pragma once

#include "cuda/conv/connections.h"
#include "lenet5_sizes.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kInMap = kS2Side * kS2Side, kOutMap = kC3Side * kC3Side;  // values
// Between images in shared memory: 4 more values, so that lanes of different images read from
// different banks.
constexpr int kInPitch = kMaps1 * kInMap + 4, kOutPitch = kMaps3 * kOutMap + 4;
static_assert(kInMap % 4 == 0 && kOutMap % 4 == 0, "maps are copied by float4");

// Up to this many images are few: a block's work is kept short, since most of the card is idle.
constexpr std::int64_t kFewImages = 256;

// A thread's share of a copy to the card's memory: its first piece, and the step to the next one.
// `wide`: all pointers are aligned to 16 bytes.
__device__ __forceinline__ void copy_values(const float* __restrict__ from, int n, bool wide,
                                            int first, int step, float* __restrict__ to) {
  if (wide) {
#pragma unroll 5
    for (int i = first; i < n / 4; i += step)
      reinterpret_cast<float4*>(to)[i] = reinterpret_cast<const float4*>(from)[i];
  } else {
#pragma unroll 1
    for (int i = first; i < n; i += step) to[i] = from[i];
  }
}

// n_images images of up to `most` values each on their way into shared memory: a thread's share of
// one of them, in registers, so that all loads of a block are on their way before the first one is
// waited for. `left` images are left: instead of others the last one is loaded again.
template <int n_images, int most>
struct Share {
  static constexpr int kStep = kThreads / n_images;  // threads of an image
  float4 values[divide_up(most / 4, kStep)];

  static __device__ int image() { return threadIdx.x / kStep; }
  static __device__ int at(int i) { return threadIdx.x % kStep + i * kStep; }
  __device__ __forceinline__ void load(const float* __restrict__ images, std::int64_t left, int n) {
    const int from = static_cast<int>(smaller(left - 1, image())) * (n / 4);
#pragma unroll
    for (int i = 0; i < divide_up(most / 4, kStep); ++i)
      values[i] = __ldg(reinterpret_cast<const float4*>(images) + from + smaller(at(i), n / 4 - 1));
  }
  __device__ __forceinline__ void store(float* target, int pitch, int n) const {
    float4* const to = reinterpret_cast<float4*>(target + image() * pitch);
#pragma unroll
    for (int i = 0; i < divide_up(most / 4, kStep); ++i)
      if (at(i) < n / 4) to[at(i)] = values[i];
  }
};

// The same, value by value, for pointers that are not aligned to 16 bytes.
template <int n_images>
__device__ void stage_unaligned(const float* __restrict__ images, std::int64_t left, int n,
                                float* target, int pitch) {
#pragma unroll 1
  for (int i = threadIdx.x; i < n_images * n; i += kThreads)
    target[i / n * pitch + i % n] = __ldg(images + smaller(left - 1, i / n) * n + i % n);
}

// A thread's share of the weights likewise.
template <int most>
struct WeightShare {
  float values[divide_up(most, kThreads)];

  __device__ __forceinline__ void load(const float* __restrict__ weight, int n) {
#pragma unroll
    for (int i = 0; i < divide_up(most, kThreads); ++i) {
      const int at = threadIdx.x + i * kThreads;
      values[i] = at < n ? __ldg(weight + at) : 0;
    }
  }
  // The weights of a connection begin `pitch` values after those of the one before.
  __device__ __forceinline__ void store(float* target, int pitch, int n) const {
#pragma unroll
    for (int i = 0; i < divide_up(most, kThreads); ++i) {
      const int at = threadIdx.x + i * kThreads;
      if (at < n) target[at / (kTaps * kTaps) * pitch + at % (kTaps * kTaps)] = values[i];
    }
  }
};

// Forward: a block has n_images images, and a lane `rows` x 5 results of one of them.
template <int rows, int n_images>
struct OutputBlock {
  static constexpr int kColumns = 5;
  static constexpr int kTiles = kC3Side / rows * (kC3Side / kColumns);  // of a map
  static constexpr int kLanes = kTiles * n_images;
  // 25 weights of a connection, in vectors of four.
  static constexpr int kWeightPitch = 28, kMostWeights = kMaps1 * kMaps3 * kWeightPitch;
  // Results on their way out, of so many images of each warp at a time.
  static constexpr int kOutImages = smaller(n_images, 4);
  static constexpr int kShared = n_images * kInPitch + kMostWeights + kWarps * kOutImages * kOutMap;
  static_assert(kLanes <= kWarp, "a warp has no lanes for so many images");
};
using ManyImages = OutputBlock<5, 8>;
using OneImage = OutputBlock<1, 1>;

// Block (i, j): images i * n_images ...; a grid with one j takes all output maps, one with two
// takes eight for each. Every sum is added in c3_convolve's order, and has its bits.
template <int rows, int n_images>
__global__ void __launch_bounds__(kThreads, 2)
    c3_lenet5_output(std::int64_t n, int n_inputs, TableRows table, bool wide,
                     const float* __restrict__ input, const float* __restrict__ weight,
                     const float* __restrict__ bias, float* __restrict__ output) {
  using Block = OutputBlock<rows, n_images>;
  constexpr int columns = Block::kColumns, n_out = Block::kOutImages;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int image = lane / Block::kTiles, tile = lane % Block::kTiles;
  const int y = tile / 2 * rows, x = tile % 2 * columns;
  const bool busy = lane < Block::kLanes;
  const std::int64_t first_image = std::int64_t{blockIdx.x} * n_images;
  float* const images = dynamic_shared<float>();
  float* const weights = images + n_images * kInPitch;
  float* const results = weights + Block::kMostWeights + warp * (n_out * kOutMap);

  const int n_values = n_inputs * kInMap, n_weights = table.n_connections * (kTaps * kTaps);
  WeightShare<kMaps1 * kMaps3 * kTaps * kTaps> weight_share;
  weight_share.load(weight, n_weights);
  if (wide) {
    Share<n_images, kMaps1 * kInMap> share;
    share.load(input + first_image * n_values, n - first_image, n_values);
    share.store(images, kInPitch, n_values);
  } else {
    stage_unaligned<n_images>(input + first_image * n_values, n - first_image, n_values, images,
                              kInPitch);
  }
  weight_share.store(weights, Block::kWeightPitch, n_weights);
  __syncthreads();

  for (int turn = blockIdx.y; turn < kMaps3 / kWarps; turn += gridDim.y) {
    // The first map has few connections in the 1998 table, the last one many.
    const int map = turn == 0 ? warp : kMaps3 - 1 - warp;
    if (map >= table.n_outputs) continue;
    float sum[rows][columns] = {};
    const float* w = weights + table.first_connection[map] * Block::kWeightPitch;
    for (int c = 0; c < n_inputs; ++c) {
      if (!table.connects(map, c)) continue;
      if (busy) {
        float taps[Block::kWeightPitch];
        load_values(w, taps);
        convolve_tile<kS2Side>(images + image * kInPitch + c * kInMap + y * kS2Side + x, taps, sum);
      }
      w += Block::kWeightPitch;
    }
    // Through shared memory, so that neighbouring lanes write neighbouring values.
    const float b = __ldg(bias + map);
    for (int first = 0; first < n_images; first += n_out) {
      __syncwarp();  // the previous results are no longer read
      if (busy && image / n_out * n_out == first) {
#pragma unroll
        for (int i = 0; i < rows * columns; ++i)
          results[image % n_out * kOutMap + (y + i / columns) * kC3Side + x + i % columns] =
              sum[i / columns][i % columns] + b;
      }
      __syncwarp();
      for (int i = 0; i < n_out; ++i) {
        const std::int64_t to = first_image + first + i;
        if (to < n)
          copy_values(results + i * kOutMap, kOutMap, wide, lane, kWarp,
                      output + (to * table.n_outputs + map) * kOutMap);
      }
    }
  }
}

// Backward. Every lane of two warps has a connection.
constexpr int kMostConnections = 2 * kWarp;
constexpr int kSumParts = kWarps / 2;  // of the images' halves, a part for each two warps
constexpr int kLaneSumsPitch = 27;

template <int n_images>
struct GradientsBlock {
  static constexpr int kQuarter = kS2Side / 2;  // a side
  static constexpr int kParts = kWarp / (4 * n_images);
  static constexpr int kHalves = 2 * n_images;
  // So many of a lane's sums for a weight wait in shared memory while it computes grad_input, for
  // which it needs the registers.
  static constexpr int kWaiting = 10;
  static constexpr int kImages = n_images * (kInPitch + kOutPitch);
  static constexpr int kShared =
      larger(kImages + kMostConnections * kTaps * kTaps + kWaiting * kThreads,
             kSumParts* kMostConnections* kLaneSumsPitch);

  // The first of the halves that two warps take. Warps 6 and 7 have no input map, and take more.
  static __device__ int first_half(int part) {
    constexpr int n_last = (3 * kHalves + 4) / 8;
    return part == kSumParts ? kHalves : divide_up((kHalves - n_last) * part, kSumParts - 1);
  }
};

// A quarter of a map is its first 7 rows and columns, or their mirror image; only the first 7 rows
// and columns of grad_output, mirrored likewise, reach it. A step leads from a value to the next
// one in the mirror.
struct Mirrored {
  const float* first;
  int row_step, column_step;

  __device__ Mirrored(const float* corner, int side, bool flip_rows, bool flip_columns)
      : first(corner + (flip_rows ? (side - 1) * side : 0) + (flip_columns ? side - 1 : 0)),
        row_step(flip_rows ? -side : side),
        column_step(flip_columns ? -1 : 1) {}
  // The first n values of a row.
  template <int n>
  __device__ __forceinline__ void load(int row, float (&values)[n]) const {
    const float* at = first + row * row_step;
#pragma unroll
    for (int i = 0; i < n; ++i, at += column_step) values[i] = *at;
  }
};

// Adds a connection to a quarter of grad_input.
template <int side>
__device__ __forceinline__ void spread_quarter(const Mirrored& grad, const Mirrored& weight,
                                               float (&sum)[side][side]) {
  float w[kTaps][kTaps];
#pragma unroll
  for (int u = 0; u < kTaps; ++u) weight.load(u, w[u]);
#pragma unroll
  for (int row = 0; row < side; ++row) {
    float g[side];
    grad.load(row, g);
#pragma unroll
    for (int u = 0; u < kTaps && row + u < side; ++u)
#pragma unroll
      for (int x = 0; x < side; ++x)
#pragma unroll
        for (int v = 0; v < kTaps && x + v < side; ++v) sum[row + u][x + v] += w[u][v] * g[x];
  }
}

// Block s: groups of n_images images, groups s, s + gridDim.x, ... slots [gridDim.x, slot_size],
// null if not wanted; grad_input likewise.
template <int n_images>
__global__ void __launch_bounds__(kThreads, 2)
    c3_lenet5_gradients(std::int64_t n, int n_inputs, TableRows table, int slot_size, bool wide,
                        const float* __restrict__ grad_output, const float* __restrict__ input,
                        const float* __restrict__ weight, float* __restrict__ grad_input,
                        float* __restrict__ slots) {
  using Block = GradientsBlock<n_images>;
  constexpr int side = Block::kQuarter, n_taps = kTaps * kTaps;
  __shared__ Connections connections;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int in_values = n_inputs * kInMap, out_values = table.n_outputs * kOutMap;
  float* const inputs = dynamic_shared<float>();
  float* const grads = inputs + n_images * kInPitch;
  float* const weights = grads + n_images * kOutPitch;
  float* const waiting = weights + kMostConnections * n_taps + threadIdx.x;

  WeightShare<kMostConnections * n_taps> weight_share;
  weight_share.load(weight, table.n_connections * n_taps);
  connections.list(table, n_inputs);
  weight_share.store(weights, n_taps, table.n_connections * n_taps);

  // For the weights: this lane's connection, and the part of the images' halves.
  const int number = warp % 2 * kWarp + lane, part = warp / 2;
  const bool has_connection = number < table.n_connections;
  // For the input: map `warp`, this lane's image, quarter, and part of the connections.
  const int quarter = lane % 4, image = lane / 4 % n_images, turn = lane / (4 * n_images);
  const bool low = quarter >= 2, right = quarter % 2 != 0;

  float sum[kLaneSums] = {};
  for (std::int64_t first = std::int64_t{blockIdx.x} * n_images; first < n;
       first += std::int64_t{gridDim.x} * n_images) {
    __syncthreads();  // the previous group has been copied out
    const float* const in = input + first * in_values;
    const float* const grad = grad_output + first * out_values;
    if (wide) {
      Share<n_images, kMaps1 * kInMap> in_share;
      Share<n_images, kMaps3 * kOutMap> grad_share;
      in_share.load(in, n - first, in_values);
      grad_share.load(grad, n - first, out_values);
      in_share.store(inputs, kInPitch, in_values);
      grad_share.store(grads, kOutPitch, out_values);
    } else {
      stage_unaligned<n_images>(in, n - first, in_values, inputs, kInPitch);
      stage_unaligned<n_images>(grad, n - first, out_values, grads, kOutPitch);
    }
    __syncthreads();
    if (slots != nullptr && has_connection) {
      for (int half = Block::first_half(part);
           half < Block::first_half(part + 1) && half / 2 < n - first; ++half)
        correlate_half(inputs + half / 2 * kInPitch + connections.input_of[number] * kInMap +
                           half % 2 * (kC3Side / 2 * kS2Side),
                       grads + half / 2 * kOutPitch + connections.output_of[number] * kOutMap +
                           half % 2 * (kC3Side / 2 * kC3Side),
                       sum);
    }
    if (grad_input == nullptr) continue;
#pragma unroll
    for (int i = 0; i < Block::kWaiting; ++i) waiting[i * kThreads] = sum[i];
    float result[side][side] = {};
    if (warp < n_inputs) {
      for (int i = turn; i < connections.n_seen[warp]; i += Block::kParts) {
        const int k = connections.seen_by[warp][i];
        const float* const map = grads + image * kOutPitch + connections.output_of[k] * kOutMap;
        const float* const w = weights + k * n_taps;
        spread_quarter(Mirrored(map, kC3Side, low, right), Mirrored(w, kTaps, low, right), result);
      }
      __syncwarp();
#pragma unroll
      for (int i = 0; i < side * side; ++i)
#pragma unroll
        for (int step = kWarp / 2; step >= 4 * n_images; step /= 2)
          result[i / side][i % side] +=
              __shfl_xor_sync(kAllLanes, result[i / side][i % side], step);
    }
    __syncthreads();  // the input is no longer read
#pragma unroll
    for (int i = 0; i < Block::kWaiting; ++i) sum[i] = waiting[i * kThreads];
    if (warp < n_inputs && turn == 0) {
      float* const map = inputs + image * kInPitch + warp * kInMap;
#pragma unroll
      for (int i = 0; i < side * side; ++i) {
        const int y = i / side, x = i % side;
        map[(low ? kS2Side - 1 - y : y) * kS2Side + (right ? kS2Side - 1 - x : x)] = result[y][x];
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < n_images; ++i)
      if (first + i < n)
        copy_values(inputs + i * kInPitch, in_values, wide, threadIdx.x, kThreads,
                    grad_input + (first + i) * in_values);
  }
  if (slots == nullptr) return;

  // The parts of the sums, [part][connection][kLaneSumsPitch], where the images were.
  __syncthreads();
  if (has_connection) {
#pragma unroll
    for (int i = 0; i < kLaneSums; ++i)
      inputs[(part * kMostConnections + number) * kLaneSumsPitch + i] = sum[i];
  }
  __syncthreads();
  const int n_weights = table.n_connections * n_taps;
  for (int i = threadIdx.x; i < slot_size; i += kThreads) {
    // An output map's first connection has its bias.
    const int connection = i < n_weights ? i / n_taps : table.first_connection[i - n_weights];
    const int at = connection * kLaneSumsPitch + (i < n_weights ? i % n_taps : n_taps);
    float total = 0;
    for (int p = 0; p < kSumParts; ++p) total += inputs[p * kMostConnections * kLaneSumsPitch + at];
    slots[std::int64_t{blockIdx.x} * slot_size + i] = total;
  }
}

// Whether the kernels above compute a shape in float: nothing but the shape decides.
inline bool has_lenet5_maps(const C3Shape& s) {
  return s.height == kS2Side && s.width == kS2Side && s.n_inputs <= kMaps1 && s.n_outputs <= kMaps3;
}
inline bool has_lenet5_gradients(const C3Shape& s) {
  if (!has_lenet5_maps(s)) return false;
  for (int o = 0; o < s.n_outputs; ++o)
    if (s.table[o] == 0) return false;  // it has no first connection
  return TableRows(s.table, 0, s.n_outputs).n_connections <= kMostConnections;
}

template <class... T>
bool aligned_to_16(const T*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

inline void launch_lenet5_output(const C3Shape& s, const float* input, const float* weight,
                                 const float* bias, float* output, cudaStream_t stream) {
  const TableRows table(s.table, 0, s.n_outputs);
  const auto run = [&](auto block, auto kernel, dim3 grid) {
    launch("c3_lenet5_output", kernel, grid, block.kShared * sizeof(float), stream, s.n_images,
           s.n_inputs, table, aligned_to_16(input, output), input, weight, bias, output);
  };
  if (s.n_images <= kFewImages)
    run(OneImage{}, c3_lenet5_output<1, 1>, dim3(blocks_for(s.n_images, 1), kMaps3 / kWarps));
  else
    run(ManyImages{}, c3_lenet5_output<5, 8>, blocks_for(s.n_images, 8));
}

// Images of a block for the gradients, and the number of slots, likewise a matter of size alone.
inline int lenet5_group(const C3Shape& s) { return s.n_images <= kFewImages ? 1 : 4; }
inline std::int64_t lenet5_slots(const C3Shape& s) {
  constexpr std::int64_t most = 256;
  return smaller(divide_up(s.n_images, lenet5_group(s)), most);
}

inline void launch_lenet5_gradients(const C3Shape& s, const C3Backward<float>& g,
                                    const TableRows& table, int n_slots, int slot_size,
                                    float* slots, cudaStream_t stream) {
  const auto run = [&](auto block, auto kernel) {
    launch("c3_lenet5_gradients", kernel, n_slots, block.kShared * sizeof(float), stream,
           s.n_images, s.n_inputs, table, slot_size,
           aligned_to_16(g.grad_output, g.input, g.grad_input), g.grad_output, g.input, g.weight,
           g.grad_input, slots);
  };
  if (lenet5_group(s) == 1)
    run(GradientsBlock<1>{}, c3_lenet5_gradients<1>);
  else
    run(GradientsBlock<4>{}, c3_lenet5_gradients<4>);
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
