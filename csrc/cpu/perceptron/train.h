// One epoch of SGD on a perceptron with one hidden layer: the part that the MLP and the pooled MLP
// share. The algorithm, for each batch of the epoch, x [images, inputs]:
//
//   hidden = act(hidden bias + hidden weight x)
//   logits = output bias + output weight hidden
//   loss = mean over images of cross_entropy(logits, label)
//   parameter -= learning_rate * (gradient of loss), for each of the four
//
// The schedule, hidden units in the lanes. They are cut into strips of kStripVectors vectors; a
// thread owns whole strips, with all their weights, for the whole epoch. So a step needs one
// barrier, where the threads exchange each strip's part of the logits:
//
//   own strips: parameters -> workspace
//   steps
//     own strips: hidden, its part of the logits
//     own share of the next batch: prepare the inputs, prefetch those of the batch after
//     barrier
//     softmax and loss of the whole batch, by every thread, strips' parts in fixed order
//     own strips: gradient of hidden, update of both layers
//   own strips: workspace -> parameters
//
// In the workspace the hidden layer's weight is transposed, [strip][input][unit]; missing units of
// the last strip have weights 0, and keep them. A strip of hidden for 64 images fits into the L1
// cache together with the weights. A step is bound by the multiply-adds of both layers and, with
// few hidden units for each thread, by the barrier and the softmax that every thread repeats.
//
// `Input`, a template parameter, turns the images into inputs:
//   n_in                               inputs
//   Input(Workspace&, batch_size)      its memory
//   prepare(epoch, batch, buffer, thread, n_threads)
//                                      a thread's share of the inputs of a batch, into one of three
//                                      buffers: one thread may still read the previous step's while
//                                      another prepares the next step's
//   prefetch(epoch, batch, thread, n_threads)            the images that prepare will read
//   forward(buffer, n_images, weight, bias, hidden)      before the activation, one strip
//   update(buffer, n_images, hidden_grad, weight)        weight -= hidden_grad^T input, one strip
#pragma once

#include "cpu/math/activation.h"
#include "cpu/math/sgd.h"
#include "cpu/perceptron/strips.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"
#include "host/stop.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace perceptron {

// partial[b][o] = sum over the strip's units j of hidden[b][j] * out_columns[j][o].
inline void partial_logits(const vec* hidden, const float* out_columns, int n_images,
                           float* partial) {
  constexpr int kImages = kRegisters / 2 / kOutVecs;  // share each load of a column
  for_blocks<kImages>(n_images, [&](int b, auto size) {
    constexpr int n = decltype(size)::value;
    const float* const h = reinterpret_cast<const float*>(hidden + b * kStripVectors);
    vec sum[n][kOutVecs] = {};
    for (int j = 0; j < kStrip; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < kOutVecs; ++v) {
        const vec column = load(out_columns + j * kOutLanes + v * kLanes);
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) sum[i][v] += h[i * kStrip + j] * column;
      }
    for (int i = 0; i < n; ++i)
      for (int v = 0; v < kOutVecs; ++v)
        store(partial + (b + i) * kOutLanes + v * kLanes, sum[i][v]);
  });
}

// Logits of the whole batch from the strips' parts, partial [n_strips, n_rows, kOutLanes], their
// loss (the sum, not the mean) and its gradient into own.logits_grad; updates the thread's copy of
// the output's bias.
inline double softmax_of_batch(const Epoch& epoch, const Batch& batch, const float* partial,
                               std::int64_t n_strips, std::int64_t n_rows,
                               const OutputMemory& own) {
  double loss = 0;
  vec bias_grad[kOutLanes] = {};
  for (int group = 0; group * kLanes < batch.n_images; ++group) {
    const LaneGroup lanes(epoch, batch, group);
    float rows[kLanes * kOutLanes];
    for (int i = 0; i < lanes.n_images; ++i)
      for (int v = 0; v < kOutVecs; ++v) {
        vec sum = load(own.bias + v * kLanes);
        for (std::int64_t strip = 0; strip < n_strips; ++strip)
          sum += load(partial + (strip * n_rows + group * kLanes + i) * kOutLanes + v * kLanes);
        store(rows + i * kOutLanes + v * kLanes, sum);
      }
    vec logits[kOutLanes] = {}, grad[kOutLanes] = {};
    rows_to_lanes<float>(rows, kOutLanes, lanes.n_images, kOutLanes, logits);
    loss += cross_entropy(logits, lanes.label, lanes.scale, lanes.n_images, grad);
    for (int o = 0; o < kClasses; ++o) bias_grad[o] += grad[o];
    lanes_to_rows<float>(grad, own.logits_grad + group * kLanes * kOutLanes, kOutLanes, kLanes,
                         kOutLanes);
  }
  for (int o = 0; o < kClasses; ++o) own.bias[o] -= sum_of_lanes<float>(bias_grad[o]);
  return loss;
}

// One strip: hidden becomes the gradient before the activation; output weight and hidden bias are
// updated.
inline void output_backward(Activation activation, const float* logits_grad, int n_images,
                            const Strip& strip) {
  for (int v = 0; v < kStripVectors; ++v) {
    vec weight[kClasses], weight_grad[kClasses] = {}, bias_grad = {};
    for (int o = 0; o < kClasses; ++o) weight[o] = strip.out_weight[o * kStripVectors + v];
    for (int b = 0; b < n_images; ++b) {
      const float* const grad = logits_grad + b * kOutLanes;
      vec& h = strip.hidden[b * kStripVectors + v];
      vec sum = {};
#pragma GCC unroll 10
      for (int o = 0; o < kClasses; ++o) {
        const vec g = broadcast(grad[o]);
        sum += g * weight[o];
        weight_grad[o] += g * h;
      }
      sum *= slope(activation, h);
      bias_grad += sum;
      h = sum;
    }
    for (int o = 0; o < kClasses; ++o)
      strip.out_weight[o * kStripVectors + v] = weight[o] - weight_grad[o];
    strip.bias[v] -= bias_grad;
  }
}

template <class Input>
bool train(const Mlp& model, const Epoch& epoch, const Memory<Input>& memory, Execution execution) {
  const Activation activation = model.activation;
  const MlpParameters& parameters = model.parameters;
  const int n_threads = execution.n_threads;
  Barrier barrier(n_threads);
  StopSign stop;
  run_on_threads(n_threads, [&](int thread) {
    const OutputMemory own = memory.threads.of(thread);
    const Share strips = share_of(memory.n_strips, thread, n_threads);
    for (std::int64_t k = strips.first; k < strips.stop; ++k) load_strip(parameters, k, memory);
    for (int o = 0; o < kOutLanes; ++o)
      own.bias[o] = o < kClasses ? parameters.output.bias[o] : 0.0f;
    const auto prepare = [&](std::int64_t step) {
      if (step < n_steps(epoch))
        memory.input.prepare(epoch, batch_of(epoch, step), static_cast<int>(step % kBuffers),
                             thread, n_threads);
      if (step + 1 < n_steps(epoch))
        memory.input.prefetch(epoch, batch_of(epoch, step + 1), thread, n_threads);
    };
    prepare(0);
    barrier.wait();
    for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
      const Batch batch = batch_of(epoch, step);
      const int buffer = static_cast<int>(step % kBuffers);
      float* const partial = memory.partial_of(step);
      if (thread == 0) stop.ask(execution, step);
      for (std::int64_t k = strips.first; k < strips.stop; ++k) {
        const Strip strip = memory.strip(k);
        memory.input.forward(buffer, batch.n_images, strip.weight, strip.bias, strip.hidden);
        activate(activation, strip.hidden, batch.n_images * kStripVectors);
        partial_logits(strip.hidden, strip.out_columns, batch.n_images,
                       partial + k * memory.n_rows * kOutLanes);
      }
      prepare(step + 1);
      barrier.wait();
      if (stop.stops_at(step)) break;
      const double loss =
          softmax_of_batch(epoch, batch, partial, memory.n_strips, memory.n_rows, own);
      if (thread == 0) epoch.losses[step] = static_cast<float>(loss / batch.n_images);
      for (std::int64_t k = strips.first; k < strips.stop; ++k) {
        const Strip strip = memory.strip(k);
        output_backward(activation, own.logits_grad, batch.n_images, strip);
        transpose_out_weight(strip.out_weight, strip.out_columns);
        memory.input.update(buffer, batch.n_images, strip.hidden, strip.weight);
      }
    }
    for (std::int64_t k = strips.first; k < strips.stop; ++k) store_strip(parameters, k, memory);
    if (thread == 0)
      for (int o = 0; o < kClasses; ++o) updated(parameters.output.bias)[o] = own.bias[o];
  });
  return !stop.raised();
}

}  // namespace perceptron
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
