// One epoch of SGD on a perceptron with one hidden layer, whatever its input: the part that the MLP
// and the pooled MLP share. The hidden units are cut into blocks of kBlockVecs vectors; a thread
// owns whole blocks, with all their weights, for the whole epoch. So a step needs one barrier,
// where the threads exchange each block's part of the logits:
//
//   forward        hidden = act(bias + weight x)        a block, lanes along the hidden units
//                  partial logits of the block
//   barrier
//   softmax        from the blocks' parts in fixed order; every thread does it for all images
//   backward       gradient of the hidden units, update of both layers: a block
//
// In the workspace the hidden layer's weight is transposed, [block][input][unit], so that lanes run
// along the hidden units; missing units of the last block have weights 0, and keep them.
//
// `Input`, a template parameter, knows how the images become inputs:
//   n_in                               inputs
//   Input(Arena&, batch_size)          its shared memory
//   prepare(epoch, batch, slot, thread, n_threads)
//                                      a thread's share of the inputs of a batch, into one of three
//                                      slots: one thread may still read the step before's while
//                                      another prepares the next step's
//   prefetch(epoch, batch, thread, n_threads)          the images that prepare will read
//   forward(slot, n_images, weight, bias, hidden)      before the activation, one block
//   update(slot, n_images, hidden_grad, weight)        weight -= hidden_grad^T input, one block
#pragma once

#include "cpu/math/activation.h"
#include "cpu/math/sgd.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/transpose.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Eight vectors of hidden units: a block of 64 images fits the first-level cache beside the
// weights, and two inputs' weights of a block are half of the registers.
constexpr int kBlockVecs = kRegisters / 4;
constexpr int kBlock = kBlockVecs * kLanes;
constexpr int kOutLanes = round_up(kClasses, kLanes);  // a row of logits
constexpr int kOutVecs = kOutLanes / kLanes;

template <class Input>
struct PerceptronWorkspace {
  std::int64_t n_blocks, n_rows;  // n_rows: images of a batch, in whole lane groups
  Arena arena;
  Input input;
  vec* weight;         // [n_blocks, n_in, kBlockVecs]
  vec* bias;           // [n_blocks, kBlockVecs]
  vec* out_weight;     // [n_blocks, kClasses, kBlockVecs]
  float* out_columns;  // [n_blocks, kBlock, kOutLanes], the same transposed
  vec* hidden;         // [n_blocks, n_rows, kBlockVecs]; gradients overwrite activations
  float* partial;      // [2, n_blocks, n_rows, kOutLanes], by the step's parity
  // Of a thread:
  float* logits_grad = nullptr;  // [n_rows, kOutLanes]
  float* out_bias = nullptr;     // [kOutLanes]

  PerceptronWorkspace(int n_hidden, int batch_size, int n_threads, void* start, int thread)
      : n_blocks(divide_up(n_hidden, kBlock)),
        n_rows(round_up(batch_size, kLanes)),
        arena(start),
        input(arena, batch_size) {
    weight = arena.take<vec>(n_blocks * Input::n_in * kBlockVecs);
    bias = arena.take<vec>(n_blocks * kBlockVecs);
    out_weight = arena.take<vec>(n_blocks * kClasses * kBlockVecs);
    out_columns = arena.take<float>(n_blocks * kBlock * kOutLanes);
    hidden = arena.take<vec>(n_blocks * n_rows * kBlockVecs);
    partial = arena.take<float>(2 * n_blocks * n_rows * kOutLanes);
    for (int t = 0; t < n_threads && t <= thread; ++t) {  // the last taken is the thread's own
      logits_grad = arena.take<float>(n_rows * kOutLanes);
      out_bias = arena.take<float>(kOutLanes);
    }
  }
};

// A block's hidden units as vectors: calls f(v, first unit, units in the vector, 0 ... kLanes).
template <class F>
inline void for_unit_vectors(std::int64_t block, int n_hidden, F&& f) {
  for (int v = 0; v < kBlockVecs; ++v) {
    const std::int64_t first = block * kBlock + v * kLanes, left = n_hidden - first;
    f(v, first, static_cast<int>(left < 0 ? 0 : left < kLanes ? left : kLanes));
  }
}

inline void transpose_out_weight(const vec* out_weight, float* out_columns) {
  for (int v = 0; v < kBlockVecs; ++v) {
    vec rows[kOutLanes] = {};
    for (int o = 0; o < kClasses; ++o) rows[o] = out_weight[o * kBlockVecs + v];
    // rows[o] is what rows_to_lanes calls lanes: unit j in lane j.
    lanes_to_rows<float>(rows, out_columns + v * kLanes * kOutLanes, kOutLanes, kLanes, kOutLanes);
  }
}

// Parameters -> workspace, one block.
template <class Input>
void load_block(const MlpParameters& p, std::int64_t block, const PerceptronWorkspace<Input>& w) {
  constexpr int n_in = Input::n_in;
  vec* const weight = w.weight + block * n_in * kBlockVecs;
  vec* const out_weight = w.out_weight + block * kClasses * kBlockVecs;
  for_unit_vectors(block, p.n_hidden, [&](int v, std::int64_t first, int n) {
    for (int k = 0; k < n_in; k += kLanes) {
      const int width = n_in - k < kLanes ? n_in - k : kLanes;
      vec lanes[kLanes];
      rows_to_lanes<float>(p.hidden.weight + first * n_in + k, n_in, n, width, lanes);
      for (int i = 0; i < width; ++i) weight[(k + i) * kBlockVecs + v] = lanes[i];
    }
    vec bias = {};
    __builtin_memcpy(&bias, p.hidden.bias + first, n * sizeof(float));
    w.bias[block * kBlockVecs + v] = bias;
    for (int o = 0; o < kClasses; ++o) {
      vec row = {};
      __builtin_memcpy(&row, p.output.weight + o * std::int64_t{p.n_hidden} + first,
                       n * sizeof(float));
      out_weight[o * kBlockVecs + v] = row;
    }
  });
  transpose_out_weight(out_weight, w.out_columns + block * kBlock * kOutLanes);
}

// Workspace -> parameters, one block.
template <class Input>
void store_block(const MlpParameters& p, std::int64_t block, const PerceptronWorkspace<Input>& w) {
  constexpr int n_in = Input::n_in;
  const vec* const weight = w.weight + block * n_in * kBlockVecs;
  const vec* const out_weight = w.out_weight + block * kClasses * kBlockVecs;
  for_unit_vectors(block, p.n_hidden, [&](int v, std::int64_t first, int n) {
    for (int k = 0; k < n_in; k += kLanes) {
      const int width = n_in - k < kLanes ? n_in - k : kLanes;
      vec lanes[kLanes];
      for (int i = 0; i < width; ++i) lanes[i] = weight[(k + i) * kBlockVecs + v];
      lanes_to_rows<float>(lanes, updated(p.hidden.weight) + first * n_in + k, n_in, n, width);
    }
    __builtin_memcpy(updated(p.hidden.bias) + first, &w.bias[block * kBlockVecs + v],
                     n * sizeof(float));
    for (int o = 0; o < kClasses; ++o)
      __builtin_memcpy(updated(p.output.weight) + o * std::int64_t{p.n_hidden} + first,
                       &out_weight[o * kBlockVecs + v], n * sizeof(float));
  });
}

// partial[b][o] = sum over the block's units j of hidden[b][j] * out_columns[j][o].
inline void partial_logits(const vec* hidden, const float* out_columns, int n_images,
                           float* partial) {
  constexpr int kImages = kRegisters / 2 / kOutVecs;  // share each load of a column
  for_blocks<kImages>(n_images, [&](int b, auto size) {
    constexpr int n = decltype(size)::value;
    const float* const h = reinterpret_cast<const float*>(hidden + b * kBlockVecs);
    vec sum[n][kOutVecs] = {};
    for (int j = 0; j < kBlock; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < kOutVecs; ++v) {
        const vec column = load(out_columns + j * kOutLanes + v * kLanes);
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) sum[i][v] += h[i * kBlock + j] * column;
      }
    for (int i = 0; i < n; ++i)
      for (int v = 0; v < kOutVecs; ++v)
        store(partial + (b + i) * kOutLanes + v * kLanes, sum[i][v]);
  });
}

// Logits of the whole batch from the blocks' parts, their loss (the sum, not the mean) and its
// gradient into w.logits_grad; updates the thread's copy of the output's bias.
template <class Input>
double softmax_of_batch(const Epoch& epoch, const Batch& batch, const float* partial,
                        const PerceptronWorkspace<Input>& w) {
  double loss = 0;
  vec bias_grad[kOutLanes] = {};
  for (int group = 0; group * kLanes < batch.n_images; ++group) {
    const LaneGroup lanes(epoch, batch, group);
    float rows[kLanes * kOutLanes];
    for (int i = 0; i < lanes.n_images; ++i)
      for (int v = 0; v < kOutVecs; ++v) {
        vec sum = load(w.out_bias + v * kLanes);
        for (std::int64_t block = 0; block < w.n_blocks; ++block)
          sum += load(partial + (block * w.n_rows + group * kLanes + i) * kOutLanes + v * kLanes);
        store(rows + i * kOutLanes + v * kLanes, sum);
      }
    vec logits[kOutLanes] = {}, grad[kOutLanes] = {};
    rows_to_lanes<float>(rows, kOutLanes, lanes.n_images, kOutLanes, logits);
    loss += cross_entropy(logits, lanes.label, lanes.scale, lanes.n_images, grad);
    for (int o = 0; o < kClasses; ++o) bias_grad[o] += grad[o];
    lanes_to_rows<float>(grad, w.logits_grad + group * kLanes * kOutLanes, kOutLanes, kLanes,
                         kOutLanes);
  }
  for (int o = 0; o < kClasses; ++o) w.out_bias[o] -= sum_of_lanes<float>(bias_grad[o]);
  return loss;
}

// One block: hidden becomes the gradient before the activation; output weight and hidden bias are
// updated.
void output_backward(Activation activation, const float* logits_grad, int n_images, vec* hidden,
                     vec* out_weight, vec* bias) {
  for (int v = 0; v < kBlockVecs; ++v) {
    vec weight[kClasses], weight_grad[kClasses] = {}, bias_grad = {};
    for (int o = 0; o < kClasses; ++o) weight[o] = out_weight[o * kBlockVecs + v];
    for (int b = 0; b < n_images; ++b) {
      const float* const grad = logits_grad + b * kOutLanes;
      vec& h = hidden[b * kBlockVecs + v];
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
    for (int o = 0; o < kClasses; ++o) out_weight[o * kBlockVecs + v] = weight[o] - weight_grad[o];
    bias[v] -= bias_grad;
  }
}

template <class Input>
bool train_perceptron(Activation activation, const MlpParameters& parameters, const Epoch& epoch,
                      void* workspace, Execution execution) {
  const int n_threads = execution.n_threads;
  Barrier barrier(n_threads);
  StopSign stop;
  run_on_threads(n_threads, [&](int thread) {
    PerceptronWorkspace<Input> w(parameters.n_hidden, epoch.batch_size, n_threads, workspace,
                                 thread);
    const Share blocks = share_of(w.n_blocks, thread, n_threads);
    for (std::int64_t k = blocks.first; k < blocks.stop; ++k) load_block(parameters, k, w);
    for (int o = 0; o < kOutLanes; ++o)
      w.out_bias[o] = o < kClasses ? parameters.output.bias[o] : 0.0f;
    const auto prepare = [&](std::int64_t step) {
      if (step < n_steps(epoch))
        w.input.prepare(epoch, batch_of(epoch, step), static_cast<int>(step % 3), thread,
                        n_threads);
      if (step + 1 < n_steps(epoch))
        w.input.prefetch(epoch, batch_of(epoch, step + 1), thread, n_threads);
    };
    prepare(0);
    barrier.wait();
    for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
      const Batch batch = batch_of(epoch, step);
      const int slot = static_cast<int>(step % 3);
      float* const partial = w.partial + step % 2 * w.n_blocks * w.n_rows * kOutLanes;
      if (thread == 0) stop.ask(execution, step);
      for (std::int64_t k = blocks.first; k < blocks.stop; ++k) {
        vec* const hidden = w.hidden + k * w.n_rows * kBlockVecs;
        w.input.forward(slot, batch.n_images, w.weight + k * Input::n_in * kBlockVecs,
                        w.bias + k * kBlockVecs, hidden);
        activate(activation, hidden, batch.n_images * kBlockVecs);
        partial_logits(hidden, w.out_columns + k * kBlock * kOutLanes, batch.n_images,
                       partial + k * w.n_rows * kOutLanes);
      }
      prepare(step + 1);
      barrier.wait();
      if (stop.stops_at(step)) break;
      const double loss = softmax_of_batch(epoch, batch, partial, w);
      if (thread == 0) epoch.losses[step] = static_cast<float>(loss / batch.n_images);
      for (std::int64_t k = blocks.first; k < blocks.stop; ++k) {
        vec* const hidden = w.hidden + k * w.n_rows * kBlockVecs;
        vec* const out_weight = w.out_weight + k * kClasses * kBlockVecs;
        output_backward(activation, w.logits_grad, batch.n_images, hidden, out_weight,
                             w.bias + k * kBlockVecs);
        transpose_out_weight(out_weight, w.out_columns + k * kBlock * kOutLanes);
        w.input.update(slot, batch.n_images, hidden, w.weight + k * Input::n_in * kBlockVecs);
      }
    }
    for (std::int64_t k = blocks.first; k < blocks.stop; ++k) store_block(parameters, k, w);
    if (thread == 0)
      for (int o = 0; o < kClasses; ++o) updated(parameters.output.bias)[o] = w.out_bias[o];
  });
  return !stop.raised();
}

template <class Input>
std::int64_t perceptron_workspace(int n_hidden, int batch_size, int n_threads) {
  return PerceptronWorkspace<Input>(n_hidden, batch_size, n_threads, nullptr, n_threads)
      .arena.bytes();
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
