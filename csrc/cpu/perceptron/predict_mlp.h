// The MLP on every shift of every image. The algorithm: for each image I and each shift (dx, dy),
//
//   for each hidden unit, with weights W [28, 28] that are 0 outside the frame:
//     hidden[unit] = act(bias[unit] + sum over y, x of I[y][x] * W[y + dy][x + dx])
//   logits = output bias + output weight * hidden;   prediction = argmax(logits)
//
// No image is ever moved: what leaves the frame meets zeros. There are two savings:
//  - Images are cut into cells of 4 x 4 pixels; blank ones, 30 of 49 on MNIST, cost nothing.
//  - A cell and a tile of 4 dx by up to 5 dy meet in the forms F(4, 4) in x and F(5, 4) in y: 7 * 8
//    products for 20 shifts of 16 pixels instead of 320.
//
// The schedule, hidden units in the lanes:
//
//   subgrids of at most 12 x 5 shifts                  for each the weights are packed anew
//     chunks of images, sorted by their inked cells
//       pieces of at most 128 images                   to a thread; all pixels to points
//         strips of hidden units                       whose weights stay in the L2 cache
//           kGroupsAtOnce sharing groups               whose rows stay in the L2 cache
//             points in y                              whose weights stay in the L1 cache
//               sharing groups
//                 points in x
//                   inked cells                        products: a block of images by hidden units
//                 tiles: from points in x to dx
//             images: from points in y to dy, act, transposed to patterns in the lanes, to logits
//         images: answers
//
// The products take half of the time, bound by the issue of multiply-adds and loads of weights;
// tanh takes a ninth, the logits a twelfth, the transforms back from the points most of the rest.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/math/activation.h"
#include "cpu/perceptron/mlp_cells.h"
#include "cpu/perceptron/mlp_products.h"
#include "cpu/perceptron/mlp_weights.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/workspace.h"
#include "host/image_order.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

constexpr int kPiece = 128;  // images
constexpr int kMinPiece = 16;
constexpr int kPieceGroups = divide_up(kPiece, kSharing);
constexpr int kGroupsAtOnce = 4;
constexpr int kLogits = kMaxPatternVectors * kClasses;  // of an image

struct ThreadMemory {
  Packing packing;
  int* order;            // [kPiece]
  SharingGroup* groups;  // [kPieceGroups]
  float* pixels;         // [kPieceGroups, kMaxPoints, kMaxPixelRow]
  vec* logits;           // [kPieceGroups, kSharing, kMaxPatternVectors, 10]: patterns in the lanes
  vec* products;         // [points in x, kSharing, tiles, kStripVectors]
  vec* rows;    // [kGroupsAtOnce, kSharing] of [points in y, kMaxDx, kStripVectors], kRows apart
  vec* hidden;  // [patterns]: hidden units in the lanes
  vec* units;   // [pattern vectors, kStrip]: patterns in the lanes

  ThreadMemory(Workspace& workspace, NoSizes)
      : packing(workspace),
        order(workspace.take<int>(kPiece)),
        groups(workspace.take<SharingGroup>(kPieceGroups)),
        pixels(workspace.take<float>(std::int64_t{kPieceGroups} * kMaxPoints * kMaxPixelRow)),
        logits(workspace.take<vec>(kPieceGroups * kSharing * kLogits)),
        products(workspace.take<vec>(kMaxPointsX * kSharing * kMaxTiles * kStripVectors)),
        rows(workspace.take<vec>(kGroupsAtOnce * kSharing * kRows)),
        hidden(workspace.take<vec>(kMaxPatternVectors * kLanes)),
        units(workspace.take<vec>(kMaxPatternVectors * kStrip)) {}
};

struct Memory {
  Weights weights;
  std::uint64_t* keys;  // [kChunk]: see host/image_order.h
  ThreadParts<ThreadMemory, NoSizes> threads;

  Memory(Workspace& workspace, const Mlp& model, const ShiftedImages&, int n_threads)
      : weights(workspace, divide_up(model.parameters.n_hidden, kStrip)),
        keys(workspace.take<std::uint64_t>(kChunk)),
        threads(workspace, {}, n_threads) {}
};

// Adds the share of strip number `strip` to an image's logits, from the image's rows of that strip.
void finish_strip(Activation activation, const Subgrid& s, const Weights& weights, int strip,
                  const vec* rows, const ThreadMemory& own, vec* logits) {
  const vec* const bias = weights.bias + strip * kStripVectors;
  const float* const output = weights.output + strip * kStrip * kClasses;
  const int n_vectors = s.n_pattern_vectors();
  for (int k = 0; k < kStripVectors; ++k) {
    with_constant<kMaxDy>(s.grid.n_dy, [&](auto n_dy) {
      hidden_of_rows<n_dy.value>(activation, s.grid.n_dx, rows + k, bias[k], own.hidden);
    });
    for (int i = s.n_patterns(); i < n_vectors * kLanes; ++i) own.hidden[i] = vec{};
    for (int g = 0; g < n_vectors; ++g)
      transpose_square<float>(own.hidden + g * kLanes, own.units + g * kStrip + k * kLanes);
  }
  constexpr int n = kRegisters >= 32 ? 2 : 1;
  int g = 0;
  for (; g + n <= n_vectors; g += n)
    add_logits<n>(own.units + g * kStrip, output, logits + g * kClasses);
  for (; g < n_vectors; ++g) add_logits<1>(own.units + g * kStrip, output, logits + g * kClasses);
}

inline void write_image_answers(const Subgrid& s, const ShiftedImages& job, std::int64_t image,
                                const vec* logits) {
  std::int64_t pattern[kMaxPatternVectors * kLanes];
  for (int i = 0; i < s.n_patterns(); ++i)
    pattern[i] =
        std::int64_t{s.first_dy + i / s.grid.n_dx} * job.grid.n_dx + s.first_dx + i % s.grid.n_dx;
  for (int g = 0; g < s.n_pattern_vectors(); ++g) {
    const int left = s.n_patterns() - g * kLanes;
    write_answers(logits + g * kClasses, pattern + g * kLanes,
                  image * job.grid.n_dy * job.grid.n_dx, left < kLanes ? left : kLanes, job);
  }
}

// Returns false if stopped.
template <class Stopped>
bool predict_piece(const Mlp& model, const Subgrid& s, const ShiftedImages& job, const Piece& piece,
                   const Weights& weights, const ThreadMemory& own, Stopped&& stopped) {
  constexpr std::int64_t group_pixels = kMaxPoints * kMaxPixelRow;
  const int n_groups = make_groups(piece, own.order, own.groups);
  for (int g = 0; g < n_groups; ++g)
    pixel_points(job.images, s, own.groups[g], own.pixels + g * group_pixels);
  for (int i = 0; i < n_groups * kSharing * kLogits; ++i)
    own.logits[i] = broadcast(model.parameters.output.bias[i % kClasses]);

  const int n_strips = divide_up(model.parameters.n_hidden, kStrip);
  for (int strip = 0; strip < n_strips; ++strip) {
    if (stopped()) return false;
    for (int at = 0; at < n_groups; at += kGroupsAtOnce) {
      const int n_now = n_groups - at < kGroupsAtOnce ? n_groups - at : kGroupsAtOnce;
      multiply_groups(s, own.groups + at, n_now, own.pixels + at * group_pixels,
                      weights.hidden + strip * s.strip_size(), own.products, own.rows);
      for (int g = 0; g < n_now; ++g)
        for (int i = 0; i < own.groups[at + g].n_images; ++i)
          finish_strip(model.activation, s, weights, strip, own.rows + (g * kSharing + i) * kRows,
                       own, own.logits + ((at + g) * kSharing + i) * kLogits);
    }
  }
  for (int g = 0; g < n_groups; ++g)
    for (int i = 0; i < own.groups[g].n_images; ++i)
      write_image_answers(s, job, own.groups[g].image[i],
                          own.logits + (g * kSharing + i) * kLogits);
  return true;
}

bool predict_subgrid(const Mlp& model, const Subgrid& s, const ShiftedImages& job,
                     const Memory& memory, Execution execution) {
  const int n_threads = execution.n_threads;
  const int n_vectors = divide_up(model.parameters.n_hidden, kStrip) * kStripVectors;
  run_on_threads(n_threads, [&](int thread) {
    const ThreadMemory own = memory.threads.of(thread);
    const Share vectors = share_of(n_vectors, thread, n_threads);
    for (std::int64_t v = vectors.first; v < vectors.stop; ++v)
      pack(model.parameters, s, static_cast<int>(v), own.packing, memory.weights);
  });
  return for_chunks(job.n_images, [&](std::int64_t first, int n) {
    order_images(n, n_threads, memory.keys,
                 [&](int i) { return inked_cells(job.images + (first + i) * kPixels); });
    // Pieces are small enough that every thread gets some.
    const int share = divide_up(n, 4 * n_threads);
    const int most = share > kPiece ? kPiece : share < kMinPiece ? kMinPiece : share;
    const auto worker = [&](int thread, auto&& next, auto&& stopped) {
      const ThreadMemory own = memory.threads.of(thread);
      for (int i; (i = next()) >= 0;) {
        const int begin = i * most, left = n - begin;
        const Piece piece = {first, memory.keys + begin, left < most ? left : most};
        if (!predict_piece(model, s, job, piece, memory.weights, own, stopped)) return;
      }
    };
    return run_pieces(divide_up(n, most), execution, worker);
  });
}

bool predict(const Mlp& model, const ShiftedImages& job, const Memory& memory,
             Execution execution) {
  for (int row = 0; row < subgrids_dy(job.grid); ++row)
    for (int column = 0; column < subgrids_dx(job.grid); ++column)
      if (!predict_subgrid(model, subgrid_of(job.grid, row, column), job, memory, execution))
        return false;
  return true;
}

}  // namespace mlp

constexpr auto predict_shifts_mlp = fused_kernel<mlp::predict>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
