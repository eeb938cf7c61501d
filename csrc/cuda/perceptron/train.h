// One epoch of SGD on a perceptron with one hidden layer. Input computes the network's inputs from
// an image: pixels, or means of pixels.
//
// The algorithm, for each step: hidden = act(bias + weight * inputs) and the logits of its images,
// their mean cross-entropy, and parameter -= learning_rate * its gradient for every parameter.
//
// The schedule, three kernels for each step:
//   perceptron_hidden: a block for 32 images x 16 hidden units
//     for each 112 inputs of 784             a stage of shared memory
//       a thread keeps 2 images x 1 unit in registers
//   perceptron_output: a block for each image
//     output layer, loss, gradients back to the hidden units
//   perceptron_update: a block for 32 hidden units x 112 inputs
//     for each 32 images of the batch        a stage of shared memory
//       a thread keeps 2 units x 7 inputs of the gradient in registers
//     more blocks for the output layer, one for each tile of it, and one for the mean loss
//
// It is bound by latency: a step of 64 images is too small for a card. All steps are enqueued at
// once.
#pragma once

#include "cuda/math/dense.h"
#include "cuda/math/sgd.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kForwardUnits = 16, kUpdateUnits = 32;
constexpr int kStageImages = 32;   // in shared memory at a time
constexpr int kStageInputs = 112;  // likewise; 784 = 7 * 112
static_assert(kForwardUnits * kStageInputs % kThreads == 0 &&
              kStageImages * kStageInputs % kThreads == 0 &&
              kStageImages * kUpdateUnits % kThreads == 0);
// Loads of four values, from different banks in lanes that read eight rows.
constexpr int kInputPitch = kStageInputs + 4;

struct PerceptronTraining {
  float *hidden, *hidden_grad;  // [batch][n_hidden]
  float* output_grad;           // [batch][kClassPitch]
  float* loss;                  // [batch]

  PerceptronTraining(Workspace& workspace, const Mlp& mlp, const Epoch& epoch) {
    const std::int64_t batch = epoch.batch_size;
    hidden = workspace.take<float>(batch * mlp.parameters.n_hidden);
    hidden_grad = workspace.take<float>(batch * mlp.parameters.n_hidden);
    output_grad = workspace.take<float>(batch * kClassPitch);
    loss = workspace.take<float>(batch);
  }
};

// Inputs first ... first + 111 of images first_image ... + 31 of the batch: x [32][kInputPitch],
// zero beyond the batch and the inputs. All of a thread's are on their way at once.
template <class Input>
__device__ void load_inputs(const Batch& batch, int first_image, int first, float* x) {
#pragma unroll
  for (int turn = 0; turn < kStageImages * kStageInputs / kThreads; ++turn) {
    const int i = static_cast<int>(threadIdx.x) + turn * kThreads;
    const int image = first_image + i / kStageInputs, k = first + i % kStageInputs;
    x[i / kStageInputs * kInputPitch + i % kStageInputs] =
        image < batch.n && k < Input::n ? Input::value(batch.image(image), k) : 0.0f;
  }
}

// hidden [batch][n_hidden], after the activation. Block (x, y): images 32 x ..., units 16 y ...
template <class Input>
__global__ void __launch_bounds__(kThreads)
    perceptron_hidden(Act act, MlpParameters p, Batch batch, PerceptronTraining w) {
  alignas(16) __shared__ float x[kStageImages * kInputPitch];
  alignas(16) __shared__ float weight[kForwardUnits * kInputPitch];
  const int first_image = static_cast<int>(blockIdx.x) * kStageImages;
  const int first_unit = static_cast<int>(blockIdx.y) * kForwardUnits;
  // A thread takes two images, 16 apart.
  const int unit = threadIdx.x % kForwardUnits, image = threadIdx.x / kForwardUnits;
  static_assert(kThreads == kForwardUnits * kStageImages / 2);
  float sum[2] = {};
  for (int first = 0; first < Input::n; first += kStageInputs) {
    load_inputs<Input>(batch, first_image, first, x);
#pragma unroll
    for (int turn = 0; turn < kForwardUnits * kStageInputs / kThreads; ++turn) {
      const int i = static_cast<int>(threadIdx.x) + turn * kThreads;
      const int h = first_unit + i / kStageInputs, k = first + i % kStageInputs;
      weight[i / kStageInputs * kInputPitch + i % kStageInputs] =
          h < p.n_hidden && k < Input::n ? p.hidden.weight[std::int64_t{h} * Input::n + k] : 0.0f;
    }
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < kStageInputs; k += 4) {
      float v[4];
      load4_to(weight + unit * kInputPitch + k, v);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float in[4];
        load4_to(x + (image + i * kStageImages / 2) * kInputPitch + k, in);
#pragma unroll
        for (int m = 0; m < 4; ++m) sum[i] = fmaf(v[m], in[m], sum[i]);
      }
    }
    __syncthreads();
  }
  const int h = first_unit + unit;
  if (h >= p.n_hidden) return;
  for (int i = 0; i < 2; ++i) {
    const int n = first_image + image + i * kStageImages / 2;
    if (n < batch.n)
      w.hidden[static_cast<std::int64_t>(n) * p.n_hidden + h] =
          act.value(sum[i] + p.hidden.bias[h]);
  }
}

// Block x: the output layer of one image, forward and backward.
__global__ void __launch_bounds__(kThreads)
    perceptron_output(Act act, MlpParameters p, Batch batch, PerceptronTraining w) {
  __shared__ float logits[kClasses], grad[kClassPitch];
  const int n = static_cast<int>(blockIdx.x);
  const int label = batch.label(n);
  const float* const hidden = w.hidden + static_cast<std::int64_t>(n) * p.n_hidden;
  dense_forward(Linear{}, p.output, hidden, p.n_hidden, kClasses, logits);
  __syncthreads();
  if (threadIdx.x < kClassPitch) {
    const float loss = cross_entropy(logits, label, batch.scale, grad);
    if (threadIdx.x == 0) w.loss[n] = loss;
  }
  __syncthreads();
  dense_backward(act, p.output, grad, hidden, p.n_hidden, kClasses,
                 w.hidden_grad + static_cast<std::int64_t>(n) * p.n_hidden);
  if (threadIdx.x < kClassPitch) w.output_grad[n * kClassPitch + threadIdx.x] = grad[threadIdx.x];
}

// The hidden layer's update for units first_unit ..., inputs first ...; the block with the first
// inputs also updates the biases. A thread takes two units, 16 apart, and seven inputs, 16 apart.
template <class Input>
__device__ void update_hidden(const MlpParameters& p, const Batch& batch,
                              const PerceptronTraining& w, int first_unit, int first) {
  constexpr int lanes = 16, n_inputs = kStageInputs / lanes, n_units = kUpdateUnits / lanes;
  static_assert(lanes * lanes == kThreads);
  __shared__ float x[kStageImages * kInputPitch];
  __shared__ float grad[kStageImages * kUpdateUnits];
  const int lane = threadIdx.x % lanes, unit = threadIdx.x / lanes;
  float sum[n_units][n_inputs] = {}, bias_sum[n_units] = {};
  for (int image = 0; image < batch.n; image += kStageImages) {
    load_inputs<Input>(batch, image, first, x);
#pragma unroll
    for (int turn = 0; turn < kStageImages * kUpdateUnits / kThreads; ++turn) {
      const int i = static_cast<int>(threadIdx.x) + turn * kThreads;
      const int n = image + i / kUpdateUnits, h = first_unit + i % kUpdateUnits;
      grad[i] = n < batch.n && h < p.n_hidden
                    ? w.hidden_grad[static_cast<std::int64_t>(n) * p.n_hidden + h]
                    : 0.0f;
    }
    __syncthreads();
#pragma unroll 2
    for (int n = 0; n < kStageImages; ++n)
#pragma unroll
      for (int j = 0; j < n_units; ++j) {
        const float g = grad[n * kUpdateUnits + unit + j * lanes];
        bias_sum[j] += g;
#pragma unroll
        for (int i = 0; i < n_inputs; ++i)
          sum[j][i] = fmaf(g, x[n * kInputPitch + lane + i * lanes], sum[j][i]);
      }
    __syncthreads();
  }
#pragma unroll
  for (int j = 0; j < n_units; ++j) {
    const int h = first_unit + unit + j * lanes;
    if (h >= p.n_hidden) continue;
#pragma unroll
    for (int i = 0; i < n_inputs; ++i) {
      const int k = first + lane + i * lanes;
      if (k < Input::n) updated(p.hidden.weight)[std::int64_t{h} * Input::n + k] -= sum[j][i];
    }
    if (first == 0 && lane == 0) updated(p.hidden.bias)[h] -= bias_sum[j];
  }
}

// Block (x, y): for y < input_blocks the hidden layer; in the row of blocks after these the output
// layer, a block for each tile of its parameters, and in the row's last block the mean loss.
template <class Input>
__global__ void __launch_bounds__(kThreads)
    perceptron_update(MlpParameters p, Batch batch, PerceptronTraining w) {
  constexpr int input_blocks = divide_up(Input::n, kStageInputs);
  const int x = static_cast<int>(blockIdx.x), y = static_cast<int>(blockIdx.y);
  if (y < input_blocks) {
    if (x * kUpdateUnits < p.n_hidden)
      update_hidden<Input>(p, batch, w, x * kUpdateUnits, y * kStageInputs);
  } else if (blockIdx.x == gridDim.x - 1) {
    mean_loss(w.loss, batch.n, batch.loss);
  } else if (x < n_dense_tiles(kClasses, p.n_hidden)) {
    update_dense(p.output, x, w.output_grad, kClasses, w.hidden, p.n_hidden, batch.n);
  }
}

template <class Input>
void train_perceptron(const Mlp& mlp, const Epoch& epoch, const PerceptronTraining& w,
                      cudaStream_t stream) {
  const MlpParameters& parameters = mlp.parameters;
  const Act act = {mlp.activation};
  const unsigned update_blocks =
      static_cast<unsigned>(larger(divide_up(parameters.n_hidden, kUpdateUnits),
                                   n_dense_tiles(kClasses, parameters.n_hidden) + 1));
  for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
    const Batch batch(epoch, step);
    launch(Input::op, perceptron_hidden<Input>,
           dim3(blocks_for(batch.n, kStageImages), blocks_for(parameters.n_hidden, kForwardUnits)),
           0, stream, act, parameters, batch, w);
    launch(Input::op, perceptron_output, static_cast<unsigned>(batch.n), 0, stream, act, parameters,
           batch, w);
    launch(Input::op, perceptron_update<Input>,
           dim3(update_blocks, static_cast<unsigned>(divide_up(Input::n, kStageInputs) + 1)), 0,
           stream, parameters, batch, w);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
