// predict_shifts for LeNet-5 and symmetric LeNet-5.
//
// The algorithm:
//   for each image, dy, dx
//     moved = image moved by (dx, dy) and cropped to its frame
//     predictions[image][dy][dx] = argmax of LeNet-5(moved)
//
// The schedule:
//   pack the weights (weights.h); answer a blank image
//   for each chunk of 8192 images                memory does not grow with their number
//     sort them by what they lose (lossy_order)  threads share the keys
//     for each lane group, a piece to a thread   as many images as a vector has lanes
//       shifts that leave no ink in the frame: the blank answer
//       the others are a subgrid; on its canvas (canvas.h)
//         C1 to S4 of all its shifts             s4.h
//         for each phase f % 4
//           for each tile of 3, 2 or 1 of its dx
//             C5 to the answers, all dy          c5.h
//
// Images lie in the lanes, so no lane talks to another: there are no shuffles, and the sparse table
// costs nothing. Images are sorted because a shift that is lossy for one image of a lane group is
// computed as lossy for all of them. For each pattern of the default grid on MNIST, LeNet-5 takes
// 45 thousand multiply-adds in the Toom-Cook forms, instead of 327 thousand the plain way: C5 52 %,
// F6 and output 24 %, C3 19 %, the rest C1. Multiply-adds take three quarters of the time, tanh a
// tenth, and the transforms to the points and back, pooling and the frame the rest: it is bound by
// the issue of multiply-adds.
#pragma once

#include "cpu/images/answers.h"
#include "cpu/images/ink.h"
#include "cpu/lenet5/c5.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/workspace.h"
#include "host/image_order.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The sort key of an image: whether the grid's outermost dy push ink out at the top and bottom;
// then how many columns of ink its outermost dx push out at the left, then at the right,
// alternately ascending and descending.
inline int lossy_order(const InkBox& box, ShiftGrid grid) {
  if (box.empty()) return 0;
  constexpr int kDepths = kImageSize + 1;
  const auto depth = [](int lost) { return lost < 0 ? 0 : lost < kImageSize ? lost : kImageSize; };
  const int dx_last = grid.dx_first + grid.n_dx - 1, dy_last = grid.dy_first + grid.n_dy - 1;
  const int left = depth(-(box.x0 + grid.dx_first)), right = depth(box.x1 + dx_last - 27);
  const int rows = 2 * (box.y0 + grid.dy_first < 0) + (box.y1 + dy_last >= kImageSize);
  return (rows * kDepths + left) * kDepths + (left % 2 ? kDepths - 1 - right : right);
}

// A thread's memory.
struct Lenet5Scratch {
  vec* ink;
  CanvasRows rows;
  EdgeRows edge;
  EdgeColumns columns;
  C5Memory c5;

  Lenet5Scratch(Workspace& workspace, ShiftGrid grid) {
    const Canvas canvas(grid);
    const int s2_columns = canvas.x.s2(), n_dy = canvas.y.n;
    const std::int64_t s4_row_size = s4_row(canvas);
    const std::int64_t s4_size = std::int64_t{canvas.y.s4()} * kMaps3;
    const std::int64_t outermost_size = std::int64_t{n_dy} * kMaps3;
    ink = workspace.take<vec>((kInkStride + 1) * kInkStride);
    rows.c1 = workspace.take<vec>((s2_columns + 1) * kMaps1);
    rows.c1_x_sums = workspace.take<vec>(2 * s2_columns * kMaps1);
    rows.s2.values = workspace.take<vec>(kS2Row);
    rows.s2_points = workspace.take<vec>(kS2Ring * s2_points_row(canvas));
    rows.products = workspace.take<vec>(kC3Planes * kMaps3 * kTileBlock);
    rows.c3.sums = workspace.take<vec>(c3_row(canvas));
    rows.c3.edge_column_sums = workspace.take<vec>(grid.n_dx * kMaps3);
    rows.c3_x_sums = workspace.take<vec>(kC3Ring * c3_row(canvas));
    rows.s4 = workspace.take<vec>(canvas.y.s4() * s4_row_size);
    edge.c1_x_sums = workspace.take<vec>(2 * s2_columns * kMaps1);
    edge.s2.values = workspace.take<vec>(kS2Row);
    edge.s2_points = workspace.take<vec>(s2_points_row(canvas));
    edge.c3.sums = workspace.take<vec>(c3_row(canvas));
    edge.s4 = workspace.take<vec>(n_dy * s4_row_size);
    for (int k = 0; k < grid.n_dx; ++k) {
      EdgeColumn& column = columns.column[k];
      column.c1_x_sums = workspace.take<vec>(2 * kMaps1);
      column.s2 = workspace.take<vec>(kS2Ring * kMaps1);
      column.c3 = workspace.take<vec>(kC3Ring * kMaps3);
      column.s4 = workspace.take<vec>(s4_size);
      column.s4_top = workspace.take<vec>(outermost_size);
      column.s4_bottom = workspace.take<vec>(outermost_size);
    }
    c5.s4 = workspace.take<vec>(TileForm<kMaxTile>::points * s4_size);
    c5.s4_top = workspace.take<vec>(TileForm<kMaxTile>::points * outermost_size);
    c5.s4_bottom = workspace.take<vec>(TileForm<kMaxTile>::points * outermost_size);
    c5.products = workspace.take<vec>(TileForm<kMaxTile>::points * kC5Units * kRowBlock);
    c5.c5 = workspace.take<vec>(kMaxTile * kRowBlock * kC5Units);
    c5.f6 = workspace.take<vec>(kRowBlock * kF6Units);
  }
};

// Images in the lanes; pixel / 255.
inline void load_ink(const std::uint8_t* const* images, const InkBox& box, vec* ink) {
  for (int i = 0; i < (kInkStride + 1) * kInkStride; ++i) ink[i] = vec{};
  float* const target = reinterpret_cast<float*>(ink);
  for (int l = 0; l < kLanes; ++l) {
    if (images[l] == nullptr) continue;
    for (int y = box.y0; y <= box.y1; ++y)
      for (int x = box.x0; x <= box.x1; ++x)
        target[((y + kBorder) * kInkStride + x + kBorder) * kLanes + l] =
            images[l][y * kImageSize + x];
  }
  for (int y = box.y0; y <= box.y1; ++y)
    for (int x = box.x0; x <= box.x1; ++x)
      ink[(y + kBorder) * kInkStride + x + kBorder] *= 1.0f / 255.0f;
}

// The subgrid of shifts that leave ink of `box` in the frame.
inline ShiftGrid inked_shifts(const ShiftGrid& grid, const InkBox& box) {
  if (box.empty()) return {grid.dx_first, 0, grid.dy_first, 0};
  const auto first = [](int a, int b) { return a > b ? a : b; };
  const auto last = [](int a, int b) { return a < b ? a : b; };
  const int dx = first(grid.dx_first, -box.x1), dy = first(grid.dy_first, -box.y1);
  return {dx, last(grid.dx_first + grid.n_dx, kImageSize - box.x0) - dx, dy,
          last(grid.dy_first + grid.n_dy, kImageSize - box.y0) - dy};
}

// The shifts of `grid`, a subgrid of the job's that leaves ink in the frame, for the images of one
// lane group with ink in `box`.
template <class Table>
[[gnu::noinline]] void answer_lane_group(Activation activation, const Lenet5Weights& w,
                                         Lenet5Scratch& scratch, ShiftGrid grid,
                                         const std::uint8_t* const* images, const InkBox& box,
                                         Answers& answers) {
  const Canvas canvas(grid);
  const int n_dx = canvas.x.n;
  load_ink(images, box, scratch.ink);
  const LossyShifts lossy = {canvas.y.lossy(box.y0, box.y1), canvas.x.lossy(box.x0, box.x1)};
  EdgeColumns& columns = scratch.columns;
  columns.n = lossy.x.count();
  for (int k = 0; k < columns.n; ++k) {
    columns.column[k].f = lossy.x.offset(k, n_dx);
    columns.column[k].end = lossy.x.end(k);
  }
  const Lenet5Inputs in = {activation, canvas, w, box, lossy, scratch.ink};
  compute_s4<Table>(in, scratch.rows, scratch.edge, columns);
  answers.stride = answers.job->grid.n_dx;
  answers.offset = (canvas.y.last_shift - answers.job->grid.dy_first) * answers.stride +
                   canvas.x.last_shift - answers.job->grid.dx_first;
  for (int phase = 0; phase < 4; ++phase)
    for (int f = phase, n_windows; f < n_dx; f += 4 * n_windows) {
      const auto answer = [&](auto m) {
        const EdgeColumn* edge_column[m.value];
        for (int k = 0; k < m.value; ++k) {
          const int edge = lossy.x.edge_of(f + 4 * k, n_dx);
          edge_column[k] = edge < 0 ? nullptr : &columns.column[edge];
        }
        answer_windows<m.value>(in, scratch.rows.s4, scratch.edge.s4, f, edge_column, scratch.c5,
                                answers);
        n_windows = m.value;
      };
      const int left = (n_dx - f + 3) / 4;  // windows of this phase; four are 2 + 2
      if (left == 1)
        answer(Constant<1>{});
      else if (left == 2 || left == 4)
        answer(Constant<2>{});
      else
        answer(Constant<3>{});
    }
}

class Lenet5Predictor {
 public:
  Lenet5Predictor(Workspace& workspace, const Lenet5& model, const ShiftedImages& job,
                  int n_threads)
      : activation_(model.activation),
        job_(job),
        answer_lane_group_(model.table == C3Table::sparse ? answer_lane_group<SparseC3>
                                                          : answer_lane_group<DenseC3>),
        weights_(workspace, model.table == C3Table::sparse ? SparseC3::table : DenseC3::table),
        boxes_(workspace.take<InkBox>(kChunk)),
        keys_(workspace.take<std::uint64_t>(kChunk)),
        threads_(workspace, job.grid, n_threads),
        n_threads_(n_threads) {}

  bool run(const Lenet5Parameters& parameters, Execution execution) {
    weights_.pack(activation_, parameters);
    answer_blank();
    return for_chunks(job_.n_images,
                      [&](std::int64_t first, int n) { return run_chunk(first, n, execution); });
  }

 private:
  Activation activation_;
  const ShiftedImages& job_;
  decltype(&answer_lane_group<DenseC3>) answer_lane_group_;
  Lenet5Weights weights_;
  InkBox* boxes_;        // [chunk]
  std::uint64_t* keys_;  // [chunk]: see host/image_order.h
  ThreadParts<Lenet5Scratch, ShiftGrid> threads_;
  int n_threads_;
  std::uint8_t blank_prediction_;
  float blank_logits_[kClasses];

  const std::uint8_t* image(std::int64_t i) const { return job_.images + i * kPixels; }

  // S4 of a blank image is s4_blank, which C5's bias holds.
  void answer_blank() {
    vec c5[kC5Units], f6[kF6Units], logits[kClasses];
    for (int o = 0; o < kC5Units; ++o) c5[o] = broadcast(weights_.c5_bias[o]);
    activate(activation_, c5, kC5Units);
    answer_dense(activation_, weights_, 1, c5, f6, logits);
    blank_prediction_ = static_cast<std::uint8_t>(argmax(logits)[0]);
    for (int c = 0; c < kClasses; ++c) blank_logits_[c] = logits[c][0];
  }

  bool run_chunk(std::int64_t first, int n, Execution execution) {
    order_images(n, n_threads_, keys_, [&](int i) {
      boxes_[i] = ink_box(image(first + i));
      return lossy_order(boxes_[i], job_.grid);
    });
    const auto worker = [&](int thread, auto&& next, auto&& stopped) {
      Lenet5Scratch scratch = threads_.of(thread);
      for (int group; (group = next()) >= 0 && !stopped();) run_group(first, n, group, scratch);
    };
    return run_pieces(divide_up(n, kLanes), execution, worker);
  }

  // A lane group of the n images of the chunk that begins at image `first`.
  void run_group(std::int64_t first, int n, int group, Lenet5Scratch& scratch) const {
    const std::uint64_t* const keys = keys_ + group * kLanes;
    const int left = n - group * kLanes;
    const std::uint8_t* images[kLanes] = {};
    InkBox box;
    Answers answers;
    answers.job = &job_;
    answers.n_lanes = left < kLanes ? left : kLanes;
    for (int l = 0; l < answers.n_lanes; ++l) {
      const int i = number_of(keys[l]);
      box.add(boxes_[i]);
      images[l] = image(first + i);
      answers.first[l] = (first + i) * job_.grid.n_dy * job_.grid.n_dx;
    }
    const ShiftGrid grid = inked_shifts(job_.grid, box);
    if (grid.n_dx < job_.grid.n_dx || grid.n_dy < job_.grid.n_dy) fill_blank(answers);
    if (grid.n_dx > 0 && grid.n_dy > 0)
      answer_lane_group_(activation_, weights_, scratch, grid, images, box, answers);
  }

  // All shifts of a lane group's images.
  void fill_blank(const Answers& answers) const {
    const std::int64_t n = std::int64_t{job_.grid.n_dy} * job_.grid.n_dx;
    for (int l = 0; l < answers.n_lanes; ++l)
      for (std::int64_t i = answers.first[l]; i < answers.first[l] + n; ++i) {
        job_.predictions[i] = blank_prediction_;
        for (int c = 0; job_.logits && c < kClasses; ++c)
          job_.logits[i * kClasses + c] = blank_logits_[c];
      }
  }
};

inline bool run_predictor(const Lenet5& model, const ShiftedImages&, Lenet5Predictor& predictor,
                          Execution execution) {
  return predictor.run(model.parameters, execution);
}

constexpr auto predict_shifts_lenet5 = fused_kernel<run_predictor>;

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
