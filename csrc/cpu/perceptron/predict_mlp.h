// The MLP on every shift of every image. With I the image and W a hidden unit's weights on 28 x 28,
// zero outside the frame, the unit sees under the shift (dx, dy)
//
//   sum over y, x of I[y][x] * W[y + dy][x + dx],
//
// a correlation: no image is ever moved, and what leaves the frame meets zeros. Two savings:
//  - Images are cut into blocks of 4 x 4 pixels; blank ones, 30 of 49 on MNIST, cost nothing.
//  - Blocks and tiles of 4 dx by up to 5 dy meet in short correlations, nested over x and y: 7 * 8
//    products for 20 shifts of 16 pixels instead of 320.
// Hidden units lie in the lanes. Tiles lie as far apart as blocks, so that the weights which block
// b meets in tile t are those of position b + t.
//
// Loops, from the outside: passes over at most 12 x 5 shifts (weights are transformed once a pass);
// chunks of images, sorted by their inked blocks; pieces of them (to a thread); strips of hidden
// units, whose weights stay in L2; rounds of images, whose products do; points in y, whose weights
// stay in L1; groups of images; points in x; blocks.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/math/activation.h"
#include "cpu/perceptron/mlp_pass.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/transpose.h"
#include "cpu/simd/vec.h"
#include "host/image_order.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace mlp {

constexpr int kPiece = 128;       // images
constexpr int kRound = 4;         // groups
constexpr int kPatternGroups = divide_up(kMaxDx * kMaxDy, kLanes);
// From one image's rows to the next one's, in vectors; an odd number, so that they do not fall into
// the same few sets of the cache.
constexpr int kRows = kMaxPointsY * kMaxDx * kStripVectors + 1;

struct Workspace {
  Weights weights = {};
  std::uint64_t* keys = {};  // [kChunk]: see host/image_order.h
  // A thread's:
  Packing packing = {};
  int* order = {};           // [kPiece]
  Group* groups = {};        // [kPiece / kTogether]
  float* pixels = {};        // [kPiece / kTogether, points, pixel_row]
  vec* logits = {};          // [kPiece / kTogether, kTogether, pattern groups, 10]
  vec* products = {};        // [x points, kTogether, tiles, kStripVectors]
  vec* rows = {};            // [kRound, kTogether, y points, kMaxDx, kStripVectors]
  vec* hidden = {};          // [patterns]: units in the lanes
  vec* units = {};           // [pattern groups, kStrip]: patterns in the lanes
  std::int64_t bytes = 0;

  Workspace(int n_hidden, int n_threads, void* start, int thread) {
    const std::int64_t n_strips = divide_up(n_hidden, kStrip);
    constexpr int n_groups = divide_up(kPiece, kTogether);
    Arena arena(start);
    weights.hidden =
        arena.take<vec>(n_strips * kMaxPoints * kBlocks * kPositions * kStripVectors);
    weights.bias = arena.take<vec>(n_strips * kStripVectors);
    weights.output = arena.take<float>(n_strips * kStrip * kClasses);
    keys = arena.take<std::uint64_t>(kChunk);
    for (int t = 0; t < n_threads; ++t) {
      Workspace mine(*this);
      mine.packing.weight = arena.take<vec>(kPixels);
      mine.packing.columns = arena.take<vec>(kPackingColumns);
      mine.order = arena.take<int>(kPiece);
      mine.groups = arena.take<Group>(n_groups);
      mine.pixels = arena.take<float>(std::int64_t{n_groups} * kMaxPoints * kPixelRow);
      mine.logits = arena.take<vec>(n_groups * kTogether * kPatternGroups * kClasses);
      mine.products = arena.take<vec>(kMaxPointsX * kTogether * kMaxTiles * kStripVectors);
      mine.rows = arena.take<vec>(kRound * kTogether * kRows);
      mine.hidden = arena.take<vec>(kPatternGroups * kLanes);
      mine.units = arena.take<vec>(kPatternGroups * kStrip);
      if (t == thread) *this = mine;
    }
    bytes = arena.bytes();
  }
};

// A group's sums over its blocks at one point: products [kTogether, tiles, kStripVectors].
template <int n_tiles>
inline void multiply(const Group& group, const float* pixels, const vec* weight, vec* products) {
  constexpr int size = n_tiles * kStripVectors;
  const std::int64_t n = group.n_blocks;
  vec sum[kTogether][size] = {};
  for (std::int64_t b = 0; b < n; ++b, pixels += kTogether) {
    const vec* const w = weight + group.position[b];
#pragma GCC unroll 6
    for (int k = 0; k < size; ++k) {
      const vec w_k = w[k];
#pragma GCC unroll 4
      for (int i = 0; i < kTogether; ++i) sum[i][k] += pixels[i] * w_k;
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kTogether; ++i)
#pragma GCC unroll 6
    for (int k = 0; k < size; ++k) products[i * size + k] = sum[i][k];
}

// Back from points in x to dx: products [x points, kTogether, tiles, kStripVectors] to rows
// [kTogether at kRows, kMaxDx, kStripVectors].
template <int tile_dx>
void interpolate_x(int n_tiles, const vec* products, vec* rows) {
  const int size = kTogether * n_tiles * kStripVectors;
  for (int i = 0; i < kTogether; ++i)
    for (int t = 0; t < n_tiles; ++t)
      for (int k = 0; k < kStripVectors; ++k) {
        vec y[tile_dx];
        points_to_outputs<PixelForm<tile_dx, kSide>>(products++, size, y);
#pragma GCC unroll 4
        for (int j = 0; j < tile_dx; ++j)
          rows[i * kRows + (t * tile_dx + j) * kStripVectors + k] = y[j];
      }
}

// A round of groups with one strip's weights: rows [groups, kTogether, y points, ...].
inline void multiply_round(const Pass& pass, const Group* groups, int n_groups,
                           const float* pixels, const vec* weight, vec* products, vec* rows) {
  const int size = kTogether * pass.n_tiles * kStripVectors;
  const int nx = pass.points_x();
  for (int q = 0; q < pass.points_y(); ++q)
    for (int g = 0; g < n_groups; ++g) {
      for (int p = 0; p < nx; ++p) {
        const int point = q * nx + p;
        const float* const x =
            pixels + std::int64_t{g} * kMaxPoints * kPixelRow + point * pixel_row(groups[g]);
        const vec* const w = weight + point * pass.point_size();
        switch (pass.n_tiles) {
          case 1: multiply<1>(groups[g], x, w, products + p * size); break;
          case 2: multiply<2>(groups[g], x, w, products + p * size); break;
          default: multiply<3>(groups[g], x, w, products + p * size);
        }
      }
      vec* const target = rows + g * kTogether * kRows + q * kMaxDx * kStripVectors;
      switch (pass.tile_dx) {
        case 1: interpolate_x<1>(pass.n_tiles, products, target); break;
        case 2: interpolate_x<2>(pass.n_tiles, products, target); break;
        case 3: interpolate_x<3>(pass.n_tiles, products, target); break;
        default: interpolate_x<4>(pass.n_tiles, products, target);
      }
    }
}

// Back from points in y to dy, and on to the activation: rows [y points, kMaxDx, kStripVectors] of
// one vector to hidden [n_dy, n_dx].
template <int n_dy>
void interpolate_y(Activation activation, int n_dx, const vec* rows, vec bias, vec* hidden) {
  for (int i = 0; i < n_dx; ++i) {
    vec y[n_dy];
    points_to_outputs<PixelForm<n_dy, kSide>>(rows + i * kStripVectors, kMaxDx * kStripVectors, y);
#pragma GCC unroll 5
    for (int j = 0; j < n_dy; ++j) hidden[j * n_dx + i] = activate(activation, y[j] + bias);
  }
}

// logits [n, 10] += units [n, kStrip] times output [kStrip, 10].
template <int n>
inline void add_logits(const vec* units, const float* output, vec* logits) {
  vec sum[n][kClasses];
  for (int g = 0; g < n; ++g)
    for (int o = 0; o < kClasses; ++o) sum[g][o] = logits[g * kClasses + o];
  for (int h = 0; h < kStrip; ++h, output += kClasses)
#pragma GCC unroll 10
    for (int o = 0; o < kClasses; ++o)
#pragma GCC unroll 2
      for (int g = 0; g < n; ++g) sum[g][o] += output[o] * units[g * kStrip + h];
  for (int g = 0; g < n; ++g)
    for (int o = 0; o < kClasses; ++o) logits[g * kClasses + o] = sum[g][o];
}

// One image's rows of one strip, to its share of the logits.
void finish(Activation activation, const Pass& pass, const vec* rows, const vec* bias,
            const float* output, const Workspace& w, vec* logits) {
  const int n_dx = pass.grid.n_dx, n_groups = pass.n_groups();
  for (int k = 0; k < kStripVectors; ++k) {
    switch (pass.grid.n_dy) {
      case 1: interpolate_y<1>(activation, n_dx, rows + k, bias[k], w.hidden); break;
      case 2: interpolate_y<2>(activation, n_dx, rows + k, bias[k], w.hidden); break;
      case 3: interpolate_y<3>(activation, n_dx, rows + k, bias[k], w.hidden); break;
      case 4: interpolate_y<4>(activation, n_dx, rows + k, bias[k], w.hidden); break;
      default: interpolate_y<5>(activation, n_dx, rows + k, bias[k], w.hidden);
    }
    for (int i = pass.n_patterns(); i < n_groups * kLanes; ++i) w.hidden[i] = vec{};
    for (int g = 0; g < n_groups; ++g)
      transpose_square<float>(w.hidden + g * kLanes, w.units + g * kStrip + k * kLanes);
  }
  constexpr int n = kRegisters >= 32 ? 2 : 1;
  int g = 0;
  for (; g + n <= n_groups; g += n)
    add_logits<n>(w.units + g * kStrip, output, logits + g * kClasses);
  for (; g < n_groups; ++g) add_logits<1>(w.units + g * kStrip, output, logits + g * kClasses);
}

// The n images of keys, of the chunk that begins at image `first`; false when stopped.
template <class Stopped>
bool predict_piece(Activation activation, const MlpParameters& parameters, const Pass& pass,
                   const ShiftedImages& job, std::int64_t first, const std::uint64_t* keys, int n,
                   const Workspace& w, Stopped&& stopped) {
  constexpr int kLogits = kPatternGroups * kClasses;
  const int n_groups = make_groups(keys, first, n, w.order, w.groups);
  for (int g = 0; g < n_groups; ++g)
    transform_pixels(job.images, pass, w.groups[g],
                     w.pixels + std::int64_t{g} * kMaxPoints * kPixelRow);
  for (int i = 0; i < n_groups * kTogether * kPatternGroups; ++i)
    for (int o = 0; o < kClasses; ++o)
      w.logits[i * kClasses + o] = broadcast(parameters.output.bias[o]);

  const int n_strips = divide_up(parameters.n_hidden, kStrip);
  for (int s = 0; s < n_strips; ++s) {
    if (stopped()) return false;
    for (int r = 0; r < n_groups; r += kRound) {
      const int n_round = n_groups - r < kRound ? n_groups - r : kRound;
      multiply_round(pass, w.groups + r, n_round,
                     w.pixels + std::int64_t{r} * kMaxPoints * kPixelRow,
                     w.weights.hidden + s * pass.strip_size(), w.products, w.rows);
      for (int g = 0; g < n_round; ++g)
        for (int i = 0; i < w.groups[r + g].n_images; ++i)
          finish(activation, pass, w.rows + (g * kTogether + i) * kRows,
                 w.weights.bias + s * kStripVectors, w.weights.output + s * kStrip * kClasses, w,
                 w.logits + ((r + g) * kTogether + i) * kLogits);
    }
  }

  std::int64_t pattern[kPatternGroups * kLanes];
  for (int i = 0; i < pass.n_patterns(); ++i)
    pattern[i] = std::int64_t{pass.first_dy + i / pass.grid.n_dx} * job.grid.n_dx +
                 pass.first_dx + i % pass.grid.n_dx;
  for (int g = 0; g < n_groups; ++g)
    for (int i = 0; i < w.groups[g].n_images; ++i)
      for (int k = 0; k < pass.n_groups(); ++k) {
        const int left = pass.n_patterns() - k * kLanes;
        write_answers(w.logits + (g * kTogether + i) * kLogits + k * kClasses,
                      pattern + k * kLanes,
                      w.groups[g].image[i] * job.grid.n_dy * job.grid.n_dx,
                      left < kLanes ? left : kLanes, job);
      }
  return true;
}

bool predict(Activation activation, const MlpParameters& parameters, const ShiftedImages& job,
             void* workspace, Execution execution) {
  const int n_threads = execution.n_threads;
  const int n_vectors = divide_up(parameters.n_hidden, kStrip) * kStripVectors;
  for (int row = 0; row < passes_dy(job.grid); ++row)
    for (int column = 0; column < passes_dx(job.grid); ++column) {
      const Pass pass = pass_of(job.grid, row, column);
      run_on_threads(n_threads, [&](int thread) {
        const Workspace w(parameters.n_hidden, n_threads, workspace, thread);
        const Share vectors = share_of(n_vectors, thread, n_threads);
        for (std::int64_t v = vectors.first; v < vectors.stop; ++v)
          pack(parameters, pass, static_cast<int>(v), w.packing, w.weights);
      });
      const bool done = for_chunks(job.n_images, [&](std::int64_t first, int n) {
        std::uint64_t* const keys = Workspace(parameters.n_hidden, n_threads, workspace, 0).keys;
        order_images(n, n_threads, keys,
                     [&](int i) { return ink_of(job.images + (first + i) * kPixels); });
        // Pieces small enough that every thread gets some.
        const int share = divide_up(n, 4 * n_threads);
        const int piece = share > kPiece ? kPiece : share < 16 ? 16 : share;
        const auto worker = [&](int thread, auto&& next, auto&& stopped) {
          const Workspace w(parameters.n_hidden, n_threads, workspace, thread);
          for (int i; (i = next()) >= 0;) {
            const int begin = i * piece, left = n - begin;
            if (!predict_piece(activation, parameters, pass, job, first, keys + begin,
                               left < piece ? left : piece, w, stopped))
              return;
          }
        };
        return run_pieces(divide_up(n, piece), execution, worker);
      });
      if (!done) return false;
    }
  return true;
}

}  // namespace mlp

inline std::int64_t predict_shifts_mlp_workspace(int n_hidden, ShiftGrid, int n_threads) {
  return mlp::Workspace(n_hidden, n_threads, nullptr, 0).bytes;
}

inline bool predict_shifts_mlp(Activation activation, const MlpParameters& parameters,
                               const ShiftedImages& job, void* workspace, Execution execution) {
  return mlp::predict(activation, parameters, job, workspace, execution);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
