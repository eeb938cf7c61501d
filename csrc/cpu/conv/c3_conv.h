// The c3_conv op, for any number of images of any size.
//
// The algorithm (kernels.h has the shapes):
//
//   output[n, o, y, x] = bias[o] + sum over connections (o, c), u, v of
//                        weight[connection, u, v] * input[n, c, y + u, x + v]
//   grad_weight[connection, u, v] = sum over n, y, x of
//                                   grad_output[n, o, y, x] * input[n, c, y + u, x + v]
//   grad_input: the first sum on grad_output in a frame of zeros, with the sources and targets of
//   the table exchanged and the taps turned by 180 degrees.
//
// The schedule (c3_plan.h chooses its sizes):
//
//   map groups of up to 62 output maps          whose weights fit into a cache
//     output: lane groups over the threads      a patch in each lane: patches.h
//       windows of the input to lanes
//       tiles, output maps, points, blocks of rows; then connections, rows, taps: conv5x5.h
//       lanes to patches of the output
//     grad_weight: slots over the threads       sums in an order that no thread changes
//       lane groups of the slot
//         patches of grad_output, windows of the input to lanes
//         a few tiles, input maps, five output maps, points; then tiles, rows, taps
//     grad_input: like the output. But if patches are whole maps (small maps of many images), it is
//     computed in the loop of grad_weight, which already has the points of grad_output
//     sums over slots and lanes
//
// Multiply-adds bound it, at 60 to 80 % of their peak on whole maps. On large maps transposing
// windows and patches takes a third of the time, because a window is half as large again as its
// patch.
#pragma once

#include "cpu/conv/c3_plan.h"
#include "cpu/conv/conv5x5_backward.h"
#include "cpu/conv/not_finite.h"
#include "cpu/conv/patches.h"
#include "host/stop.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

template <class T>
Maps<T> input_maps(const C3Shape& s, T* first) {
  return {first, s.n_inputs * s.height * s.width, s.n_inputs, s.height, s.width};
}
template <class T>
Maps<T> output_maps(const C3Shape& s, const MapGroup& group, T* first) {
  const std::int64_t height = out_height(s), width = out_width(s);
  return {first + group.first * height * width, s.n_outputs * height * width, group.n, height,
          width};
}

// The largest number of bytes that a plan for any of the map groups takes.
template <template <class> class Plan>
std::int64_t most_bytes(const C3Shape& shape, int value_bytes, int n_threads) {
  std::int64_t most = 0;
  for_map_groups(shape, [&](const MapGroup& maps) {
    const Table table = table_of(shape, maps);
    const std::int64_t bytes = value_bytes == 4
                                   ? Plan<float>(shape, table, n_threads, nullptr).bytes
                                   : Plan<double>(shape, table, n_threads, nullptr).bytes;
    most = bytes > most ? bytes : most;
  });
  return most;
}
inline std::int64_t c3_conv_workspace(const C3Shape& shape, int value_bytes, int n_threads) {
  return most_bytes<ForwardPlan>(shape, value_bytes, n_threads);
}
inline std::int64_t c3_conv_backward_workspace(const C3Shape& shape, int value_bytes,
                                               int n_threads) {
  return most_bytes<BackwardPlan>(shape, value_bytes, n_threads);
}

// Whether any thread has found a result that is not finite.
class Suspicion {
 public:
  // Sums over several map groups may overflow when one sum would not: those are always checked.
  explicit Suspicion(const C3Shape& s) : any_(s.n_outputs > MapGroup::kMost) {}
  template <class T>
  void check(Vec<T> v) {
    if (!is_finite(sum_of_lanes<T>(v))) __atomic_store_n(&any_, true, __ATOMIC_RELAXED);
  }
  bool any() const { return __atomic_load_n(&any_, __ATOMIC_RELAXED); }

 private:
  bool any_;
};

// Calls mend(image, map) for all maps of all images, over the threads.
template <class Mend>
void mend_maps(std::int64_t n_images, int n_maps, int n_threads, Stop& stop, Mend&& mend) {
  WorkQueue maps(n_images * n_maps);
  run_on_threads(n_threads, [&](int thread) {
    for (std::int64_t i; !stop.requested(thread) && (i = maps.next()) >= 0;)
      mend(i / n_maps, static_cast<int>(i % n_maps));
  });
}

// A convolution of all images for a map group. The threads take its lane groups.
template <class T>
struct ConvolutionRun {
  const Convolution<T>& convolution;
  Suspicion& not_finite;
  Maps<const T> source = {};
  const T* points = nullptr;  // of the weights
  const T* bias = nullptr;
  Maps<T> target = {};
  bool add = false;  // to what the target holds

  void run_group(std::int64_t index, Workspace parts) const {
    const Convolution<T>& c = convolution;
    const typename Convolution<T>::Memory memory(parts, c.conv);
    const PatchGroup<T> group(c.cut, index);
    windows_to_lanes<T>(source, group, c.margin, c.conv.height, c.conv.width, memory.source);
    not_finite.check<T>(conv5x5_forward<T, true>(c.conv, memory.source, points, bias,
                                                 memory.scratch, memory.target));
    lanes_to_patches<T>(memory.target, c.cut.rows, c.cut.columns, add, group, target);
  }
};

template <class T>
bool c3_conv(const C3Shape& shape, const T* input, const T* weight, const T* bias, T* output,
             void* workspace, Execution execution) {
  const int n_threads = execution.n_threads;
  Stop stop(execution);
  Suspicion not_finite(shape);
  const Maps<const T> source = input_maps(shape, input);
  for_map_groups(shape, [&](const MapGroup& maps) {
    if (stop.raised()) return;
    const ForwardPlan<T> plan(shape, table_of(shape, maps), n_threads, workspace);
    ConvolutionRun<T> run = {plan.convolution, not_finite};
    run.source = source;
    run.points = plan.points;
    run.bias = bias + maps.first;
    run.target = output_maps(shape, maps, output);
    conv5x5_pack(plan.convolution.conv, weight + maps.first_connection * kTaps * kTaps,
                 plan.points);
    WorkQueue groups(plan.convolution.n_groups());
    run_on_threads(plan.threads.n_threads, [&](int thread) {
      for (std::int64_t i; !stop.requested(thread) && (i = groups.next()) >= 0;)
        run.run_group(i, plan.threads.of(thread));
    });
  });
  if (stop.raised() || !not_finite.any()) return !stop.raised();
  mend_maps(shape.n_images, shape.n_outputs, n_threads, stop, [&](std::int64_t image, int o) {
    mend_output(shape, input + image * source.image_stride, weight, bias, o,
                output + (image * shape.n_outputs + o) * out_height(shape) * out_width(shape));
  });
  return !stop.raised();
}

// weight [n_connections, 5, 5] in the order of the turned table, with the taps turned by 180
// degrees.
template <class T>
void turn_weight(const Table& table, const T* weight, T* turned) {
  constexpr int n = kTaps * kTaps;
  for (int c = 0; c < table.n_sources; ++c) {
    const T* map = weight;  // of the target's first connection
    for (int o = 0; o < table.n_targets; map += n * __builtin_popcountll(table.mask[o++])) {
      const std::int64_t mask = table.mask[o];
      if (!(mask >> c & 1)) continue;
      const T* const taps = map + n * __builtin_popcountll(mask & ((std::int64_t{1} << c) - 1));
      for (int i = 0; i < n; ++i) *turned++ = taps[n - 1 - i];
    }
  }
}

// The correlation of all images for a map group. The threads take its slots.
template <class T>
struct CorrelationRun {
  const Correlation<T>& correlation;
  Suspicion& not_finite;
  Stop& stop;
  Maps<const T> grad_output = {}, input = {};
  const T* points = nullptr;  // of the weights
  Vec<T>* slots = nullptr;    // null if the weights' gradients are not wanted
  Maps<T> grad_input = {};    // null if not wanted, or if the correlation does not give it
  bool add = false;           // to what grad_input holds

  // The lane groups of a slot.
  void run_slot(std::int64_t slot, Workspace parts, int thread) const {
    const Correlation<T>& c = correlation;
    const typename Correlation<T>::Memory memory(parts, c.conv, c.gives_grad_input);
    ConvGrads<T> grads = {};
    if (slots) {
      grads.weight = slots + slot * c.n_grads;
      grads.bias = grads.weight + c.n_grads - c.conv.n_outputs;
      for (std::int64_t i = 0; i < c.n_grads; ++i) grads.weight[i] = Vec<T>{};
    }
    if (grad_input.first) grads.input = memory.grad_input;
    for (std::int64_t i = slot; i < c.n_groups() && !stop.requested(thread); i += c.n_slots) {
      const PatchGroup<T> group(c.cut, i);
      windows_to_lanes<T>(grad_output, group, 0, c.cut.rows, c.cut.columns, memory.grad_output);
      if (slots) windows_to_lanes<T>(input, group, 0, c.conv.height, c.conv.width, memory.input);
      not_finite.check<T>(conv5x5_backward<T, true>(c.conv, memory.grad_output, memory.input,
                                                    points, memory.scratch, grads));
      if (grads.input)
        lanes_to_patches<T>(memory.grad_input, c.conv.height, c.conv.width, add, group, grad_input);
    }
  }
};

// The sums over slots and lanes for a map group: g.grad_weight and g.grad_bias, each if wanted.
template <class T>
void sum_slots(const C3Shape& shape, const MapGroup& maps, const BackwardPlan<T>& plan,
               const C3Backward<T>& g) {
  const Correlation<T>& c = plan.correlation;
  const auto sum_of_slots = [&](std::int64_t i) {
    Vec<T> sum = plan.slots[i];
    for (int slot = 1; slot < c.n_slots; ++slot) sum += plan.slots[slot * c.n_grads + i];
    return sum;
  };
  run_on_threads(plan.threads.n_threads, [&](int thread) {
    const Share rows = share_of(plan.table.n_connections * kTaps, thread, plan.threads.n_threads);
    for (std::int64_t row = rows.first; g.grad_weight && row < rows.stop; ++row) {
      const std::int64_t row_of_all = maps.first_connection * kTaps + row;
      T* const taps = g.grad_weight + row_of_all * kTaps;
      bool finite = true;
      conv5x5_sum_taps<T>([&](int p) { return sum_of_slots(row * kPoints + p); },
                          [&](int v, T sum) { taps[v] = sum, finite &= is_finite(sum); });
      if (!finite) mend_grad_weight(shape, g.grad_output, g.input, row_of_all, taps);
    }
    const Share outputs = share_of(maps.n, thread, plan.threads.n_threads);
    for (std::int64_t o = outputs.first; g.grad_bias && o < outputs.stop; ++o) {
      T& sum = g.grad_bias[maps.first + o];
      sum = sum_of_lanes<T>(sum_of_slots(plan.table.n_weight_points() + o));
      if (!is_finite(sum))
        sum = direct_grad_bias(shape, g.grad_output, maps.first + static_cast<int>(o));
    }
  });
}

template <class T>
bool c3_conv_backward(const C3Shape& shape, const C3Backward<T>& g, void* workspace,
                      Execution execution) {
  const int n_threads = execution.n_threads;
  Stop stop(execution);
  Suspicion not_finite(shape);
  const bool wants_weight = g.grad_weight != nullptr || g.grad_bias != nullptr;
  const Maps<T> grad_input = input_maps(shape, g.grad_input);
  for_map_groups(shape, [&](const MapGroup& maps) {
    if (stop.raised()) return;
    const BackwardPlan<T> plan(shape, table_of(shape, maps), n_threads, workspace);
    const bool correlation_does = g.grad_input && plan.correlation.gives_grad_input;
    const bool convolution_does = g.grad_input && !plan.correlation.gives_grad_input;

    const T* const weight = g.weight + maps.first_connection * kTaps * kTaps;
    if (correlation_does) conv5x5_pack(plan.correlation.conv, weight, plan.points);
    if (convolution_does) {
      turn_weight(plan.table, weight, plan.turned_weight);
      conv5x5_pack(plan.convolution.conv, plan.turned_weight, plan.points);
      for (int c = 0; c < shape.n_inputs; ++c) plan.no_bias[c] = 0;
    }

    CorrelationRun<T> correlation = {plan.correlation, not_finite, stop};
    correlation.grad_output = output_maps(shape, maps, g.grad_output);
    correlation.input = input_maps(shape, g.input);
    correlation.points = plan.points;
    if (wants_weight) correlation.slots = plan.slots;
    if (correlation_does) correlation.grad_input = grad_input;
    correlation.add = maps.first > 0;  // earlier groups left their part

    ConvolutionRun<T> convolution = {plan.convolution, not_finite};
    convolution.source = correlation.grad_output;
    convolution.points = plan.points;
    convolution.bias = plan.no_bias;
    convolution.target = grad_input;
    convolution.add = correlation.add;

    const int n_slots = wants_weight || correlation_does ? plan.correlation.n_slots : 0;
    WorkQueue items(n_slots + (convolution_does ? plan.convolution.n_groups() : 0));
    run_on_threads(plan.threads.n_threads, [&](int thread) {
      const Workspace parts = plan.threads.of(thread);
      for (std::int64_t i; !stop.requested(thread) && (i = items.next()) >= 0;) {
        if (i >= n_slots)
          convolution.run_group(i - n_slots, parts);
        else
          correlation.run_slot(i, parts, thread);
      }
    });
    if (wants_weight && !stop.raised()) sum_slots<T>(shape, maps, plan, g);
  });
  if (stop.raised() || !g.grad_input || !not_finite.any()) return !stop.raised();
  mend_maps(shape.n_images, shape.n_inputs, n_threads, stop, [&](std::int64_t image, int c) {
    const std::int64_t outputs = shape.n_outputs * out_height(shape) * out_width(shape);
    mend_grad_input(shape, g.grad_output + image * outputs, g.weight, c,
                    g.grad_input + (image * shape.n_inputs + c) * grad_input.map_size());
  });
  return !stop.raised();
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
