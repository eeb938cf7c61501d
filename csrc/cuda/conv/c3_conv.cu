// c3_conv: sparse 5 x 5 convolution by connection table, and its gradients.
//
//   output[n, o, y, x] = bias[o] + sum over c, u, v of weight[k(o, c), u, v] input[n, c, y+u, x+v]
//   grad_input[n, c, y, x] = sum over o, u, v of weight[k(o, c), u, v] grad_output[n, o, y-u, x-v]
//   grad_weight[k, u, v]   = sum over n, y, x of grad_output[n, o, y, x] input[n, c, y+u, x+v]
//   grad_bias[o]           = sum over n, y, x of grad_output[n, o, y, x]
//
// The first two are one kernel: a gradient is the convolution of grad_output, framed by zeros, with
// the weights turned by 180 degrees and the table read the other way.
#include "cuda/conv/patches.h"
#include "cuda/conv/table_rows.h"
#include "cuda/cuda_kernels.h"

namespace lenetshift {
namespace cuda {
namespace {

// Maps in shared memory at a time: all six of LeNet-5 in float (30 KB), four in double.
template <class T>
constexpr int kStagedMaps = sizeof(T) == 4 ? 6 : 4;

template <class Tile, class T>
constexpr int kStagedValues = kStagedMaps<T>* Tile::kPatches* Tile::kWindowStride;

struct Maps {
  int n, height, width;
};

// Two rows of results from six rows of a window: 500 multiply-adds for 84 + 25 loads.
template <class Tile, bool backward, class T>
__device__ __forceinline__ void convolve_rows(const T* window, const T* __restrict__ weight,
                                              T (&sum)[kRowsPerLane][Tile::kColumns]) {
  T w[kTaps * kTaps];
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i)
    w[i] = __ldg(weight + (backward ? kTaps * kTaps - 1 - i : i));
#pragma unroll
  for (int row = 0; row < kRowsPerLane + kTaps - 1; ++row) {
    T in[Tile::kWindowColumns];
#pragma unroll
    for (int x = 0; x < Tile::kWindowColumns; ++x) in[x] = window[row * Tile::kWindowPitch + x];
#pragma unroll
    for (int r = 0; r < kRowsPerLane; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < Tile::kColumns; ++x) sum[r][x] += w[u * kTaps + v] * in[x + v];
    }
  }
}

// Block (i, j): patches i * kPatches ..., target maps j * kWarps ... of those of this launch.
// Forward: source = input, targets = the output maps in `table`. Backward: source = grad_output,
// of which the maps in `table` are added to what earlier launches left.
template <class T, class Tile, bool backward>
__global__ void __launch_bounds__(kThreads)
    c3_convolve(Patches patches, Maps sources, Maps targets, TableRows table,
                const T* __restrict__ source, const T* __restrict__ weight,
                const T* __restrict__ bias, T* __restrict__ target) {
  __shared__ Patch patch[Tile::kPatches];
  T* const windows = dynamic_shared<T>();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int map = blockIdx.y * kWarps + warp;  // the warp's target among those of this launch
  const int n_maps = backward ? targets.n : table.n_outputs;
  const int n_sources = backward ? table.n_outputs : sources.n;
  const bool busy = map < n_maps && lane < Tile::kLanes;
  if (threadIdx.x < Tile::kPatches)
    patch[threadIdx.x] = patch_at<Tile>(
        patches, static_cast<std::int64_t>(blockIdx.x) * Tile::kPatches + threadIdx.x);

  T sum[kRowsPerLane][Tile::kColumns] = {};
  for (int first = 0; first < n_sources; first += kStagedMaps<T>) {
    const int n_staged = smaller(kStagedMaps<T>, n_sources - first);
    __syncthreads();  // the patches stand; the maps before are no longer read
    stage_windows<Tile>(patch, source, sources.n, sources.height, sources.width,
                        backward ? kTaps - 1 : 0, backward ? table.first_output + first : first,
                        n_staged, windows);
    __syncthreads();
    for (int i = 0; i < n_staged && busy; ++i) {
      const int o = backward ? first + i : map, c = backward ? map : first + i;
      if (!table.connects(o, c)) continue;
      convolve_rows<Tile, backward>(
          windows + (i * Tile::kPatches + lane / Tile::kPairs) * Tile::kWindowStride +
              lane % Tile::kPairs * kRowsPerLane * Tile::kWindowPitch,
          weight + table.connection_index(o, c) * (kTaps * kTaps), sum);
    }
  }

  // Through shared memory, so that neighbouring lanes write neighbouring values.
  __syncthreads();
  static_assert(kWarps * Tile::kLanes * Tile::kResultPitch <= kStagedValues<Tile, T>, "too small");
  T* const results = windows + warp * (Tile::kLanes * Tile::kResultPitch);
  if (busy) {
#pragma unroll
    for (int i = 0; i < Tile::kResults; ++i)
      results[lane * Tile::kResultPitch + i] = sum[i / Tile::kColumns][i % Tile::kColumns];
  }
  __syncwarp();
  if (map >= n_maps) return;
  const int target_map = backward ? map : table.first_output + map;
  const T b = backward ? T(0) : bias[target_map];
  for (int i = lane; i < Tile::kLanes * Tile::kResults; i += kWarp) {
    const Place place = place_of<Tile>(i);
    const Patch p = patch[place.patch];
    const int y = p.y + place.y, x = p.x + place.x;
    if (p.image < 0 || y >= targets.height || x >= targets.width) continue;
    T* const result =
        target + ((p.image * targets.n + target_map) * targets.height + y) * targets.width + x;
    *result = results[place.at] + (backward && table.first_output > 0 ? *result : b);
  }
}

template <class T, class Tile, bool backward>
void launch_convolve(const char* name, const C3Shape& shape, Maps sources, Maps targets,
                     const T* source, const T* weight, const T* bias, T* target,
                     cudaStream_t stream) {
  const Patches patches = patches_of<Tile>(shape.n_images, targets.height, targets.width);
  for_table_rows(shape, [&](const TableRows& table) {
    const int n_maps = backward ? targets.n : table.n_outputs;
    const dim3 grid(blocks_for(patches.n, Tile::kPatches), blocks_for(n_maps, kWarps));
    launch(name, c3_convolve<T, Tile, backward>, grid, kStagedValues<Tile, T> * sizeof(T), stream,
           patches, sources, targets, table, source, weight, bias, target);
  });
}

// Sums over images are made in at most this many parts, patch group g in part g % n_parts: enough
// blocks for a large card, and always the same order of adding.
constexpr int kParts = 64;

inline int n_parts(const C3Shape& shape) {
  const Patches patches =
      patches_of<TileOf10>(shape.n_images, shape.height - kTaps + 1, shape.width - kTaps + 1);
  return static_cast<int>(smaller(divide_up(patches.n, TileOf10::kPatches), kParts));
}

// The values that a part sums: grad_weight, then grad_bias.
inline int n_gradients(const C3Shape& shape) {
  return n_connections(shape) * kTaps * kTaps + shape.n_outputs;
}

// The part of a lane in the 25 gradients of a connection: its two rows of grad_output times six
// rows of the window.
template <class Tile, class T>
__device__ __forceinline__ void correlate_rows(const T* window, const T* grad,
                                               T (&sum)[kTaps * kTaps]) {
  T g[Tile::kResults];
#pragma unroll
  for (int i = 0; i < Tile::kResults; ++i) g[i] = grad[i];
#pragma unroll
  for (int row = 0; row < kRowsPerLane + kTaps - 1; ++row) {
    T in[Tile::kWindowColumns];
#pragma unroll
    for (int x = 0; x < Tile::kWindowColumns; ++x) in[x] = window[row * Tile::kWindowPitch + x];
#pragma unroll
    for (int r = 0; r < kRowsPerLane; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < Tile::kColumns; ++x)
          sum[u * kTaps + v] += g[r * Tile::kColumns + x] * in[x + v];
    }
  }
}

// The row of `table` that is the n-th of those that see `input`; -1 where there are fewer.
__device__ inline int nth_row(const TableRows& table, int input, int n) {
  for (int row = 0; row < table.n_outputs; ++row)
    if (table.connects(row, input) && n-- == 0) return row;
  return -1;
}

// Block (part, j, c): input map c with kWarps of the output maps that see it, a connection a warp.
// parts [n_parts, n_gradients].
template <class T, class Tile>
__global__ void __launch_bounds__(kThreads)
    c3_grad_weight(Patches patches, Maps inputs, Maps outputs, TableRows table, int n_gradients,
                   const T* __restrict__ grad_output, const T* __restrict__ input,
                   T* __restrict__ parts) {
  __shared__ Patch patch[Tile::kPatches];
  constexpr int n_window = Tile::kPatches * Tile::kWindowStride;
  T* const windows = dynamic_shared<T>();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  T* const grads = windows + n_window + warp * (Tile::kLanes * Tile::kResultPitch);
  const int c = blockIdx.z;
  const int row = nth_row(table, c, blockIdx.y * kWarps + warp);

  T sum[kTaps * kTaps] = {};
  const std::int64_t n_groups = divide_up(patches.n, Tile::kPatches);
  for (std::int64_t group = blockIdx.x; group < n_groups; group += gridDim.x) {
    __syncthreads();  // the group before is no longer read
    if (threadIdx.x < Tile::kPatches)
      patch[threadIdx.x] = patch_at<Tile>(patches, group * Tile::kPatches + threadIdx.x);
    __syncthreads();
    stage_windows<Tile>(patch, input, inputs.n, inputs.height, inputs.width, 0, c, 1, windows);
    for (int i = lane; i < Tile::kLanes * Tile::kResults && row >= 0; i += kWarp) {
      const Place place = place_of<Tile>(i);
      const Patch p = patch[place.patch];
      const int y = p.y + place.y, x = p.x + place.x;
      const bool inside = p.image >= 0 && y < outputs.height && x < outputs.width;
      const std::int64_t map = p.image * outputs.n + table.first_output + row;
      grads[place.at] =
          inside ? __ldg(grad_output + (map * outputs.height + y) * outputs.width + x) : T(0);
    }
    __syncthreads();
    if (row >= 0 && lane < Tile::kLanes)
      correlate_rows<Tile>(windows + lane / Tile::kPairs * Tile::kWindowStride +
                               lane % Tile::kPairs * kRowsPerLane * Tile::kWindowPitch,
                           grads + lane * Tile::kResultPitch, sum);
  }
  if (row < 0) return;
  T* const result = parts + static_cast<std::int64_t>(blockIdx.x) * n_gradients +
                    table.connection_index(row, c) * (kTaps * kTaps);
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i) {
    const T total = warp_sum(sum[i]);
    if (lane == 0) result[i] = total;
  }
}

// Block (part, j): output maps j * kWarps ..., one a warp; images part, part + n_parts, ...
// parts is moved on to the first bias gradient.
template <class T>
__global__ void __launch_bounds__(kThreads)
    c3_grad_bias(std::int64_t n_images, int n_outputs, int map_size, int n_gradients,
                 const T* __restrict__ grad_output, T* __restrict__ parts) {
  const int o = blockIdx.y * kWarps + threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (o >= n_outputs) return;
  T sum = 0;
  for (std::int64_t image = blockIdx.x; image < n_images; image += gridDim.x)
    for (int i = lane; i < map_size; i += kWarp)
      sum += __ldg(grad_output + (image * n_outputs + o) * map_size + i);
  sum = warp_sum(sum);
  if (lane == 0) parts[static_cast<std::int64_t>(blockIdx.x) * n_gradients + o] = sum;
}

// One thread a gradient: gradients[i] = parts[0, i] + parts[1, i] + ...; zero of no parts.
template <class T>
__global__ void __launch_bounds__(kThreads)
    c3_sum_parts(int n_parts, int n_gradients, int n, const T* __restrict__ parts,
                 T* __restrict__ gradients) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  T sum = 0;
  for (int part = 0; part < n_parts; ++part)
    sum += parts[static_cast<std::int64_t>(part) * n_gradients + i];
  gradients[i] = sum;
}

template <class T>
void sum_parts(const C3Shape& shape, int n, const T* parts, T* gradients, cudaStream_t stream) {
  launch("c3_sum_parts", c3_sum_parts<T>, blocks_for(n, kThreads), 0, stream, n_parts(shape),
         n_gradients(shape), n, parts, gradients);
}

inline Maps inputs_of(const C3Shape& s) { return {s.n_inputs, s.height, s.width}; }
inline Maps outputs_of(const C3Shape& s) {
  return {s.n_outputs, s.height - kTaps + 1, s.width - kTaps + 1};
}

}  // namespace

std::int64_t c3_conv_workspace(const C3Shape& shape, int value_bytes) {
  return static_cast<std::int64_t>(n_parts(shape)) * n_gradients(shape) * value_bytes;
}

template <class T>
void c3_conv(const C3Shape& shape, const T* input, const T* weight, const T* bias, T* output,
             void* stream) {
  launch_convolve<T, TileOf10, false>("c3_conv", shape, inputs_of(shape), outputs_of(shape), input,
                                      weight, bias, output, static_cast<cudaStream_t>(stream));
}

template <class T>
void c3_conv_backward(const C3Shape& shape, const C3Backward<T>& g, void* workspace,
                      void* stream_address) {
  const auto stream = static_cast<cudaStream_t>(stream_address);
  const Maps inputs = inputs_of(shape), outputs = outputs_of(shape);
  if (g.grad_input != nullptr)
    launch_convolve<T, TileOf14, true>("c3_grad_input", shape, outputs, inputs, g.grad_output,
                                       g.weight, nullptr, g.grad_input, stream);
  T* const parts = static_cast<T*>(workspace);
  const int n_weights = n_connections(shape) * kTaps * kTaps;
  if (g.grad_weight != nullptr) {
    using Tile = TileOf10;
    constexpr int n_shared =
        Tile::kPatches * Tile::kWindowStride + kWarps * Tile::kLanes * Tile::kResultPitch;
    for_table_rows(shape, [&](const TableRows& table) {
      const dim3 grid(n_parts(shape), blocks_for(table.n_outputs, kWarps), inputs.n);
      launch("c3_grad_weight", c3_grad_weight<T, Tile>, grid, n_shared * sizeof(T), stream,
             patches_of<Tile>(shape.n_images, outputs.height, outputs.width), inputs, outputs,
             table, n_gradients(shape), g.grad_output, g.input, parts);
    });
    sum_parts<T>(shape, n_weights, parts, g.grad_weight, stream);
  }
  if (g.grad_bias != nullptr) {
    const dim3 grid(n_parts(shape), blocks_for(outputs.n, kWarps));
    launch("c3_grad_bias", c3_grad_bias<T>, grid, 0, stream, shape.n_images, outputs.n,
           outputs.height * outputs.width, n_gradients(shape), g.grad_output, parts + n_weights);
    sum_parts<T>(shape, outputs.n, parts + n_weights, g.grad_bias, stream);
  }
}

template void c3_conv(const C3Shape&, const float*, const float*, const float*, float*, void*);
template void c3_conv(const C3Shape&, const double*, const double*, const double*, double*, void*);
template void c3_conv_backward(const C3Shape&, const C3Backward<float>&, void*, void*);
template void c3_conv_backward(const C3Shape&, const C3Backward<double>&, void*, void*);

}  // namespace cuda
}  // namespace lenetshift
