// Sums of 4 x 4 windows of a lane group's images, at the points of a subgrid's form. See
// cpu/perceptron/predict_pooled_mlp.h.
#pragma once

#include "cpu/images/ink.h"
#include "cpu/perceptron/pooled_mlp_subgrid.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/workspace.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {
namespace pooled_mlp {

// A thread's memory for one lane group.
struct Windows {
  vec* lanes;     // [28, 28]: pixels
  vec* row_sums;  // [28, kWindows]
  vec* sums;      // [kWindows, kWindows]
  vec* points;    // [phases, kSpans, points, kRows]

  explicit Windows(Workspace& workspace)
      : lanes(workspace.take<vec>(kPixels)),
        row_sums(workspace.take<vec>(kImageSize * kWindows)),
        sums(workspace.take<vec>(kWindows * kWindows)),
        points(workspace.take<vec>(kPool * kSpans * kMaxPoints * kRows)) {}
};

// A phase's spans of inked columns that meet weights: where the weights of each begin, and its
// number in Windows::points.
struct Spans {
  int n;
  int position[kSpans];
  int number[kSpans];
};

// Where a lane group has ink.
struct GroupInk {
  InkBox box;
  Spans spans[kPool];  // of each phase
};

// The windows' sums of each row of pixels, then of kPool such rows.
inline void sum_windows(const InkBox& box, const Windows& w) {
  for (int y = 0; y < kImageSize; ++y)
    for (int x = 0; x < kWindows; ++x) {
      vec sum = {};
      for (int k = x + kFirstWindow; k < x + kFirstWindow + kPool; ++k)
        if (k >= 0 && k < kImageSize) sum += w.lanes[y * kImageSize + k];
      w.row_sums[y * kWindows + x] = sum;
    }
  for (int y = box.y0 + kFirstWindow; y <= box.y1; ++y)
    for (int x = 0; x < kWindows; ++x) {
      vec sum = {};
      for (int k = y; k < y + kPool; ++k)
        if (k >= 0 && k < kImageSize) sum += w.row_sums[k * kWindows + x];
      w.sums[(y - kFirstWindow) * kWindows + x] = sum;
    }
}

// One span of sums to points [points, kRows]: it begins with the windows of column x.
inline void span_points(const Subgrid& s, const InkBox& box, const vec* sums, int x, vec* points) {
  for (int i = 0; i < s.n_points() * kRows; ++i) points[i] = vec{};
  with_constant<kMaxTile>(s.tile, [&](auto tile) {
    for (int y = box.y0 + kFirstWindow; y <= box.y1; ++y) {
      const vec* const row = sums + (y - kFirstWindow) * kWindows;
      vec in[kSpan];
      for (int k = 0; k < kSpan; ++k) {
        const int at = x + kPool * k - kFirstWindow;
        in[k] = at >= 0 && at < kWindows ? row[at] : vec{};
      }
      taps_to_points<PixelForm<tile.value, kSpan>>(in, points + y - kFirstRow, kRows);
    }
  });
}

// w.lanes to w.points.
inline void window_points(const Subgrid& s, GroupInk& ink, const Windows& w) {
  sum_windows(ink.box, w);
  for (int phase = 0; phase < kPool; ++phase) {
    Spans& spans = ink.spans[phase];
    spans.n = 0;
    const int c_last = floor_divide(ink.box.x1 - phase, kPool);
    int number = 0;
    for (int c = floor_divide(ink.box.x0 - phase, kPool); c <= c_last; c += kSpan, ++number) {
      const int position = c + s.t_first[phase];
      if (position < kFirstPosition || position >= kPooled) continue;  // all weights are zero
      spans.position[spans.n] = position - kFirstPosition;
      spans.number[spans.n++] = number;
      span_points(s, ink.box, w.sums, kPool * c + phase,
                  w.points + (phase * kSpans + number) * kMaxPoints * kRows);
    }
  }
}

}  // namespace pooled_mlp
}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
