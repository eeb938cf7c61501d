// Depthwise convolution and pooling whose windows are found in tables: each channel by itself.
//
// The algorithm:
//   output[n][i][j][c] = clamp(bias[c] + sum over u, v of
//       weight[u][v][c] * input[n][rows[i][u]][columns[j][v]][c])
//   output[n][i][j][c] = largest, or sum, over u, v of input[n][rows[i][u]][columns[j][v]][c]
// Where a table has -1, the input is 0, or -inf for the largest. The largest of values one of which
// is NaN is NaN.
//
// The schedule: for each block of places, a list of pointers to the cells under the kernel. Then,
// with channels in the lanes, for each two vectors of channels all taps, so that a weight that is
// loaded serves all places of the block. If a kernel has more taps than the list holds, the sums
// wait in the output between two parts of the taps.
//
// What bounds it: for each place, one load with each multiply-add, and half as many loads of
// pointers. With 96 channels 85 % of the time goes into the sums, the rest into the list.
#pragma once

#include "cpu/indirect/windows.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/workspace.h"
#include "host/stop.h"
#include "host/threads.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Places and vectors of channels in registers. With a weight for each vector they fill 18 of 32
// registers, or 10 of 16.
constexpr int kChannelPlaces = kRegisters >= 32 ? 8 : 4;
constexpr int kChannelVectors = 2;

constexpr int kListedTaps = 256;
// Values that a thread reads between two questions whether to stop.
constexpr std::int64_t kPieceValues = 1 << 18;

template <class T>
struct ChannelThread {
  const T** cells;  // [kListedTaps or fewer][kChannelPlaces]
  ChannelThread(Workspace& workspace, const IndirectWindows<T>& w)
      : cells(workspace.take<const T*>(
            (n_kernel_taps(w) < kListedTaps ? n_kernel_taps(w) : kListedTaps) * kChannelPlaces)) {}
};

template <class T>
struct ChannelMemory {
  Offsets offsets;
  T* outside;  // [n_channels]: a cell outside the input
  ThreadParts<ChannelThread<T>, IndirectWindows<T>> threads;
  ChannelMemory(Workspace& workspace, const IndirectWindows<T>& w, int n_threads)
      : offsets(workspace, w),
        outside(workspace.take<T>(w.n_channels)),
        threads(workspace, w, n_threads) {}
};

// How the values under a kernel become one: join(start(c), x, operand(tap, c)) for one tap after
// the other; c is the first channel of a vector of n values. outside: the input where a table has
// -1.
template <class T>
struct Depthwise {
  static constexpr T outside = 0;
  const T* weight;
  const T* bias;
  std::int64_t n_channels;
  Vec<T> start(std::int64_t c, int n) const { return load_first(bias + c, n); }
  Vec<T> operand(std::int64_t tap, std::int64_t c, int n) const {
    return load_first(weight + tap * n_channels + c, n);
  }
  static Vec<T> join(Vec<T> sum, Vec<T> x, Vec<T> weight) { return sum + x * weight; }
};
template <class T>
struct Sum {
  static constexpr T outside = 0;
  static Vec<T> start(std::int64_t, int) { return Vec<T>{}; }
  static Vec<T> operand(std::int64_t, std::int64_t, int) { return Vec<T>{}; }
  static Vec<T> join(Vec<T> sum, Vec<T> x, Vec<T>) { return sum + x; }
};
template <class T>
struct Largest {
  static constexpr T outside = kNoClamp<T>.low;
  static Vec<T> start(std::int64_t, int) { return Vec<T>{} + outside; }
  static Vec<T> operand(std::int64_t, std::int64_t, int) { return Vec<T>{}; }
  static Vec<T> join(Vec<T> largest, Vec<T> x, Vec<T>) {
    return largest != largest ? largest : larger(largest, x);
  }
};

// Some taps at some places. Places beyond the last one repeat it.
template <class T>
struct ChannelBlock {
  const T* const* cells;
  std::int64_t tap;
  int n_taps;
  bool is_first, is_last;  // of the taps
  T* to[kChannelPlaces];   // [n_channels] of each place
};

// The channels c ... of a block: n_vectors vectors, the last of which has n_last values.
template <int n_vectors, class How, class T>
[[gnu::noinline]] void join_block(const How& how, const ChannelBlock<T>& block, std::int64_t c,
                                  int n_last, Clamp<T> clamp) {
  const auto n_values = [=](int v) { return v == n_vectors - 1 ? n_last : kLanesOf<T>; };
  Vec<T> joined[kChannelPlaces][n_vectors];
#pragma GCC unroll 2
  for (int v = 0; v < n_vectors; ++v) {
    const std::int64_t at = c + v * kLanesOf<T>;
    const Vec<T> start = how.start(at, n_values(v));
#pragma GCC unroll 8
    for (int m = 0; m < kChannelPlaces; ++m)
      joined[m][v] = block.is_first ? start : load_first(block.to[m] + at, n_values(v));
  }

  const T* const* cells = block.cells;
  for (int t = 0; t < block.n_taps; ++t, cells += kChannelPlaces) {
    Vec<T> operand[n_vectors];
#pragma GCC unroll 2
    for (int v = 0; v < n_vectors; ++v)
      operand[v] = how.operand(block.tap + t, c + v * kLanesOf<T>, n_values(v));
#pragma GCC unroll 8
    for (int m = 0; m < kChannelPlaces; ++m) {
      const T* const cell = cells[m] + c;
#pragma GCC unroll 2
      for (int v = 0; v < n_vectors; ++v)
        joined[m][v] =
            How::join(joined[m][v], load_first(cell + v * kLanesOf<T>, n_values(v)), operand[v]);
    }
  }

#pragma GCC unroll 8
  for (int m = 0; m < kChannelPlaces; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < n_vectors; ++v)
      store_first(block.to[m] + c + v * kLanesOf<T>, clamped<T>(joined[m][v], clamp), n_values(v));
}

// All places, on threads.
template <class How, class T>
inline bool join_cells(const How& how, const IndirectWindows<T>& w, T* output, Clamp<T> clamp,
                       void* memory_start, Execution execution) {
  Workspace workspace(memory_start);
  const ChannelMemory<T> memory(workspace, w, execution.n_threads);
  memory.offsets.fill(w);
  for (int c = 0; c < w.n_channels; ++c) memory.outside[c] = How::outside;

  const std::int64_t total = n_places(w), all_taps = n_kernel_taps(w);
  const int n_vectors = (w.n_channels - 1) / kLanesOf<T> + 1;
  // The n <= kChannelPlaces places from `first` on; `place` is the first.
  const auto run_block = [&](std::int64_t first, int n, const Place<T>& place, const T** cells) {
    ChannelBlock<T> block = {cells, 0, 0, true, false, {}};
    for (int m = 0; m < kChannelPlaces; ++m)
      block.to[m] = output + (first + (m < n ? m : n - 1)) * w.n_channels;
    for (; !block.is_last; block.tap += block.n_taps, block.is_first = false) {
      const std::int64_t left = all_taps - block.tap;
      block.is_last = left <= kListedTaps;
      block.n_taps = block.is_last ? static_cast<int>(left) : kListedTaps;
      const std::int64_t u = block.tap / w.kernel_width;
      const int v = static_cast<int>(block.tap % w.kernel_width);
      Place<T> at = place;
      for_segments(at, n, kChannelPlaces, [&](int m, int n_segment) {
        at.template list_cells<kChannelPlaces>(u, v, block.n_taps, n_segment, memory.outside,
                                               cells + m);
      });
      repeat_last<kChannelPlaces>(n, block.n_taps, cells);
      for_blocks<kChannelVectors>(n_vectors, [&](int from, auto size) {
        constexpr int n_block = decltype(size)::value;
        const int last = w.n_channels - (from + n_block - 1) * kLanesOf<T>;
        join_block<n_block>(how, block, std::int64_t{from} * kLanesOf<T>,
                            last < kLanesOf<T> ? last : kLanesOf<T>,
                            block.is_last ? clamp : kNoClamp<T>);
      });
    }
  };

  const std::int64_t piece =
      (kPieceValues / kChannelPlaces / w.n_channels / all_taps + 1) * kChannelPlaces;
  Stop stop(execution);
  WorkQueue pieces((total + piece - 1) / piece);
  run_on_threads(execution.n_threads, [&](int thread) {
    const ChannelThread<T> own = memory.threads.of(thread);
    for (std::int64_t i; !stop.requested(thread) && (i = pieces.next()) >= 0;) {
      for (std::int64_t at = i * piece; at < total && at < (i + 1) * piece; at += kChannelPlaces) {
        const std::int64_t left = total - at;
        run_block(at, left < kChannelPlaces ? static_cast<int>(left) : kChannelPlaces,
                  Place<T>(w, memory.offsets, at), own.cells);
      }
    }
  });
  return !stop.raised();
}

template <class T>
inline std::int64_t indirect_depthwise_workspace(const IndirectConv<T>& conv, int n_threads) {
  return bytes_of<ChannelMemory<T>>(conv.windows, n_threads);
}

template <class T>
inline bool indirect_depthwise(const IndirectConv<T>& conv, void* workspace, Execution execution) {
  const Depthwise<T> how = {conv.weight, conv.bias, conv.windows.n_channels};
  return join_cells(how, conv.windows, conv.output, conv.clamp, workspace, execution);
}

template <class T>
inline std::int64_t indirect_pool_workspace(const IndirectPool<T>& pool, int n_threads) {
  return bytes_of<ChannelMemory<T>>(pool.windows, n_threads);
}

template <class T>
inline bool indirect_pool(const IndirectPool<T>& pool, void* workspace, Execution execution) {
  const auto run = [&](auto how) {
    return join_cells(how, pool.windows, pool.output, kNoClamp<T>, workspace, execution);
  };
  return pool.join == Join::sum ? run(Sum<T>{}) : run(Largest<T>{});
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
