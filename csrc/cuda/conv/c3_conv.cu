// c3_conv: sparse 5 x 5 convolution by connection table, and its gradients.
//
//   output[n, o, y, x] = bias[o] + sum over c, u, v of weight[k(o, c), u, v] input[n, c, y+u, x+v]
//   grad_input[n, c, y, x] = sum over o, u, v of weight[k(o, c), u, v] grad_output[n, o, y-u, x-v]
//   grad_weight[k, u, v]   = sum over n, y, x of grad_output[n, o, y, x] input[n, c, y+u, x+v]
//   grad_bias[o]           = sum over n, y, x of grad_output[n, o, y, x]
//
// where k(o, c) is the connection of the maps o and c.
//
// LeNet-5's own maps in float have kernels of their own: c3_lenet5.h. The schedule of all others:
//   output and grad_input, by one kernel: grad_input is the convolution of grad_output, in a border
//   of zeros, with the weights turned by 180 degrees and the table read the other way
//     a block for 6 patches of 10 x 10 (4 of 14 x 7) and 8 target maps, a warp for each map
//       for each 6 source maps (4 in double)    as many windows as shared memory holds
//         for each source map that the table connects to the warp's own
//           a lane keeps two rows of its patch in registers: 500 multiply-adds for 84 + 25 loads
//   grad_weight and grad_bias, by one kernel, in at most 64 slots, which c3_sum_slots adds up, a
//   lane for each gradient and a warp for every eighth slot
//     grad_weight: a block for an input map and 8 output maps that see it, a warp for each
//     connection
//       for each 6 patches of its slot
//         a lane keeps the 25 sums of its two rows; a sum over the lanes at the end
//     grad_bias: a block for 8 output maps, a warp for each
//
// A lane does four products for each load; ../README.md, "c3_conv", says what that bounds.
#include "cuda/conv/c3_lenet5.h"
#include "cuda/conv/patches.h"
#include "cuda/conv/table_rows.h"
#include "cuda/cuda_kernels.h"

namespace lenetshift {
namespace cuda {
namespace {

// The number of maps in shared memory at a time: all six of S2 in float (30 KB), four in double.
template <class T>
constexpr int kStagedMaps = sizeof(T) == 4 ? 6 : 4;

template <class Shape, class T>
constexpr int kStagedValues = kStagedMaps<T> * Shape::kPatches * Shape::kWindowStride;

struct Maps {
  int n;
  std::int64_t height, width;
};

// Two rows of results from six rows of a window: 500 multiply-adds for 84 + 25 loads.
template <class Shape, bool backward, class T>
__device__ __forceinline__ void convolve_rows(const T* window, const T* __restrict__ weight,
                                              T (&sum)[kRowsPerLane][Shape::kColumns]) {
  T w[kTaps * kTaps];
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i)
    w[i] = __ldg(weight + (backward ? kTaps * kTaps - 1 - i : i));
#pragma unroll
  for (int row = 0; row < kRowsPerLane + kTaps - 1; ++row) {
    T in[Shape::kWindowColumns];
#pragma unroll
    for (int x = 0; x < Shape::kWindowColumns; ++x) in[x] = window[row * Shape::kWindowPitch + x];
#pragma unroll
    for (int r = 0; r < kRowsPerLane; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < Shape::kColumns; ++x) sum[r][x] += w[u * kTaps + v] * in[x + v];
    }
  }
}

// Block (i, j): patches i * kPatches ..., target maps j * kWarps ... of this launch's. Forward:
// source = input, targets = the output maps in `table`. Backward: source = grad_output; the parts
// from the output maps in `table` are added to what earlier launches have written.
template <class T, class Shape, bool backward>
__global__ void __launch_bounds__(kThreads)
    c3_convolve(Patches patches, Maps sources, Maps targets, TableRows table,
                const T* __restrict__ source, const T* __restrict__ weight,
                const T* __restrict__ bias, T* __restrict__ target) {
  __shared__ Patch patch[Shape::kPatches];
  T* const windows = dynamic_shared<T>();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int map = blockIdx.y * kWarps + warp;  // the warp's target among those of this launch
  const int n_maps = backward ? targets.n : table.n_outputs;
  const int n_sources = backward ? table.n_outputs : sources.n;
  const bool busy = map < n_maps && lane < Shape::kLanes;
  if (threadIdx.x < Shape::kPatches)
    patch[threadIdx.x] = patch_at<Shape>(
        patches, static_cast<std::int64_t>(blockIdx.x) * Shape::kPatches + threadIdx.x);

  T sum[kRowsPerLane][Shape::kColumns] = {};
  for (int first = 0; first < n_sources; first += kStagedMaps<T>) {
    const int n_staged = smaller(kStagedMaps<T>, n_sources - first);
    __syncthreads();  // the patches are written; the previous maps are no longer read
    stage_windows<Shape>(patch, source, sources.n, sources.height, sources.width,
                         backward ? kTaps - 1 : 0, backward ? table.first_output + first : first,
                         n_staged, windows);
    __syncthreads();
    for (int i = 0; i < n_staged && busy; ++i) {
      const int o = backward ? first + i : map, c = backward ? map : first + i;
      if (!table.connects(o, c)) continue;
      convolve_rows<Shape, backward>(
          windows + (i * Shape::kPatches + lane / Shape::kPatchLanes) * Shape::kWindowStride +
              lane % Shape::kPatchLanes * kRowsPerLane * Shape::kWindowPitch,
          weight + std::int64_t{table.connection_index(o, c)} * (kTaps * kTaps), sum);
    }
  }

  // Through shared memory, so that neighbouring lanes write neighbouring values.
  __syncthreads();
  static_assert(kWarps * Shape::kLanes * Shape::kResultPitch <= kStagedValues<Shape, T>,
                "the results lie where the windows were");
  T* const results = windows + warp * (Shape::kLanes * Shape::kResultPitch);
  if (busy) {
#pragma unroll
    for (int i = 0; i < Shape::kResults; ++i)
      results[lane * Shape::kResultPitch + i] = sum[i / Shape::kColumns][i % Shape::kColumns];
  }
  __syncwarp();
  if (map >= n_maps) return;
  const int target_map = backward ? map : table.first_output + map;
  const T b = backward ? T(0) : bias[target_map];
  for (int i = lane; i < Shape::kLanes * Shape::kResults; i += kWarp) {
    const Place place = place_of<Shape>(i);
    const Patch p = patch[place.patch];
    const std::int64_t y = p.y + place.y, x = p.x + place.x;
    if (p.image < 0 || y >= targets.height || x >= targets.width) continue;
    T* const result =
        target + ((p.image * targets.n + target_map) * targets.height + y) * targets.width + x;
    *result = results[place.at] + (backward && table.first_output > 0 ? *result : b);
  }
}

template <class T, class Shape, bool backward>
void launch_convolve(const char* name, const C3Shape& shape, Maps sources, Maps targets,
                     const T* source, const T* weight, const T* bias, T* target,
                     cudaStream_t stream) {
  const Patches patches = patches_of<Shape>(shape.n_images, targets.height, targets.width);
  for_table_rows(shape, [&](const TableRows& table) {
    const int n_maps = backward ? targets.n : table.n_outputs;
    const dim3 grid(blocks_for(patches.n, Shape::kPatches), blocks_for(n_maps, kWarps));
    launch(name, c3_convolve<T, Shape, backward>, grid, kStagedValues<Shape, T> * sizeof(T), stream,
           patches, sources, targets, table, source, weight, bias, target);
  });
}

// Sums over images are divided among at most this many slots, with the g-th group of patches in
// slot g % n_slots: enough blocks for a large card, and a fixed order of addition. The slots of one
// launch's table rows are summed before the next launch, and take no more than kC3Bytes.
constexpr int kC3MaxSlots = 64;
constexpr std::int64_t kC3Bytes = 64 << 20;

// The values of a slot for some table rows: grad_weight, then grad_bias.
inline int slot_size(const TableRows& table) {
  return table.n_own_connections() * kTaps * kTaps + table.n_outputs;
}
inline int largest_slot(const C3Shape& shape) {
  int largest = 1;
  for_table_rows(shape,
                 [&](const TableRows& table) { largest = larger(largest, slot_size(table)); });
  return largest;
}

inline int slots_of(const C3Shape& shape, int value_bytes) {
  const std::int64_t fit = kC3Bytes / value_bytes / largest_slot(shape);
  if (value_bytes == sizeof(float) && has_lenet5_gradients(shape))
    return static_cast<int>(smaller(lenet5_slots(shape), fit));
  const Patches patches =
      patches_of<PatchOf10>(shape.n_images, shape.height - kTaps + 1, shape.width - kTaps + 1);
  return static_cast<int>(
      smaller(divide_up(patches.n, PatchOf10::kPatches), smaller(kC3MaxSlots, fit)));
}

// A lane's share of the 25 gradients of a connection: its two rows of grad_output times six rows
// of the window.
template <class Shape, class T>
__device__ __forceinline__ void correlate_rows(const T* window, const T* grad,
                                               T (&sum)[kTaps * kTaps]) {
  T g[Shape::kResults];
#pragma unroll
  for (int i = 0; i < Shape::kResults; ++i) g[i] = grad[i];
#pragma unroll
  for (int row = 0; row < kRowsPerLane + kTaps - 1; ++row) {
    T in[Shape::kWindowColumns];
#pragma unroll
    for (int x = 0; x < Shape::kWindowColumns; ++x) in[x] = window[row * Shape::kWindowPitch + x];
#pragma unroll
    for (int r = 0; r < kRowsPerLane; ++r) {
      const int u = row - r;
      if (u < 0 || u >= kTaps) continue;
#pragma unroll
      for (int v = 0; v < kTaps; ++v)
#pragma unroll
        for (int x = 0; x < Shape::kColumns; ++x)
          sum[u * kTaps + v] += g[r * Shape::kColumns + x] * in[x + v];
    }
  }
}

// The n-th row of `table` that sees `input`; -1 if there are fewer.
__device__ inline int nth_row(const TableRows& table, int input, int n) {
  for (int row = 0; row < table.n_outputs; ++row)
    if (table.connects(row, input) && n-- == 0) return row;
  return -1;
}

// A block's part of grad_bias in its slot: output maps j * kWarps ... of `table`, a warp for each;
// images slot, slot + n_slots, ... Block (slot, j); slots points to the first bias gradient.
template <class T>
__device__ __forceinline__ void sum_grad_output(std::int64_t n_images, const Maps& outputs,
                                                const TableRows& table, int slot_size,
                                                const T* __restrict__ grad_output,
                                                T* __restrict__ slots) {
  const int row = blockIdx.y * kWarps + threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (row >= table.n_outputs) return;
  const std::int64_t map_size = outputs.height * outputs.width;
  T sum = 0;
  for (std::int64_t image = blockIdx.x; image < n_images; image += gridDim.x)
    for (std::int64_t i = lane; i < map_size; i += kWarp)
      sum += __ldg(grad_output + (image * outputs.n + table.first_output + row) * map_size + i);
  sum = warp_sum(sum);
  if (lane == 0) slots[static_cast<std::int64_t>(blockIdx.x) * slot_size + row] = sum;
}

// The blocks that a multiprocessor holds at least: otherwise the compiler takes more registers.
template <class T>
constexpr int kGradBlocks = sizeof(T) == 4 ? 4 : 2;

// Block (slot, j, c - first): input map c with kWarps of the output maps that see it, a warp for
// each connection; c = inputs.n stands for the bias. slots [n_slots, slot_size].
template <class T, class Shape>
__global__ void __launch_bounds__(kThreads, kGradBlocks<T>)
    c3_grad_weight(std::int64_t n_images, Patches patches, Maps inputs, Maps outputs,
                   TableRows table, int first, int slot_size, const T* __restrict__ grad_output,
                   const T* __restrict__ input, T* __restrict__ slots) {
  __shared__ Patch patch[Shape::kPatches];
  constexpr int n_window = Shape::kPatches * Shape::kWindowStride;
  T* const windows = dynamic_shared<T>();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  T* const grads = windows + n_window + warp * (Shape::kLanes * Shape::kResultPitch);
  const int c = first + blockIdx.z;
  if (c == inputs.n)
    return sum_grad_output(n_images, outputs, table, slot_size, grad_output,
                           slots + table.n_own_connections() * kTaps * kTaps);
  const int row = nth_row(table, c, blockIdx.y * kWarps + warp);

  T sum[kTaps * kTaps] = {};
  const std::int64_t n_groups = divide_up(patches.n, Shape::kPatches);
  for (std::int64_t group = blockIdx.x; group < n_groups; group += gridDim.x) {
    __syncthreads();  // the previous group is no longer read
    if (threadIdx.x < Shape::kPatches)
      patch[threadIdx.x] = patch_at<Shape>(patches, group * Shape::kPatches + threadIdx.x);
    __syncthreads();
    stage_windows<Shape>(patch, input, inputs.n, inputs.height, inputs.width, 0, c, 1, windows);
    for (int i = lane; i < Shape::kLanes * Shape::kResults && row >= 0; i += kWarp) {
      const Place place = place_of<Shape>(i);
      const Patch p = patch[place.patch];
      const std::int64_t y = p.y + place.y, x = p.x + place.x;
      const bool inside = p.image >= 0 && y < outputs.height && x < outputs.width;
      const std::int64_t map = p.image * outputs.n + table.first_output + row;
      grads[place.at] =
          inside ? __ldg(grad_output + (map * outputs.height + y) * outputs.width + x) : T(0);
    }
    __syncthreads();
    if (row >= 0 && lane < Shape::kLanes)
      correlate_rows<Shape>(windows + lane / Shape::kPatchLanes * Shape::kWindowStride +
                                lane % Shape::kPatchLanes * kRowsPerLane * Shape::kWindowPitch,
                            grads + lane * Shape::kResultPitch, sum);
  }
  if (row < 0) return;
  const int connection = table.connection_index(row, c) - table.first_connection[0];
  T* const result =
      slots + static_cast<std::int64_t>(blockIdx.x) * slot_size + connection * (kTaps * kTaps);
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i) {
    const T total = warp_sum(sum[i]);
    if (lane == 0) result[i] = total;
  }
}

// A lane for each gradient of a slot, those of the weights first: the sum of slots[0, i],
// slots[1, i], ..., of which a warp adds every eighth; 0 if there are no slots. Null: not wanted.
template <class T>
__global__ void __launch_bounds__(kThreads)
    c3_sum_slots(int n_slots, int slot_size, int n_weights, const T* __restrict__ slots,
                 T* __restrict__ grad_weight, T* __restrict__ grad_bias) {
  __shared__ T sums[kWarps][kWarp];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int i = blockIdx.x * kWarp + lane;
  T* const gradients = i < n_weights ? grad_weight : grad_bias;
  const bool wanted = i < slot_size && gradients != nullptr;
  T sum = 0;
#pragma unroll 8
  for (int slot = warp; slot < n_slots; slot += kWarps)
    if (wanted) sum += __ldg(slots + static_cast<std::int64_t>(slot) * slot_size + i);
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || !wanted) return;
  for (int w = 1; w < kWarps; ++w) sum += sums[w][lane];
  gradients[i < n_weights ? i : i - n_weights] = sum;
}

template <class T>
void launch_sum_slots(const TableRows& table, int n_slots, const T* slots, const C3Backward<T>& g,
                      cudaStream_t stream) {
  const int size = slot_size(table), n_weights = table.n_own_connections() * kTaps * kTaps;
  const std::int64_t first_weight = std::int64_t{table.first_connection[0]} * kTaps * kTaps;
  launch("c3_sum_slots", c3_sum_slots<T>, blocks_for(size, kWarp), 0, stream, n_slots, size,
         n_weights, slots, g.grad_weight != nullptr ? g.grad_weight + first_weight : nullptr,
         g.grad_bias != nullptr ? g.grad_bias + table.first_output : nullptr);
}

inline Maps inputs_of(const C3Shape& s) { return {s.n_inputs, s.height, s.width}; }
inline Maps outputs_of(const C3Shape& s) {
  return {s.n_outputs, s.height - kTaps + 1, s.width - kTaps + 1};
}

}  // namespace

std::int64_t c3_conv_workspace(const C3Shape& shape, int value_bytes) {
  return std::int64_t{slots_of(shape, value_bytes)} * largest_slot(shape) * value_bytes;
}

template <class T>
void c3_conv(const C3Shape& shape, const T* input, const T* weight, const T* bias, T* output,
             void* stream_address) {
  const auto stream = static_cast<cudaStream_t>(stream_address);
  if constexpr (sizeof(T) == sizeof(float))
    if (has_lenet5_maps(shape))
      return launch_lenet5_output(shape, input, weight, bias, output, stream);
  launch_convolve<T, PatchOf10, false>("c3_conv", shape, inputs_of(shape), outputs_of(shape), input,
                                       weight, bias, output, stream);
}

template <class T>
void c3_conv_backward(const C3Shape& shape, const C3Backward<T>& g, void* workspace,
                      void* stream_address) {
  const auto stream = static_cast<cudaStream_t>(stream_address);
  T* const slots = static_cast<T*>(workspace);
  const int n_slots = slots_of(shape, sizeof(T));
  const bool sums_wanted = g.grad_weight != nullptr || g.grad_bias != nullptr;
  if constexpr (sizeof(T) == sizeof(float)) {
    if (has_lenet5_gradients(shape)) {
      const TableRows table(shape.table, 0, shape.n_outputs);
      launch_lenet5_gradients(shape, g, table, n_slots, slot_size(table),
                              sums_wanted ? slots : nullptr, stream);
      if (sums_wanted) launch_sum_slots(table, n_slots, slots, g, stream);
      return;
    }
  }
  const Maps inputs = inputs_of(shape), outputs = outputs_of(shape);
  if (g.grad_input != nullptr)
    launch_convolve<T, PatchOf14, true>("c3_grad_input", shape, outputs, inputs, g.grad_output,
                                        g.weight, nullptr, g.grad_input, stream);
  if (!sums_wanted) return;
  const int first = g.grad_weight != nullptr ? 0 : inputs.n;
  const int stop = g.grad_bias != nullptr ? inputs.n + 1 : inputs.n;
  for_table_rows(shape, [&](const TableRows& table) {
    using Shape = PatchOf10;
    constexpr int n_shared =
        Shape::kPatches * Shape::kWindowStride + kWarps * Shape::kLanes * Shape::kResultPitch;
    const dim3 grid(n_slots, blocks_for(table.n_outputs, kWarps), stop - first);
    launch("c3_grad_weight", c3_grad_weight<T, Shape>, grid, n_shared * sizeof(T), stream,
           shape.n_images, patches_of<Shape>(shape.n_images, outputs.height, outputs.width), inputs,
           outputs, table, first, slot_size(table), g.grad_output, g.input, slots);
    launch_sum_slots(table, n_slots, slots, g, stream);
  });
}

template void c3_conv(const C3Shape&, const float*, const float*, const float*, float*, void*);
template void c3_conv(const C3Shape&, const double*, const double*, const double*, double*, void*);
template void c3_conv_backward(const C3Shape&, const C3Backward<float>&, void*, void*);
template void c3_conv_backward(const C3Shape&, const C3Backward<double>&, void*, void*);

}  // namespace cuda
}  // namespace lenetshift
