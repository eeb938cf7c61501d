// Convolution whose windows are found in tables.
//
// The algorithm:
//   output[n][i][j][o] = clamp(bias[o] + sum over u, v, c of
//       weight[u][v][c][o] * input[n][rows[i][u]][columns[j][v]][c])
// with 0 for the input where a table has -1. Any stride, dilation and padding is a table. So is a
// map in which some lines belong to all shifts and others to one shift each.
//
// The schedule is that of the indirect convolution (Dukhan 2019, arXiv 1907.02129): a matrix
// product, block by block, of places (n, i, j) and outputs o. Instead of a copy of each place's
// window there is a list of pointers to its cells, each n_channels values long. With few channels a
// pointer points to all cells under a row of the kernel, which are copied only if they are not
// neighbours in the input. A thread takes a piece of places. For each part of the taps and each two
// vectors of outputs it copies the weights into a panel, which stays in the L2 cache while all
// blocks of the piece are multiplied with it. Between two parts of the taps the sums wait in the
// output. A vector holds half as many doubles as floats; all else is the same for both.
//
// What bounds it: multiply-adds, at 80 to 90 % of their peak from 32 channels on: a block of 12
// places by two vectors loads 14 values for 24 multiply-adds. With one channel, making the list and
// the copies takes half of the time.
#pragma once

#include "cpu/indirect/windows.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/workspace.h"
#include "host/stop.h"
#include "host/threads.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The sums of a block, two vectors of weights and a value fill 27 of 32 registers, or 15 of 16.
constexpr int kPlaceBlock = kRegisters >= 32 ? 12 : 6;
template <class T>
constexpr int kWeightBlock = 2 * kLanesOf<T>;

// Places that a thread takes at once: enough that copying a panel takes a hundredth of the time of
// its products.
constexpr int kPiecePlaces = 32 * kPlaceBlock;
// Rows of a panel, one for each tap and channel: 256 KiB with AVX-512.
constexpr int kPanelRows = 2048;

// With fewer channels than this, what the list points to is all cells under a row of the kernel.
constexpr int kListedChannels = 12;

// What a pointer of the list points to: the cells under some neighbouring taps.
struct ListedCells {
  int n_taps;    // of one pointer: a row of the kernel, or 1
  int n_values;  // of one pointer
  int n_listed;  // pointers of a place whose weights are in a panel at once, or fewer
  template <class T>
  explicit ListedCells(const IndirectWindows<T>& w) {
    const bool are_rows =
        w.n_channels < kListedChannels && std::int64_t{w.n_channels} * w.kernel_width <= kPanelRows;
    n_taps = are_rows ? w.kernel_width : 1;
    n_values = n_taps * w.n_channels;
    const std::int64_t all = n_kernel_taps(w) / n_taps, most = kPanelRows / n_values;
    n_listed = static_cast<int>(all < most ? all : most > 0 ? most : 1);
  }
  bool are_rows() const { return n_taps > 1; }
};

template <class T>
struct ConvThread {
  const T** cells;  // [blocks of a piece][n_listed][kPlaceBlock]
  T* copies;        // [kPiecePlaces][n_listed][n_values]: rows that are not in the input
  T* panel;         // [n_listed][n_values][kWeightBlock<T>]
  ConvThread(Workspace& workspace, const IndirectWindows<T>& w)
      : ConvThread(workspace, ListedCells(w)) {}

 private:
  ConvThread(Workspace& workspace, ListedCells list)
      : cells(workspace.take<const T*>(std::int64_t{list.n_listed} * kPiecePlaces)),
        copies(workspace.take<T>(
            list.are_rows() ? std::int64_t{list.n_listed} * list.n_values * kPiecePlaces : 0)),
        panel(workspace.take<T>(std::int64_t{list.n_listed} * list.n_values * kWeightBlock<T>)) {}
};

template <class T>
struct ConvMemory {
  Offsets offsets;
  T* zeros;      // [n_values]: cells outside the input
  bool* is_run;  // [out_width]: whether the columns under the kernel are neighbours
  ThreadParts<ConvThread<T>, IndirectWindows<T>> threads;
  ConvMemory(Workspace& workspace, const IndirectWindows<T>& w, int n_threads)
      : offsets(workspace, w),
        zeros(workspace.take<T>(ListedCells(w).n_values)),
        is_run(workspace.take<bool>(w.out_width)),
        threads(workspace, w, n_threads) {}
};

// Vectors of outputs at places: those of place m begin at start + m * stride. Places beyond the
// last one repeat it.
template <class T>
struct Places {
  T* start;
  std::int64_t stride;
  int last;
  T* operator[](int m) const { return start + (m < last ? m : last) * stride; }
};

// Sums over all listed cells and their values of value and weight, for kPlaceBlock places and
// n_vectors vectors of outputs, of which the last has n_last values. They start with the values at
// `from` and go to `to`.
template <int n_vectors, class T>
[[gnu::noinline]] void multiply_block(const T* const* cells, int n_listed, int n_values,
                                      const T* panel, Places<const T> from, Places<T> to,
                                      int n_last, Clamp<T> clamp) {
  const auto n_outputs = [=](int v) { return v == n_vectors - 1 ? n_last : kLanesOf<T>; };
  Vec<T> sum[kPlaceBlock][n_vectors];
#pragma GCC unroll 12
  for (int m = 0; m < kPlaceBlock; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < n_vectors; ++v)
      sum[m][v] = load_first(from[m] + v * kLanesOf<T>, n_outputs(v));

  for (int t = 0; t < n_listed; ++t, cells += kPlaceBlock) {
    const T* cell[kPlaceBlock];
#pragma GCC unroll 12
    for (int m = 0; m < kPlaceBlock; ++m) cell[m] = cells[m];
    for (int c = 0; c < n_values; ++c, panel += n_vectors * kLanesOf<T>) {
      Vec<T> weight[n_vectors];
#pragma GCC unroll 2
      for (int v = 0; v < n_vectors; ++v)
        weight[v] = load_once<T>(reinterpret_cast<const Vec<T>*>(panel) + v);
#pragma GCC unroll 12
      for (int m = 0; m < kPlaceBlock; ++m) {
        const Vec<T> x = broadcast(cell[m][c]);
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; ++v) sum[m][v] += x * weight[v];
      }
    }
  }

#pragma GCC unroll 12
  for (int m = 0; m < kPlaceBlock; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < n_vectors; ++v)
      store_first(to[m] + v * kLanesOf<T>, clamped<T>(sum[m][v], clamp), n_outputs(v));
}

template <class T>
struct ConvRun {
  const IndirectConv<T>& conv;
  const ConvMemory<T>& memory;
  const ListedCells list;
  Stop& stop;

  // Computes the places first ... first + n - 1; n <= kPiecePlaces.
  void run_piece(std::int64_t first, int n, int thread) {
    const ConvThread<T> own = memory.threads.of(thread);
    const std::int64_t all = n_kernel_taps(conv.windows) / list.n_taps;
    for (std::int64_t t = 0; t < all; t += list.n_listed) {
      const std::int64_t left = all - t;
      const bool is_last = left <= list.n_listed;
      const Part part = {first, n, t * list.n_taps,
                         is_last ? static_cast<int>(left) : list.n_listed, is_last};
      find_cells(part, own);
      for (std::int64_t o = 0; o < conv.n_outputs; o += kWeightBlock<T>) {
        if (stop.requested(thread)) return;
        if (conv.n_outputs - o > kLanesOf<T>)
          multiply_outputs<2>(part, o, own);
        else
          multiply_outputs<1>(part, o, own);
      }
    }
  }

 private:
  // Some places and some taps.
  struct Part {
    std::int64_t first;
    int n;
    std::int64_t tap;  // the first
    int n_listed;
    bool is_last;  // of the taps
  };

  // Fills own.cells. Places beyond the last one repeat it.
  void find_cells(const Part& part, const ConvThread<T>& own) const {
    const IndirectWindows<T>& w = conv.windows;
    const std::int64_t u = part.tap / w.kernel_width;
    const int v = static_cast<int>(part.tap % w.kernel_width);
    Place<T> place(w, memory.offsets, part.first);
    const std::int64_t block_size = std::int64_t{part.n_listed} * kPlaceBlock;
    for_segments(place, part.n, kPlaceBlock, [&](int m, int n) {
      const T** const cells = own.cells + m / kPlaceBlock * block_size + m % kPlaceBlock;
      if (!list.are_rows())
        return place.template list_cells<kPlaceBlock>(u, v, part.n_listed, n, memory.zeros, cells);
      place.template list_rows<kPlaceBlock>(u, part.n_listed, n, memory.zeros, cells);
      for (int k = 0; k < n; ++k)
        if (!memory.is_run[place.column() + k])
          place.template list_copies<kPlaceBlock>(
              u, part.n_listed, k, memory.zeros,
              own.copies + std::int64_t{m + k} * part.n_listed * list.n_values, cells + k);
    });
    const int last = (part.n - 1) / kPlaceBlock;
    repeat_last<kPlaceBlock>(part.n - last * kPlaceBlock, part.n_listed,
                             own.cells + last * block_size);
  }

  // The outputs o ... of all places of a part.
  template <int n_vectors>
  void multiply_outputs(const Part& part, std::int64_t o, const ConvThread<T>& own) const {
    const std::int64_t n_outputs = conv.n_outputs;
    const std::int64_t most = n_outputs - o - (n_vectors - 1) * kLanesOf<T>;
    const int n_last = most < kLanesOf<T> ? static_cast<int>(most) : kLanesOf<T>;
    const std::int64_t n_rows = std::int64_t{part.n_listed} * list.n_values;
    const T* weight = conv.weight + part.tap * conv.windows.n_channels * n_outputs + o;
    for (std::int64_t k = 0; k < n_rows; ++k, weight += n_outputs)
      for (int v = 0; v < n_vectors; ++v)
        store(own.panel + (k * n_vectors + v) * kLanesOf<T>,
              load_first(weight + v * kLanesOf<T>, v == n_vectors - 1 ? n_last : kLanesOf<T>));

    const Clamp<T> clamp = part.is_last ? conv.clamp : kNoClamp<T>;
    for (int m = 0; m < part.n; m += kPlaceBlock) {
      const Places<T> to = {conv.output + (part.first + m) * n_outputs + o, n_outputs,
                            part.n - m - 1};
      const Places<const T> sums = {to.start, to.stride, to.last};
      const Places<const T> bias = {conv.bias + o, 0, 0};
      multiply_block<n_vectors>(own.cells + std::int64_t{m} * part.n_listed, part.n_listed,
                                list.n_values, own.panel, part.tap == 0 ? bias : sums, to, n_last,
                                clamp);
    }
  }
};

template <class T>
inline std::int64_t indirect_conv_workspace(const IndirectConv<T>& conv, int n_threads) {
  return bytes_of<ConvMemory<T>>(conv.windows, n_threads);
}

template <class T>
inline bool indirect_conv(const IndirectConv<T>& conv, void* start, Execution execution) {
  const IndirectWindows<T>& windows = conv.windows;
  Workspace workspace(start);
  const ConvMemory<T> memory(workspace, windows, execution.n_threads);
  memory.offsets.fill(windows);
  const ListedCells list(windows);
  for (int c = 0; c < list.n_values; ++c) memory.zeros[c] = 0;
  for (std::int64_t j = 0; j < windows.out_width; ++j) {
    const std::int64_t* const under = windows.columns + j * windows.kernel_width;
    memory.is_run[j] = under[0] >= 0;
    for (int v = 1; v < windows.kernel_width; ++v) memory.is_run[j] &= under[v] == under[0] + v;
  }

  const std::int64_t total = n_places(windows);
  const std::int64_t share = (total + execution.n_threads - 1) / execution.n_threads;
  const int block =
      share < kPiecePlaces ? round_up(static_cast<int>(share), kPlaceBlock) : kPiecePlaces;
  Stop stop(execution);
  WorkQueue blocks(block > 0 ? (total + block - 1) / block : 0);
  run_on_threads(execution.n_threads, [&](int thread) {
    ConvRun<T> run = {conv, memory, list, stop};
    for (std::int64_t i; !stop.requested(thread) && (i = blocks.next()) >= 0;) {
      const std::int64_t left = total - i * block;
      run.run_piece(i * block, left < block ? static_cast<int>(left) : block, thread);
    }
  });
  return !stop.raised();
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
