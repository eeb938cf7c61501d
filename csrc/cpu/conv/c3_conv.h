// The c3_conv op: cpu/conv/conv5x5.h between two changes of layout, [N, maps, y, x] <-> images in the lanes.
#pragma once

#include "cpu/conv/conv5x5_backward.h"
#include "cpu/conv/not_finite.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

inline Conv5x5 conv_of(const C3Shape& s) {
  return {s.table, s.n_inputs, s.n_outputs, s.height, s.width};
}

template <class T>
std::int64_t lane_groups(const C3Shape& s) {
  return (s.n_images + kLanesOf<T> - 1) / kLanesOf<T>;
}

// Weight gradients are summed in slots, lane group g in slot g % n_slots. Their number depends on
// the images alone, so that the order of every sum, and so the result to the last bit, is the same
// for any thread count.
template <class T>
int slots_of(const C3Shape& s) {
  constexpr int kMaxSlots = 8;
  const std::int64_t n_groups = lane_groups<T>(s);
  return n_groups < 1 ? 1 : n_groups < kMaxSlots ? static_cast<int>(n_groups) : kMaxSlots;
}

// A thread's memory, for one lane group.
template <class T>
struct C3ThreadMemory {
  Vec<T>* input;       // [n_inputs, height, width]
  Vec<T>* output;      // [n_outputs, height-4, width-4]
  Vec<T>* grad_input;  // like input
  ConvScratch<T> scratch;

  C3ThreadMemory(Workspace& workspace, const Conv5x5& conv)
      : input(workspace.take<Vec<T>>(conv.input_size())),
        output(workspace.take<Vec<T>>(conv.output_size())),
        grad_input(workspace.take<Vec<T>>(conv.input_size())),
        scratch(workspace, conv) {}
};

template <class T>
struct C3Memory {
  int n_slots;
  std::int64_t n_grads;
  T* weight;            // the weights' points
  Vec<T>* grad_weight;  // [n_slots, n_grads]: of the weights' points and of the bias
  ThreadParts<C3ThreadMemory<T>, Conv5x5> threads;

  C3Memory(Workspace& workspace, const C3Shape& shape, const Conv5x5& conv, int n_threads)
      : n_slots(slots_of<T>(shape)),
        n_grads(conv.n_weight_points() + conv.n_outputs),
        weight(workspace.take<T>(conv.n_weight_points())),
        grad_weight(workspace.take<Vec<T>>(n_slots * n_grads)),
        threads(workspace, conv, n_threads) {}
};

inline std::int64_t c3_conv_workspace(const C3Shape& shape, int value_bytes, int n_threads) {
  return value_bytes == 4 ? bytes_of<C3Memory<float>>(shape, conv_of(shape), n_threads)
                          : bytes_of<C3Memory<double>>(shape, conv_of(shape), n_threads);
}

// Calls f(group, first image, images in it) for the lane groups of one thread.
template <class T, class F>
void for_lane_groups(const C3Shape& shape, std::int64_t first, std::int64_t stop,
                     std::int64_t step, F&& f) {
  for (std::int64_t g = first; g < stop; g += step) {
    const std::int64_t image = g * kLanesOf<T>, left = shape.n_images - image;
    f(image, static_cast<int>(left < kLanesOf<T> ? left : kLanesOf<T>));
  }
}

template <class T>
void c3_conv(const C3Shape& shape, const T* input, const T* weight, const T* bias, T* output,
             void* workspace, int n_threads) {
  const Conv5x5 conv = conv_of(shape);
  const int n_in = conv.input_size(), n_out = conv.output_size();
  Workspace parts(workspace);
  const C3Memory<T> memory(parts, shape, conv, n_threads);
  conv5x5_pack(conv, weight, memory.weight);
  run_on_threads(n_threads, [&](int thread) {
    const C3ThreadMemory<T> own = memory.threads.of(thread);
    const Share share = share_of(lane_groups<T>(shape), thread, n_threads);
    for_lane_groups<T>(shape, share.first, share.stop, 1, [&](std::int64_t image, int n_images) {
      rows_to_lanes<T>(input + image * n_in, n_in, n_images, n_in, own.input);
      const Vec<T> check =
          conv5x5_forward<T, true>(conv, own.input, memory.weight, bias, own.scratch, own.output);
      lanes_to_rows<T>(own.output, output + image * n_out, n_out, n_images, n_out);
      if (is_finite(sum_of_lanes<T>(check))) return;
      for (std::int64_t i = image; i < image + n_images; ++i)
        mend_output(shape, input + i * n_in, weight, bias, output + i * n_out);
    });
  });
}

template <class T>
void c3_conv_backward(const C3Shape& shape, const C3Backward<T>& g, void* workspace,
                      int n_threads) {
  const Conv5x5 conv = conv_of(shape);
  const int n_in = conv.input_size(), n_out = conv.output_size();
  const bool wants_weight = g.grad_weight != nullptr || g.grad_bias != nullptr;
  Workspace parts(workspace);
  const C3Memory<T> memory(parts, shape, conv, n_threads);
  conv5x5_pack(conv, g.weight, memory.weight);
  run_on_threads(n_threads, [&](int thread) {
    const C3ThreadMemory<T> own = memory.threads.of(thread);
    const Share slots = share_of(memory.n_slots, thread, n_threads);
    for (std::int64_t slot = slots.first; slot < slots.stop; ++slot) {
      Vec<T>* const grad_weight = memory.grad_weight + slot * memory.n_grads;
      Vec<T>* const grad_bias = grad_weight + conv.n_weight_points();
      for (std::int64_t i = 0; i < memory.n_grads; ++i) grad_weight[i] = Vec<T>{};
      for_lane_groups<T>(
          shape, slot, lane_groups<T>(shape), memory.n_slots,
          [&](std::int64_t image, int n_images) {
            rows_to_lanes<T>(g.grad_output + image * n_out, n_out, n_images, n_out, own.output);
            if (wants_weight)
              rows_to_lanes<T>(g.input + image * n_in, n_in, n_images, n_in, own.input);
            const Vec<T> check = conv5x5_backward<T, true>(
                conv, own.output, own.input, memory.weight, own.scratch,
                wants_weight ? grad_weight : nullptr, grad_bias,
                g.grad_input ? own.grad_input : nullptr);
            if (!g.grad_input) return;
            T* const grad_input = g.grad_input + image * n_in;
            lanes_to_rows<T>(own.grad_input, grad_input, n_in, n_images, n_in);
            if (is_finite(sum_of_lanes<T>(check))) return;
            for (int i = 0; i < n_images; ++i)
              mend_grad_input(shape, g.grad_output + (image + i) * n_out, g.weight,
                              grad_input + i * n_in);
          });
    }
  });
  if (!wants_weight) return;
  const auto sum_of_slots = [&](std::int64_t i) {
    Vec<T> sum = memory.grad_weight[i];
    for (int slot = 1; slot < memory.n_slots; ++slot)
      sum += memory.grad_weight[slot * memory.n_grads + i];
    return sum;
  };
  run_on_threads(n_threads, [&](int thread) {
    const Share rows = share_of(conv.n_connections() * kTaps, thread, n_threads);
    for (std::int64_t row = rows.first; g.grad_weight && row < rows.stop; ++row) {
      T* const taps = g.grad_weight + row * kTaps;
      bool finite = true;
      conv5x5_sum_taps<T>([&](int p) { return sum_of_slots(row * kPoints + p); },
                          [&](int v, T sum) { taps[v] = sum, finite &= is_finite(sum); });
      if (!finite) mend_grad_weight(shape, g.grad_output, g.input, row, taps);
    }
    const Share maps = share_of(conv.n_outputs, thread, n_threads);
    for (std::int64_t o = maps.first; g.grad_bias && o < maps.stop; ++o) {
      g.grad_bias[o] = sum_of_lanes<T>(sum_of_slots(conv.n_weight_points() + o));
      if (!is_finite(g.grad_bias[o]))
        g.grad_bias[o] = direct_grad_bias(shape, g.grad_output, static_cast<int>(o));
    }
  });
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
