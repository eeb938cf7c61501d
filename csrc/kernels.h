// The contract between the kernels and everything that calls them: plain structs and entry points.
// No torch, no Python, no standard library, so that a file compiled for one instruction set (ISA)
// can include it without leaving code for that ISA in a shared symbol.
//
// Arrays are dense and row-major, the last index fastest. Shapes stand in brackets: float [N, 10].
// The caller checks every argument and owns all memory, workspace included.
#pragma once

#include <cstdint>

namespace lenetshift {

constexpr int kImageSize = 28;  // MNIST images are 28 x 28
constexpr int kPixels = kImageSize * kImageSize;
constexpr int kClasses = 10;

enum class Activation : int { tanh = 0, relu = 1 };

// The connection tables of the fused LeNet-5 kernels (c3_table.h): that of 1998, or all
// connections.
enum class C3Table : int { sparse = 0, dense = 1 };

// How to run: the number of threads, and a callback that the calling thread calls from time to time
// to ask whether to stop (Ctrl-C). A stopped kernel returns false, and its outputs are incomplete.
struct Execution {
  int n_threads;
  bool (*should_stop)();
};

// The rectangle of shifts dx = dx_first ... dx_first + n_dx - 1, dy likewise, in pixels.
// dx > 0 moves right, dy > 0 moves down.
struct ShiftGrid {
  int dx_first, n_dx, dy_first, n_dy;
};

// weight [n_outputs, n_inputs], bias [n_outputs].
struct Layer {
  const float* weight;
  const float* bias;
};

// LeNet-5 and symmetric LeNet-5. C3's weight is [60 connections, 5, 5] for the table of 1998
// (c3_table.h) and [16, 6, 5, 5] for the dense table.
struct Lenet5Parameters {
  Layer c1, c3, c5, f6, output;
};
struct Lenet5 {
  C3Table table;
  Activation activation;
  Lenet5Parameters parameters;
};

// MLP and pooled MLP: one hidden layer.
struct MlpParameters {
  Layer hidden, output;
  int n_hidden;
};
struct Mlp {
  Activation activation;
  MlpParameters parameters;
};

// The arguments of every predict_shifts kernel.
// images uint8 [n_images, 28, 28], predictions uint8 [n_images, n_dy, n_dx],
// logits float [n_images, n_dy, n_dx, 10] or null.
struct ShiftedImages {
  const std::uint8_t* images;
  std::int64_t n_images;
  ShiftGrid grid;
  std::uint8_t* predictions;
  float* logits;
};

// Sparse 5 x 5 convolution by connection table: table[o] has bit c set if output map o sees input
// map c; weight [n_connections, 5, 5], output-major, ascending input. input [n_images, n_inputs,
// height, width], output [n_images, n_outputs, height-4, width-4].
struct C3Shape {
  std::int64_t n_images;
  int n_inputs, n_outputs;
  std::int64_t height, width;
  const std::int64_t* table;
};

template <class T>
struct C3Backward {
  const T* grad_output;
  const T* input;
  const T* weight;
  T* grad_input;   // null if not wanted
  T* grad_weight;  // null if not wanted
  T* grad_bias;    // null if not wanted
};

// Windows of maps that are found in tables. input [n_images, height, width, n_channels]. Line i of
// a result reads the rows rows[i] of the input, rows int64 [out_height, kernel_height]; columns
// int64 [out_width, kernel_width] likewise. -1 is outside the input. Every size is 1 or more. T is
// float or double.
template <class T>
struct IndirectWindows {
  const T* input;
  std::int64_t n_images, height, width;
  int n_channels;
  const std::int64_t* rows;
  std::int64_t out_height;
  int kernel_height;
  const std::int64_t* columns;
  std::int64_t out_width;
  int kernel_width;
};

// min(max(x, low), high).
template <class T>
struct Clamp {
  T low, high;
};
template <class T>
constexpr Clamp<T> kNoClamp = {static_cast<T>(-__builtin_inf()), static_cast<T>(__builtin_inf())};

// A convolution over such windows: weight [kernel_height, kernel_width, n_channels, n_outputs], or
// of a depthwise one [kernel_height, kernel_width, n_channels]; bias [n_outputs]; output [n_images,
// out_height, out_width, n_outputs].
template <class T>
struct IndirectConv {
  IndirectWindows<T> windows;
  const T* weight;
  const T* bias;
  int n_outputs;
  Clamp<T> clamp;
  T* output;
};

// Pooling over such windows: output [n_images, out_height, out_width, n_channels].
enum class Join : int { largest = 0, sum = 1 };
template <class T>
struct IndirectPool {
  IndirectWindows<T> windows;
  Join join;
  T* output;
};

// One epoch of plain mini-batch SGD on the mean cross-entropy.
// images uint8 [n_images, 28, 28], labels int64 [n_images] in 0..9, permutation int64 [n_images],
// losses float [ceil(n_images / batch_size)]: each step's mean loss, before its update.
struct Epoch {
  const std::uint8_t* images;
  const std::int64_t* labels;
  const std::int64_t* permutation;
  std::int64_t n_images;
  int batch_size;
  float learning_rate;
  float* losses;
};

// A kernel that runs a job on a whole model, in one ISA. The workspace depends only on sizes: it is
// computed without reading an array.
template <class Model, class Job>
struct FusedKernel {
  std::int64_t (*workspace)(const Model&, const Job&, int n_threads);
  bool (*run)(const Model&, const Job&, void* workspace, Execution);
};

// The fused kernels of an ISA, or those for cards, whose Kernel is in cuda/cuda_kernels.h.
template <template <class Model, class Job> class Kernel>
struct FusedKernels {
  Kernel<Lenet5, ShiftedImages> predict_shifts_lenet5;
  Kernel<Mlp, ShiftedImages> predict_shifts_mlp, predict_shifts_pooled_mlp;
  // The parameters are updated in place: the pointers of Layer are written through.
  Kernel<Lenet5, Epoch> train_epoch_lenet5;
  Kernel<Mlp, Epoch> train_epoch_mlp, train_epoch_pooled_mlp;
};

// The kernels of an ISA for windows that are found in tables.
template <class T>
struct IndirectKernels {
  std::int64_t (*conv_workspace)(const IndirectConv<T>&, int n_threads);
  bool (*conv)(const IndirectConv<T>&, void* workspace, Execution);
  std::int64_t (*depthwise_workspace)(const IndirectConv<T>&, int n_threads);
  bool (*depthwise)(const IndirectConv<T>&, void* workspace, Execution);
  std::int64_t (*pool_workspace)(const IndirectPool<T>&, int n_threads);
  bool (*pool)(const IndirectPool<T>&, void* workspace, Execution);
};

// The kernels of one ISA. `workspace` is 64-byte aligned memory of at least as many bytes as the
// function of the same name plus _workspace returns.
struct Kernels {
  int lanes;  // float32 values in a vector

  std::int64_t (*c3_conv_workspace)(const C3Shape&, int value_bytes, int n_threads);
  bool (*c3_conv_f32)(const C3Shape&, const float* input, const float* weight, const float* bias,
                      float* output, void* workspace, Execution);
  bool (*c3_conv_f64)(const C3Shape&, const double* input, const double* weight, const double* bias,
                      double* output, void* workspace, Execution);
  std::int64_t (*c3_conv_backward_workspace)(const C3Shape&, int value_bytes, int n_threads);
  bool (*c3_conv_backward_f32)(const C3Shape&, const C3Backward<float>&, void* workspace,
                               Execution);
  bool (*c3_conv_backward_f64)(const C3Shape&, const C3Backward<double>&, void* workspace,
                               Execution);

  FusedKernels<FusedKernel> fused;

  IndirectKernels<float> indirect_f32;
  IndirectKernels<double> indirect_f64;

  // y[i] = tanh(x[i]), as the kernels compute it.
  void (*tanh)(const float* x, float* y, std::int64_t n);
  // Runs n_rounds of independent fused multiply-adds on each thread and returns their number: the
  // peak that benchmarks compare with.
  double (*multiply_adds)(std::int64_t n_rounds, int n_threads);
};

// Moves images without arithmetic: images [n_images, n_channels, height, width] of value_bytes
// each, shifts int64 [n_shifts, 2] rows (dx, dy), output [n_images, n_shifts, n_channels, height,
// width].
struct TranslateShape {
  std::int64_t n_images, n_shifts, n_channels, height, width;
  int value_bytes;
};
bool translate(const TranslateShape&, const void* images, const std::int64_t* shifts, void* output,
               Execution);

// Moves image n by shift n: shifts int64 [n_images, 2], output [n_images, n_channels, height,
// width]; n_shifts is not used. Its gradient is itself with the opposite shifts.
bool shift_each(const TranslateShape&, const void* images, const std::int64_t* shifts, void* output,
                Execution);

// The gradient of translate: grad_images [n_images, n_channels, height, width] = sum over shifts of
// the gradient moved back.
template <class T>
bool translate_backward(const TranslateShape&, const T* grad_output, const std::int64_t* shifts,
                        T* grad_images, Execution);

}  // namespace lenetshift
