// One epoch of SGD on LeNet-5 or symmetric LeNet-5.
//
// The algorithm, for each step:
//   for each image of the batch, forward and backward:
//     image [32, 32] (28 x 28 in a border of zeros)
//     C1 [6, 28, 28] -> S2 [6, 14, 14] -> C3 [16, 10, 10] -> S4 [16, 5, 5] = [400]
//     -> C5 [120] -> F6 [84] -> logits [10] -> cross-entropy
//   parameter -= learning_rate * its gradient, averaged over the batch
//
// The schedule, for each step, on every thread:
//   stage 1: for each slot of the thread
//     for each lane group of the slot      16 images in the lanes (AVX-512)
//       forward and backward               activations are overwritten by their gradients
//       C1's and C3's weight gradients are added to the slot; for the other layers' update, their
//       inputs are kept as rows and their output gradients as lanes
//   barrier
//   stage 2: the thread's share of the weights is updated
//   barrier
//
// The number of slots depends only on the batch size, and every sum runs in a fixed order, so the
// number of threads changes no bit. The convolutions, in the form F(5, 5), take half of a step, the
// dense layers a quarter, tanh a tenth: it is bound by multiply-adds.
#pragma once

#include "cpu/conv/conv5x5_backward.h"
#include "cpu/images/ink.h"
#include "cpu/math/activation.h"
#include "cpu/math/dense.h"
#include "cpu/math/sgd.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"
#include "host/stop.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kPadded = kImageSize + kTaps - 1;  // an image's side with C1's padding
constexpr int kC1Size = kMaps1 * kPixels, kS2Size = kMaps1 * kS2Side * kS2Side;
constexpr int kC3Size = kMaps3 * kC3Side * kC3Side, kS4Size = kMaps3 * kS4Pixels;
// Each lane group adds 2,700 or 4,100 vectors to its slot: more slots would cost more memory
// traffic than more threads could gain.
constexpr int kMaxSlots = 32;

struct LenetShape {
  // A slot's layout: C1's weight points and bias, C3's weight points and bias.
  static constexpr int c1_bias = kMaps1 * kTaps * kPoints, c3_weight = c1_bias + kMaps1;
  int c3_bias, n_grads;

  std::int64_t c1_table[kMaps1], c3_table[kMaps3];
  explicit LenetShape(C3Table table) {
    for (int o = 0; o < kMaps1; ++o) c1_table[o] = 1;
    for (int o = 0; o < kMaps3; ++o)
      c3_table[o] = table == C3Table::sparse ? SparseC3::table[o] : DenseC3::table[o];
    c3_bias = c3_weight + c3().n_weight_points();
    n_grads = c3_bias + kMaps3;
  }
  Conv5x5 c1() const { return {c1_table, 1, kMaps1, kPadded, kPadded}; }
  Conv5x5 c3() const { return {c3_table, kMaps1, kMaps3, kS2Side, kS2Side}; }
};

// A thread's memory, for one lane group.
struct LenetThreadMemory {
  vec *image, *c1, *s2, *c3, *s4, *c5, *f6, *s2_grad, *s4_grad;
  float *c1_points, *c3_points;  // of the weights
  ConvScratch<float> c1_scratch, c3_scratch;

  LenetThreadMemory(Workspace& workspace, const LenetShape& shape)
      : image(workspace.take<vec>(kPadded * kPadded)),
        c1(workspace.take<vec>(kC1Size)),
        s2(workspace.take<vec>(kS2Size)),
        c3(workspace.take<vec>(kC3Size)),
        s4(workspace.take<vec>(kS4Size)),
        c5(workspace.take<vec>(dense_stride(kC5Units))),
        f6(workspace.take<vec>(dense_stride(kF6Units))),
        s2_grad(workspace.take<vec>(kS2Size)),
        s4_grad(workspace.take<vec>(kS4Size)),
        c1_points(workspace.take<float>(shape.c1().n_weight_points())),
        c3_points(workspace.take<float>(shape.c3().n_weight_points())),
        c1_scratch(workspace, shape.c1()),
        c3_scratch(workspace, shape.c3()) {}
};

// The memory of a batch, for all lane groups.
struct LenetMemory {
  LenetShape shape;
  int n_slots;
  vec* slots;                            // [n_slots, n_grads]
  vec *c5_grad, *f6_grad, *output_grad;  // [lane groups, 120 | 84 | 10]
  float *s4_rows, *c5_rows, *f6_rows;    // [lane groups * lanes, 400 | 120 | 84 padded]
  double* loss;                          // [lane groups]
  ThreadParts<LenetThreadMemory, LenetShape> threads;

  LenetMemory(Workspace& workspace, const Lenet5& model, const Epoch& epoch, int n_threads)
      : LenetMemory(workspace, model, divide_up(epoch.batch_size, kLanes), n_threads) {}

 private:
  LenetMemory(Workspace& workspace, const Lenet5& model, std::int64_t n_groups, int n_threads)
      : shape(model.table),
        n_slots(n_groups < kMaxSlots ? static_cast<int>(n_groups) : kMaxSlots),
        slots(workspace.take<vec>(static_cast<std::int64_t>(n_slots) * shape.n_grads)),
        c5_grad(workspace.take<vec>(n_groups * kC5Units)),
        f6_grad(workspace.take<vec>(n_groups * kF6Units)),
        output_grad(workspace.take<vec>(n_groups * kClasses)),
        s4_rows(workspace.take<float>(n_groups * kLanes * dense_stride(kS4Size))),
        c5_rows(workspace.take<float>(n_groups * kLanes * dense_stride(kC5Units))),
        f6_rows(workspace.take<float>(n_groups * kLanes * dense_stride(kF6Units))),
        loss(workspace.take<double>(n_groups)),
        threads(workspace, shape, n_threads) {}
};

// Puts a lane group's images side by side in the lanes, inside the border, as pixel / 255.
inline void load_images(const Epoch& epoch, std::int64_t first, int n_images, vec* padded) {
  const std::uint8_t* images[kLanes];
  for (int lane = 0; lane < n_images; ++lane) images[lane] = image_of(epoch, first + lane);
  pixels_to_lanes(images, n_images, 1.0f / 255.0f, [&](int i) -> vec& {
    return padded[(i / kImageSize + 2) * kPadded + i % kImageSize + 2];
  });
}

// Activation of maps [n_maps, 2 n, 2 n] in place, and 2 x 2 average pooling to [n_maps, n, n].
inline void activate_and_pool(Activation activation, vec* maps, int n_maps, int n, vec* pooled) {
  for (int row = 0; row < n_maps * n; ++row, maps += 4 * n)
    for (int x = 0; x < n; ++x) {
      vec* const above = maps + 2 * x;
      vec* const below = above + 2 * n;
      const vec a = activate(activation, above[0]), b = activate(activation, above[1]);
      const vec c = activate(activation, below[0]), d = activate(activation, below[1]);
      above[0] = a, above[1] = b, below[0] = c, below[1] = d;
      *pooled++ = (a + b + c + d) * 0.25f;
    }
}

// Its gradient: overwrites the activations with the gradient before the activation.
inline void unpool(Activation activation, const vec* pooled_grad, int n_maps, int n, vec* maps) {
  for (int row = 0; row < n_maps * n; ++row, maps += 4 * n)
    for (int x = 0; x < n; ++x) {
      vec* const above = maps + 2 * x;
      vec* const below = above + 2 * n;
      const vec grad = *pooled_grad++ * 0.25f;
      const vec a = grad * slope(activation, above[0]), b = grad * slope(activation, above[1]);
      const vec c = grad * slope(activation, below[0]), d = grad * slope(activation, below[1]);
      above[0] = a, above[1] = b, below[0] = c, below[1] = d;
    }
}

inline void multiply_by_slope(Activation activation, vec* grad, const vec* values, int n) {
  for (int i = 0; i < n; ++i) grad[i] *= slope(activation, values[i]);
}

// Stage 1 for one lane group.
inline void forward_and_backward(const Lenet5& model, const Epoch& epoch, const Batch& batch,
                                 int group, vec* slot, const LenetMemory& batch_memory,
                                 const LenetThreadMemory& w) {
  const Activation activation = model.activation;
  const Lenet5Parameters& p = model.parameters;
  const LenetShape& shape = batch_memory.shape;
  const LaneGroup lanes(epoch, batch, group);
  const int first = group * kLanes;

  load_images(epoch, batch.first + first, lanes.n_images, w.image);
  conv5x5_forward<float>(shape.c1(), w.image, w.c1_points, p.c1.bias, w.c1_scratch, w.c1);
  activate_and_pool(activation, w.c1, kMaps1, kS2Side, w.s2);
  conv5x5_forward<float>(shape.c3(), w.s2, w.c3_points, p.c3.bias, w.c3_scratch, w.c3);
  activate_and_pool(activation, w.c3, kMaps3, kS4Side, w.s4);
  dense_forward<kS4Size, kC5Units>(p.c5.weight, p.c5.bias, w.s4, w.c5);
  activate(activation, w.c5, kC5Units);
  dense_forward<kC5Units, kF6Units>(p.f6.weight, p.f6.bias, w.c5, w.f6);
  activate(activation, w.f6, kF6Units);
  vec logits[kClasses];
  dense_forward<kF6Units, kClasses>(p.output.weight, p.output.bias, w.f6, logits);

  vec* const output_grad = batch_memory.output_grad + group * kClasses;
  vec* const f6_grad = batch_memory.f6_grad + group * kF6Units;
  vec* const c5_grad = batch_memory.c5_grad + group * kC5Units;
  batch_memory.loss[group] =
      cross_entropy(logits, lanes.label, lanes.scale, lanes.n_images, output_grad);
  dense_grad_input<kF6Units, kClasses>(p.output.weight, output_grad, f6_grad);
  multiply_by_slope(activation, f6_grad, w.f6, kF6Units);
  dense_grad_input<kC5Units, kF6Units>(p.f6.weight, f6_grad, c5_grad);
  multiply_by_slope(activation, c5_grad, w.c5, kC5Units);
  dense_grad_input<kS4Size, kC5Units>(p.c5.weight, c5_grad, w.s4_grad);
  unpool(activation, w.s4_grad, kMaps3, kS4Side, w.c3);
  conv5x5_backward<float>(shape.c3(), w.c3, w.s2, w.c3_points, w.c3_scratch,
                          {slot + shape.c3_weight, slot + shape.c3_bias, w.s2_grad});
  unpool(activation, w.s2_grad, kMaps1, kS2Side, w.c1);
  conv5x5_backward<float>(shape.c1(), w.c1, w.image, w.c1_points, w.c1_scratch,
                          {slot, slot + shape.c1_bias, nullptr});

  const auto to_rows = [&](const vec* values, int n, float* rows) {
    lanes_to_rows<float>(values, rows + first * static_cast<std::int64_t>(n), n, kLanes, n);
  };
  to_rows(w.s4, dense_stride(kS4Size), batch_memory.s4_rows);
  to_rows(w.c5, dense_stride(kC5Units), batch_memory.c5_rows);
  to_rows(w.f6, dense_stride(kF6Units), batch_memory.f6_rows);
}

// Stage 2 for one thread's share of the weights.
inline void update(const Lenet5Parameters& p, const Batch& batch, const LenetMemory& w, int thread,
                   int n_threads) {
  const LenetShape& shape = w.shape;
  const auto sum_of_slots = [&](int i) {
    vec sum = w.slots[i];
    for (int slot = 1; slot < w.n_slots; ++slot) sum += w.slots[slot * shape.n_grads + i];
    return sum;
  };
  const auto update_conv = [&](const Conv5x5& conv, const Layer& layer, int first) {
    float* const weight = updated(layer.weight);
    const Share rows = share_of(conv.n_connections() * kTaps, thread, n_threads);
    for (int row = static_cast<int>(rows.first); row < rows.stop; ++row)
      conv5x5_sum_taps<float>([&](int p) { return sum_of_slots(first + row * kPoints + p); },
                              [&](int v, float sum) { weight[row * kTaps + v] -= sum; });
    const Share maps = share_of(conv.n_outputs, thread, n_threads);
    for (int o = static_cast<int>(maps.first); o < maps.stop; ++o)
      updated(layer.bias)[o] -=
          sum_of_lanes<float>(sum_of_slots(first + conv.n_weight_points() + o));
  };
  update_conv(shape.c1(), p.c1, 0);
  update_conv(shape.c3(), p.c3, LenetShape::c3_weight);
  const auto update_layer = [&](const Layer& layer, auto n_in, auto n_out, const vec* grad,
                                const float* x) {
    constexpr int in = decltype(n_in)::value, out = decltype(n_out)::value;
    const Share blocks = share_of(kUpdateBlocks<out>, thread, n_threads);
    dense_update<in, out>(updated(layer.weight), updated(layer.bias),
                          static_cast<int>(blocks.first), static_cast<int>(blocks.stop), grad, x,
                          batch.n_images);
  };
  update_layer(p.c5, Constant<kS4Size>{}, Constant<kC5Units>{}, w.c5_grad, w.s4_rows);
  update_layer(p.f6, Constant<kC5Units>{}, Constant<kF6Units>{}, w.f6_grad, w.c5_rows);
  update_layer(p.output, Constant<kF6Units>{}, Constant<kClasses>{}, w.output_grad, w.f6_rows);
}

inline bool train(const Lenet5& model, const Epoch& epoch, const LenetMemory& memory,
                  Execution execution) {
  const LenetShape& shape = memory.shape;
  const int n_threads = execution.n_threads;
  Barrier barrier(n_threads);
  StopSign stop;
  run_on_threads(n_threads, [&](int thread) {
    const LenetThreadMemory w = memory.threads.of(thread);
    // The border, and lanes and rows that are only padding, are written once: they must not be NaN.
    for (int i = 0; i < kPadded * kPadded; ++i) w.image[i] = vec{};
    for (int i = kC5Units; i < dense_stride(kC5Units); ++i) w.c5[i] = vec{};
    for (int i = kF6Units; i < dense_stride(kF6Units); ++i) w.f6[i] = vec{};
    const Share slots = share_of(memory.n_slots, thread, n_threads);
    for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
      const Batch batch = batch_of(epoch, step);
      const int n_groups = divide_up(batch.n_images, kLanes);
      if (thread == 0) stop.ask(execution, step);
      if (step + 1 < n_steps(epoch)) {
        const Batch next = batch_of(epoch, step + 1);
        const Share images = share_of(next.n_images, thread, n_threads);
        prefetch_images(epoch, next.first + images.first, next.first + images.stop, 0, kPixels);
      }
      conv5x5_pack(shape.c1(), model.parameters.c1.weight, w.c1_points);
      conv5x5_pack(shape.c3(), model.parameters.c3.weight, w.c3_points);
      for (std::int64_t s = slots.first; s < slots.stop; ++s) {
        vec* const slot = memory.slots + s * shape.n_grads;
        for (int i = 0; i < shape.n_grads; ++i) slot[i] = vec{};
        for (int group = static_cast<int>(s); group < n_groups; group += memory.n_slots)
          forward_and_backward(model, epoch, batch, group, slot, memory, w);
      }
      barrier.wait();
      if (stop.stops_at(step)) return;
      update(model.parameters, batch, memory, thread, n_threads);
      if (thread == 0) {
        double sum = 0;
        for (int group = 0; group < n_groups; ++group) sum += memory.loss[group];
        epoch.losses[step] = static_cast<float>(sum / batch.n_images);
      }
      barrier.wait();
    }
  });
  return !stop.raised();
}

constexpr auto train_epoch_lenet5 = fused_kernel<train>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
