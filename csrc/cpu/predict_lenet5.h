// predict_shifts for LeNet-5 and symmetric LeNet-5: images in the lanes, all shifts of a lane group
// on shared canvases (lenet5_canvas.h).
//
// Images are sorted by how much ink the grid's largest dx push out of the frame, so that the images
// of a lane group agree on which dx need a correction. A dy that pushes ink of an image out above
// or below gets a job of its own: the image without the lost rows, on a canvas for that dy alone.
#pragma once

#include "../threads.h"
#include "lenet5_c5.h"
#include "lenet5_frame.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Images are taken in chunks, so that memory does not grow with their number.
constexpr int kChunk = 8192;

// Pixels of ink that the grid's outermost dx push out, left and right: 0 ... 28 each.
inline int lost_left(const InkBox& box, ShiftGrid grid) {
  const int lost = -(box.x0 + grid.dx_first);
  return lost > 0 && box.y0 <= box.y1 ? lost : 0;
}
inline int lost_right(const InkBox& box, ShiftGrid grid) {
  const int lost = box.x1 + grid.dx_first + grid.n_dx - 1 - (kImageSize - 1);
  return lost > 0 && box.y0 <= box.y1 ? lost : 0;
}
inline bool loses_rows(const InkBox& box, int dy) {
  return box.y0 <= box.y1 && (box.y0 + dy < 0 || box.y1 + dy >= kImageSize);
}

// One chunk's work: the order of its images, and the (image, dy) pairs that need their own job.
struct Lenet5Schedule {
  InkBox* boxes;               // [chunk]
  std::int32_t* order;         // [chunk], the main jobs' images
  std::int32_t* extra;         // [n_dy][chunk], images of the extra jobs of each dy
  std::int32_t* n_extra;       // [n_dy]

  Lenet5Schedule(Arena& arena, ShiftGrid grid) {
    boxes = arena.take<InkBox>(kChunk);
    order = arena.take<std::int32_t>(kChunk);
    extra = arena.take<std::int32_t>(static_cast<std::int64_t>(grid.n_dy) * kChunk);
    n_extra = arena.take<std::int32_t>(grid.n_dy);
  }

  void sort(std::int64_t n, ShiftGrid grid) const {
    // By loss on the left, then on the right, up and down in turn: a counting sort.
    constexpr int kDepths = kImageSize + 1;
    std::int32_t start[kDepths * kDepths + 1] = {};
    const auto key = [&](std::int64_t i) {
      const int left = lost_left(boxes[i], grid), right = lost_right(boxes[i], grid);
      return left * kDepths + (left % 2 ? kDepths - 1 - right : right);
    };
    for (std::int64_t i = 0; i < n; ++i) ++start[key(i) + 1];
    for (int k = 0; k < kDepths * kDepths; ++k) start[k + 1] += start[k];
    for (std::int64_t i = 0; i < n; ++i) order[start[key(i)]++] = static_cast<std::int32_t>(i);
    for (int row = 0; row < grid.n_dy; ++row) {
      n_extra[row] = 0;
      for (std::int64_t i = 0; i < n; ++i)
        if (loses_rows(boxes[order[i]], grid.dy_first + row))
          extra[row * kChunk + n_extra[row]++] = order[i];
    }
  }
};

// A thread's memory.
struct Lenet5Scratch {
  Lenet5Rows rows;
  Lenet5Tile tile;
  LossyShift lossy[kMaxShifts];
  vec* delta_c3;

  Lenet5Scratch(Arena& arena, ShiftGrid grid) {
    const Canvas canvas(grid);
    rows.ink = arena.take<vec>((kInkStride + 1) * kInkStride);
    rows.c1 = arena.take<vec>((canvas.s2_columns() + 1) * kMaps1);
    rows.pairs = arena.take<vec>(2 * canvas.s2_columns() * kMaps1);
    rows.s2 = arena.take<vec>(2 * kMaps1 * kS2Parity);
    rows.tiles = arena.take<vec>(kRing * tiles_row(canvas));
    rows.products = arena.take<vec>(kC3Products * kMaps3 * kTileBlock);
    rows.c3 = arena.take<vec>(c3_row(canvas) + kMaps3);
    rows.c3_pairs = arena.take<vec>(3 * c3_row(canvas));
    rows.s4 = arena.take<vec>(static_cast<std::int64_t>(canvas.s4_rows()) * s4_row(canvas));
    tile.s4 = arena.take<vec>(kC3Products * canvas.s4_rows() * kMaps3);
    tile.products = arena.take<vec>(kC3Products * kC5Units * kRowBlock);
    tile.c5 = arena.take<vec>(kMaxTile * kRowBlock * kC5Units);
    tile.f6 = arena.take<vec>(kRowBlock * kF6Units);
    delta_c3 = arena.take<vec>(canvas.c3_rows() * kMaps3);
    for (int i = 0; i < grid.n_dx; ++i) {
      lossy[i].s2 = arena.take<vec>(canvas.s2_rows() * kMaps1);
      lossy[i].c3 = arena.take<vec>(canvas.c3_rows() * kMaps3);
      lossy[i].delta_s4 = arena.take<vec>(canvas.s4_rows() * kMaps3);
    }
  }
};

// Images in the lanes, each cut to rows y_first ... y_last; pixel / 255.
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

// All shifts of `grid` for the images of one lane group, n of them, with ink in `box`.
template <class Table>
[[gnu::noinline]] void answer_lane_group(Activation activation, const Lenet5Weights& w,
                                         const Lenet5Scratch& scratch, ShiftGrid grid,
                                         const std::uint8_t* const* images, const InkBox& box,
                                         Answers& answers) {
  const Canvas canvas(grid);
  load_ink(images, box, scratch.rows.ink);
  LossyShift lossy[kMaxShifts];
  const LossyShift* lossy_at[kMaxShifts + 4 * kMaxTile] = {};
  int n_lossy = 0;
  for (int f = 0; f < grid.n_dx; ++f) {
    const int dx = canvas.dx_last - f;
    const bool right = box.x1 + dx >= kImageSize, left = box.x0 + dx < 0;
    if (box.y0 > box.y1 || !(left || right)) continue;
    lossy[n_lossy] = scratch.lossy[n_lossy];
    lossy[n_lossy].f = f;
    lossy[n_lossy].right = right;
    lossy_at[f] = &lossy[n_lossy++];
  }
  compute_s4<Table>(activation, canvas, w, box, lossy, n_lossy, scratch.rows);
  for (int i = 0; i < n_lossy; ++i)
    correct_frame(activation, canvas, w, box, scratch.rows.ink, lossy[i], scratch.delta_c3);
  answers.stride = answers.job->grid.n_dx;
  answers.offset = (canvas.dy_last - answers.job->grid.dy_first) * answers.stride +
                   canvas.dx_last - answers.job->grid.dx_first;
  for (int phase = 0; phase < 4; ++phase)
    for (int f = phase; f < grid.n_dx;) {
      const LossyShift* const window_lossy[kMaxTile] = {lossy_at[f], lossy_at[f + 4],
                                                        lossy_at[f + 8]};
      const int left = (grid.n_dx - f + 3) / 4;
      const auto answer = [&](auto m) {
        answer_tile<m.value>(activation, canvas, w, scratch.rows.s4, f, window_lossy, scratch.tile,
                                  answers);
        f += 4 * m.value;
      };
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
  Lenet5Predictor(C3Form form, Activation activation, const ShiftedImages& job, void* workspace,
                  int n_threads)
      : activation_(activation), job_(job),
        answer_lane_group_(form == C3Form::sparse ? answer_lane_group<SparseC3>
                                                  : answer_lane_group<DenseC3>),
        arena_(workspace),
        weights_(arena_, form == C3Form::sparse ? SparseC3::table : DenseC3::table),
        schedule_(arena_, job.grid), n_threads_(n_threads), start_(static_cast<char*>(workspace)) {
    scratch_first_ = arena_.bytes();
    Arena one(nullptr);
    Lenet5Scratch(one, job.grid);
    scratch_bytes_ = one.bytes();
  }

  std::int64_t bytes() const { return scratch_first_ + n_threads_ * scratch_bytes_; }

  bool run(const Lenet5Parameters& parameters, Execution execution) {
    weights_.pack(parameters);
    for (std::int64_t first = 0; first < job_.n_images; first += kChunk) {
      const std::int64_t left = job_.n_images - first;
      if (!run_chunk(first, left < kChunk ? left : kChunk, execution)) return false;
    }
    return true;
  }

 private:
  Activation activation_;
  const ShiftedImages& job_;
  decltype(&answer_lane_group<DenseC3>) answer_lane_group_;
  Arena arena_;
  Lenet5Weights weights_;
  Lenet5Schedule schedule_;
  int n_threads_;
  char* start_;
  std::int64_t scratch_first_, scratch_bytes_;

  const std::uint8_t* image(std::int64_t i) const { return job_.images + i * kPixels; }

  bool run_chunk(std::int64_t first, std::int64_t n, Execution execution) {
    run_on_threads(n_threads_, [&](int thread) {
      const Share share = share_of(n, thread, n_threads_);
      for (std::int64_t i = share.first; i < share.stop; ++i)
        schedule_.boxes[i] = ink_box(image(first + i));
    });
    schedule_.sort(n, job_.grid);
    // The main jobs also answer the shifts that lose rows, wrongly: the extra jobs come after them.
    return run_queue(divide_up(static_cast<int>(n), kLanes), execution,
                     [&](std::int64_t group, const Lenet5Scratch& scratch) {
                       run_main(first, n, static_cast<int>(group), scratch);
                     }) &&
           run_extra_jobs(first, execution);
  }

  bool run_extra_jobs(std::int64_t first, Execution execution) {
    int start[kMaxShifts + 1] = {};  // the number of the first job of each dy
    for (int row = 0; row < job_.grid.n_dy; ++row)
      start[row + 1] = start[row] + divide_up(schedule_.n_extra[row], kLanes);
    return run_queue(start[job_.grid.n_dy], execution,
                     [&](std::int64_t piece, const Lenet5Scratch& scratch) {
                       int row = 0;
                       while (piece >= start[row + 1]) ++row;
                       run_extra(first, row, static_cast<int>(piece) - start[row], scratch);
                     });
  }

  template <class Body>
  bool run_queue(std::int64_t n_pieces, Execution execution, Body&& body) {
    WorkQueue queue(n_pieces);
    run_on_threads(n_threads_, [&](int thread) {
      Arena arena(start_ + scratch_first_ + thread * scratch_bytes_);
      const Lenet5Scratch scratch(arena, job_.grid);
      for (std::int64_t piece; (piece = queue.next()) >= 0;) {
        body(piece, scratch);
        if (thread == 0 && execution.should_stop()) queue.stop();
      }
    });
    return !queue.stopped();
  }

  // The images order[0 ... n_lanes) of a chunk, side by side; their boxes united.
  InkBox gather(std::int64_t first, const std::int32_t* order, int n_lanes,
                const std::uint8_t** images, Answers& answers) const {
    InkBox box;
    answers.job = &job_;
    answers.n_lanes = n_lanes;
    for (int l = 0; l < n_lanes; ++l) {
      box.add(schedule_.boxes[order[l]]);
      images[l] = image(first + order[l]);
      answers.first[l] = (first + order[l]) * job_.grid.n_dy * job_.grid.n_dx;
    }
    return box;
  }

  void run_main(std::int64_t first, std::int64_t n, int group, const Lenet5Scratch& scratch) const {
    const std::int32_t* const order = schedule_.order + group * kLanes;
    const std::int64_t left = n - group * kLanes;
    const std::uint8_t* images[kLanes] = {};
    Answers answers;
    const int n_lanes = static_cast<int>(left < kLanes ? left : kLanes);
    const InkBox box = gather(first, order, n_lanes, images, answers);
    // Only the dy at which some image keeps all its rows: a range, since every image's is.
    ShiftGrid grid = job_.grid;
    const auto all_lose = [&](int dy) {
      for (int l = 0; l < n_lanes; ++l)
        if (!loses_rows(schedule_.boxes[order[l]], dy)) return false;
      return true;
    };
    while (grid.n_dy > 0 && all_lose(grid.dy_first)) ++grid.dy_first, --grid.n_dy;
    while (grid.n_dy > 0 && all_lose(grid.dy_first + grid.n_dy - 1)) --grid.n_dy;
    if (grid.n_dy > 0)
      answer_lane_group_(activation_, weights_, scratch, grid, images, box, answers);
  }

  void run_extra(std::int64_t first, int row, int piece, const Lenet5Scratch& scratch) const {
    const int dy = job_.grid.dy_first + row;
    const int left = schedule_.n_extra[row] - piece * kLanes;
    const std::uint8_t* images[kLanes] = {};
    Answers answers;
    InkBox box = gather(first, schedule_.extra + row * kChunk + piece * kLanes,
                        left < kLanes ? left : kLanes, images, answers);
    if (box.y0 + dy < 0) box.y0 = -dy;  // only the rows that stay
    if (box.y1 + dy >= kImageSize) box.y1 = kImageSize - 1 - dy;
    const ShiftGrid grid = {job_.grid.dx_first, job_.grid.n_dx, dy, 1};
    answer_lane_group_(activation_, weights_, scratch, grid, images, box, answers);
  }
};

inline std::int64_t predict_shifts_lenet5_workspace(C3Form form, ShiftGrid grid, int n_threads) {
  const ShiftedImages job = {nullptr, 0, grid, nullptr, nullptr};
  return Lenet5Predictor(form, Activation::tanh, job, nullptr, n_threads).bytes();
}

inline bool predict_shifts_lenet5(C3Form form, Activation activation,
                                  const Lenet5Parameters& parameters, const ShiftedImages& job,
                                  void* workspace, Execution execution) {
  return Lenet5Predictor(form, activation, job, workspace, execution.n_threads)
      .run(parameters, execution);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
