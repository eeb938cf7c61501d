// The pooled MLP on every shift of every image. The algorithm: for each image and shift (dx, dy),
//
//   pooled[i][j] = mean of the moved image's pixels 4 i ... 4 i + 3, 4 j ... 4 j + 3
//   for each hidden unit, with weights W [7, 7]:
//     hidden[unit] = act(bias[unit] + sum over i, j of pooled[i][j] * W[i][j])
//   logits = output bias + output weight * hidden;   prediction = argmax(logits)
//
// A moved image's pooled pixel (i, j) is the 4 x 4 window of the unmoved image, blank outside its
// frame, at row 4 i - dy, column 4 j - dx: the windows tile the frame, so no window contains what a
// shift pushes out of it, and every window's sum is needed only once for all shifts. With dx = 4 t
// - phase the pooled row becomes
//
//   sum over c of S[4 c + phase] * W[c + t],   S window sums, W a row of weights, 0 outside,
//
// for two or three neighbouring t (of 11 dx). This is the form F(3, 6), whose taps are a span of up
// to six inked columns c. It takes eight products instead of eighteen. Rows are summed directly.
//
// The schedule, images in the lanes:
//
//   subgrids of at most 12 dx                     for each the weights are packed anew
//     chunks of images, sorted by their ink's box
//       lane groups                               to a thread; window sums to points
//         up to 3 dy                              whose logits stay in the L1 cache
//           blocks of 8 (4) hidden units
//             phases
//               points
//                 spans, inked pooled rows        products: a block of dy by hidden units
//               from points to t, act
//             patterns: to logits
//           patterns: answers
//
// The products take 40 % of the time, tanh and the transform back from the points 28 %, the logits
// 20 %: no part dominates, and all are bound by the issue of arithmetic.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/perceptron/pooled_mlp_products.h"
#include "cpu/simd/workspace.h"
#include "host/image_order.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

struct ThreadMemory {
  Windows windows;
  vec* products;  // [points, kMaxDy, kUnits]
  vec* hidden;    // [kUnits, patterns]
  vec* logits;    // [patterns, 10]

  ThreadMemory(Workspace& workspace, NoSizes)
      : windows(workspace),
        products(workspace.take<vec>(kMaxPoints * kMaxDy * kUnits)),
        hidden(workspace.take<vec>(kUnits * kMaxDy * kMaxDx)),
        logits(workspace.take<vec>(kMaxDy * kMaxDx * kClasses)) {}
};

struct Memory {
  Weights weights;
  InkBox* boxes;        // [kChunk]
  std::uint64_t* keys;  // [kChunk]: see host/image_order.h
  ThreadParts<ThreadMemory, NoSizes> threads;

  Memory(Workspace& workspace, const Mlp& model, const ShiftedImages&, int n_threads)
      : weights(workspace, divide_up(model.parameters.n_hidden, kUnits)),
        boxes(workspace.take<InkBox>(kChunk)),
        keys(workspace.take<std::uint64_t>(kChunk)),
        threads(workspace, {}, n_threads) {}
};

// The logits of a lane group under n_dy shifts from dy on: own.logits [n_dy, n_dx, 10].
void logits_of_group(const Mlp& model, const Subgrid& s, const GroupInk& ink, int dy, int n_dy,
                     const Weights& weights, const ThreadMemory& own) {
  const Activation activation = model.activation;
  const int n_patterns = n_dy * s.n_dx;
  for (int i = 0; i < n_patterns; ++i)
    for (int o = 0; o < kClasses; ++o)
      own.logits[i * kClasses + o] = broadcast(model.parameters.output.bias[o]);
  const int n_blocks = divide_up(model.parameters.n_hidden, kUnits);
  for (int block = 0; block < n_blocks; ++block) {
    const float* const weight = weights.hidden + std::int64_t{block} * kBlockWeights;
    const float* const bias = weights.bias + block * kUnits;
    for (int phase = 0; phase < kPool; ++phase) {
      with_constant<kMaxDy>(n_dy, [&](auto n) {
        multiply<n.value>(s, ink, phase, dy, weight, own.windows.points, own.products);
      });
      with_constant<kMaxTile>(s.tile, [&](auto n) {
        hidden_of_products<n.value>(activation, s, phase, n_dy, own.products, bias, own.hidden);
      });
    }
    const float* const output = weights.output + block * kUnits * kClasses;
    int i = 0;
    for (; i + kPatternBlock <= n_patterns; i += kPatternBlock)
      add_logits<kPatternBlock>(own.hidden + i, n_patterns, output, own.logits + i * kClasses);
    for (; i < n_patterns; ++i)
      add_logits<1>(own.hidden + i, n_patterns, output, own.logits + i * kClasses);
  }
}

// A piece that is a lane group; returns false if stopped. Inlined, it would take 5 % more
// instructions.
template <class Stopped>
[[gnu::noinline]] bool predict_group(const Mlp& model, const Subgrid& s, const ShiftedImages& job,
                                     const Piece& piece, const Memory& memory,
                                     const ThreadMemory& own, Stopped&& stopped) {
  const std::int64_t n_dx = job.grid.n_dx, n_dy = job.grid.n_dy;
  GroupInk ink;
  std::int64_t pattern[kLanes];
  const std::uint8_t* images[kLanes];
  for (int l = 0; l < piece.n; ++l) {
    const int i = number_of(piece.keys[l]);
    images[l] = job.images + (piece.first + i) * kPixels;
    pattern[l] = (piece.first + i) * n_dy * n_dx + s.first_column;
    ink.box.add(memory.boxes[i]);
  }
  pixels_to_lanes(images, piece.n, 1.0f, [&](int i) -> vec& { return own.windows.lanes[i]; });
  window_points(s, ink, own.windows);
  for (int d = 0; d < n_dy; d += kMaxDy) {
    if (stopped()) return false;
    const int n_d = n_dy - d < kMaxDy ? static_cast<int>(n_dy) - d : kMaxDy;
    logits_of_group(model, s, ink, job.grid.dy_first + d, n_d, memory.weights, own);
    for (int i = 0; i < n_d; ++i)
      for (int j = 0; j < s.n_dx; ++j)
        write_answers(own.logits + (i * s.n_dx + j) * kClasses, pattern, (d + i) * n_dx + j,
                      piece.n, job);
  }
  return true;
}

bool predict_subgrid(const Mlp& model, const Subgrid& s, const ShiftedImages& job,
                     const Memory& memory, Execution execution) {
  const int n_threads = execution.n_threads;
  const int n_blocks = divide_up(model.parameters.n_hidden, kUnits);
  run_on_threads(n_threads, [&](int thread) {
    const Share blocks = share_of(n_blocks, thread, n_threads);
    for (std::int64_t b = blocks.first; b < blocks.stop; ++b)
      pack(model.parameters, s, static_cast<int>(b), memory.weights);
  });
  return for_chunks(job.n_images, [&](std::int64_t first, int n) {
    order_images(n, n_threads, memory.keys, [&](int i) {
      const InkBox box = ink_box(job.images + (first + i) * kPixels);
      memory.boxes[i] = box;
      return ((box.x0 * 32u + box.x1 + 1) * 32u + box.y0) * 32u + box.y1 + 1;
    });
    const auto worker = [&](int thread, auto&& next, auto&& stopped) {
      const ThreadMemory own = memory.threads.of(thread);
      for (int i; (i = next()) >= 0;) {
        const int begin = i * kLanes, left = n - begin;
        const Piece piece = {first, memory.keys + begin, left < kLanes ? left : kLanes};
        if (!predict_group(model, s, job, piece, memory, own, stopped)) return;
      }
    };
    return run_pieces(divide_up(n, kLanes), execution, worker);
  });
}

bool predict(const Mlp& model, const ShiftedImages& job, const Memory& memory,
             Execution execution) {
  for (int i = 0; i < n_subgrids(job.grid); ++i)
    if (!predict_subgrid(model, subgrid_of(job.grid, i), job, memory, execution)) return false;
  return true;
}

}  // namespace pooled_mlp

constexpr auto predict_shifts_pooled_mlp = fused_kernel<pooled_mlp::predict>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
