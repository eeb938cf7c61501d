// translate: output[n, s, p, y, x] = images[n, p, y - dy[s], x - dx[s]], 0 where that is outside.
// shift_each: output[n, p, y, x] = images[n, p, y - dy[n], x - dx[n]] likewise.
// translate's gradient: grad_images[n, p, y, x] = sum over s of grad_output[n, s, p, y + dy[s],
// x + dx[s]].
#include "cuda/cuda_kernels.h"
#include "cuda/device.h"

#include <stdexcept>
#include <string>

namespace lenetshift {
namespace cuda {
namespace {

// Some neighbouring values of a row, written at once.
template <class Value, int n>
struct alignas(sizeof(Value) * n) Run {
  Value value[n];
};
struct alignas(8) Value16 {  // complex128
  std::uint64_t half[2];
};

// A channel's height, width and pixels, counted in Index: 32 bits if they suffice, because a 64-bit
// division costs more than everything else.
template <class Index>
struct Channel {
  Index height, width, size;
  __device__ explicit Channel(const TranslateShape& shape)
      : height(static_cast<Index>(shape.height)),
        width(static_cast<Index>(shape.width)),
        size(height * width) {}
};

// Writes a channel moved by `shift`, (dx, dy), in runs: block (i, j) takes every gridDim.y-th group
// of kThreads. A run lies within one row.
template <class Index, class Value, int n>
__device__ void move_channel(const Channel<Index>& c, const Value* __restrict__ channel,
                             const std::int64_t* __restrict__ shift,
                             Run<Value, n>* __restrict__ output) {
  const Index n_runs = c.size / n;
  const std::int64_t far_x = shift[0], far_y = shift[1];
  const bool leaves =
      far_x >= c.width || far_x <= -c.width || far_y >= c.height || far_y <= -c.height;
  const Index dx = leaves ? 0 : static_cast<Index>(far_x);
  const Index dy = leaves ? 0 : static_cast<Index>(far_y);
  for (Index r = blockIdx.y * kThreads + threadIdx.x; r < n_runs; r += gridDim.y * kThreads) {
    const Index y = r * n / c.width - dy, x = r * n % c.width - dx;
    Run<Value, n> run{};
    if (!leaves && y >= 0 && y < c.height)
#pragma unroll
      for (int k = 0; k < n; ++k)
        if (x + k >= 0 && x + k < c.width) run.value[k] = channel[y * c.width + x + k];
    output[r] = run;
  }
}

// Block (i, j): channels i, i + gridDim.x, ... of output [n_images, n_shifts, n_channels].
template <class Index, class Value, int n>
__global__ void __launch_bounds__(kThreads)
    translate_runs(TranslateShape shape, const Value* __restrict__ images,
                   const std::int64_t* __restrict__ shifts, Run<Value, n>* __restrict__ output) {
  const Channel<Index> c(shape);
  const std::int64_t n_items = shape.n_images * shape.n_shifts * shape.n_channels;
  for (std::int64_t i = blockIdx.x; i < n_items; i += gridDim.x) {
    const std::int64_t moved = i / shape.n_channels, image = moved / shape.n_shifts;
    const std::int64_t shift = moved - image * shape.n_shifts;
    const std::int64_t channel = image * shape.n_channels + i - moved * shape.n_channels;
    move_channel(c, images + channel * c.size, shifts + 2 * shift, output + i * (c.size / n));
  }
}

// Likewise for output [n_images, n_channels].
template <class Index, class Value, int n>
__global__ void __launch_bounds__(kThreads)
    shift_each_runs(TranslateShape shape, const Value* __restrict__ images,
                    const std::int64_t* __restrict__ shifts, Run<Value, n>* __restrict__ output) {
  const Channel<Index> c(shape);
  for (std::int64_t i = blockIdx.x; i < shape.n_images * shape.n_channels; i += gridDim.x)
    move_channel(c, images + i * c.size, shifts + 2 * (i / shape.n_channels),
                 output + i * (c.size / n));
}

// Channels of grad_images [n_images, n_channels] likewise, a thread for each pixel, which sums in
// the order of the shifts.
template <class Index, class T>
__global__ void __launch_bounds__(kThreads)
    translate_gradient(TranslateShape shape, const T* __restrict__ grad_output,
                       const std::int64_t* __restrict__ shifts, T* __restrict__ grad_images) {
  const Channel<Index> c(shape);
  for (std::int64_t i = blockIdx.x; i < shape.n_images * shape.n_channels; i += gridDim.x) {
    const std::int64_t image = i / shape.n_channels, channel = i - image * shape.n_channels;
    const T* const grads =
        grad_output + (image * shape.n_shifts * shape.n_channels + channel) * c.size;
    for (Index at = blockIdx.y * kThreads + threadIdx.x; at < c.size; at += gridDim.y * kThreads) {
      const Index y = at / c.width, x = at % c.width;
      T sum = 0;
      for (std::int64_t s = 0; s < shape.n_shifts; ++s) {
        const std::int64_t dx = shifts[2 * s], dy = shifts[2 * s + 1];
        // Written this way, nothing overflows.
        if (dx < -x || dx >= c.width - x || dy < -y || dy >= c.height - y) continue;
        sum += grads[s * shape.n_channels * c.size + at + static_cast<Index>(dy) * c.width +
                     static_cast<Index>(dx)];
      }
      grad_images[i * c.size + at] = sum;
    }
  }
}

// Blocks for n_channels of n_values each; a thread takes several values of a large channel.
dim3 grid_of(std::int64_t n_channels, std::int64_t n_values) {
  constexpr std::int64_t kMaxChannels = 1 << 30, kMaxGroups = 1 << 10;
  const std::int64_t groups = divide_up(n_values, kThreads);
  return dim3(static_cast<unsigned>(smaller(n_channels, kMaxChannels)),
              static_cast<unsigned>(smaller(groups, kMaxGroups)));
}

// The most pixels of a channel that are counted in 32 bits; a thread's last step goes up to a
// grid's width beyond the channel.
constexpr std::int64_t kMostIn32Bits = 1 << 30;

// Calls f with an integer of the type that counts the pixels.
template <class F>
void with_index(const TranslateShape& shape, F&& f) {
  if (shape.height * shape.width <= kMostIn32Bits) return f(std::int32_t{});
  f(std::int64_t{});
}

// The arguments of a launch of translate or shift_each, besides the type of the values.
struct Moves {
  const char* op;
  const TranslateShape& shape;
  std::int64_t n_channels;  // of the output, in all
  const void* images;
  const std::int64_t* shifts;
  void* output;
  void* stream;
};

template <class Value, int n>
void launch_runs(const Moves& m, bool each) {
  with_index(m.shape, [&](auto index) {
    using Index = decltype(index);
    launch(m.op, each ? shift_each_runs<Index, Value, n> : translate_runs<Index, Value, n>,
           grid_of(m.n_channels, m.shape.height * m.shape.width / n), 0,
           static_cast<cudaStream_t>(m.stream), m.shape, static_cast<const Value*>(m.images),
           m.shifts, static_cast<Run<Value, n>*>(m.output));
  });
}

void launch_moves(const Moves& m, bool each) {
  switch (m.shape.value_bytes) {
    case 1:  // MNIST's: four pixels in one 32-bit store
      if (m.shape.width % 4 == 0) return launch_runs<std::uint8_t, 4>(m, each);
      return launch_runs<std::uint8_t, 1>(m, each);
    case 2:
      return launch_runs<std::uint16_t, 1>(m, each);
    case 4:
      return launch_runs<std::uint32_t, 1>(m, each);
    case 8:
      return launch_runs<std::uint64_t, 1>(m, each);
    case 16:
      return launch_runs<Value16, 1>(m, each);
    default:
      throw std::runtime_error(std::string(m.op) + ": got values of " +
                               std::to_string(m.shape.value_bytes) +
                               " bytes, expected 1, 2, 4, 8 or 16");
  }
}

}  // namespace

void translate(const TranslateShape& shape, const void* images, const std::int64_t* shifts,
               void* output, void* stream) {
  const std::int64_t n_channels = shape.n_images * shape.n_shifts * shape.n_channels;
  launch_moves({"translate", shape, n_channels, images, shifts, output, stream}, false);
}

void shift_each(const TranslateShape& shape, const void* images, const std::int64_t* shifts,
                void* output, void* stream) {
  const std::int64_t n_channels = shape.n_images * shape.n_channels;
  launch_moves({"shift_each", shape, n_channels, images, shifts, output, stream}, true);
}

template <class T>
void translate_backward(const TranslateShape& shape, const T* grad_output,
                        const std::int64_t* shifts, T* grad_images, void* stream) {
  with_index(shape, [&](auto index) {
    launch("translate_backward", translate_gradient<decltype(index), T>,
           grid_of(shape.n_images * shape.n_channels, shape.height * shape.width), 0,
           static_cast<cudaStream_t>(stream), shape, grad_output, shifts, grad_images);
  });
}

template void translate_backward(const TranslateShape&, const float*, const std::int64_t*, float*,
                                 void*);
template void translate_backward(const TranslateShape&, const double*, const std::int64_t*, double*,
                                 void*);

}  // namespace cuda
}  // namespace lenetshift
