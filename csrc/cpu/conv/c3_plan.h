// The plan of a call of c3_conv: which output maps are taken together, how maps are cut into
// patches, how many threads take part, and where everything is in the workspace.
#pragma once

#include "cpu/conv/conv5x5.h"
#include "cpu/conv/patches.h"
#include "cpu/simd/workspace.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The largest workspace of a call, for any shape and number of threads. If all threads together
// would need more, fewer take part.
constexpr std::int64_t kC3Bytes = 64 << 20;
// The part of it for slots of gradients: two of 11 MB each if 62 maps see 62 maps.
constexpr std::int64_t kSlotsBytes = 24 << 20;
// The data that a thread works on at a time should stay in the second-level cache. Whole maps may
// be larger: their windows do not overlap, and grad_input needs no transforms of its own.
constexpr std::int64_t kGroupBytes = 1 << 20, kWholeMapsBytes = 7 << 18;
constexpr std::int64_t kLargestWholeMap = 1 << 12;  // pixels; beyond, no lane group fits

// Output maps first ... first + n - 1, and the number of connections before theirs. The weights of
// kMost maps stay in the cache, and a mask has enough bits to read the table from either side.
struct MapGroup {
  static constexpr int kMost = 62;
  int first, n;
  std::int64_t first_connection;
};

// Calls f(group) for the map groups of a call, in their order.
template <class F>
void for_map_groups(const C3Shape& shape, F&& f) {
  MapGroup group = {0, 0, 0};
  for (; group.first < shape.n_outputs; group.first += group.n) {
    const int left = shape.n_outputs - group.first;
    group.n = left < MapGroup::kMost ? left : MapGroup::kMost;
    f(group);
    group.first_connection += connection_index(shape.table + group.first, group.n, 0);
  }
}

// Which sources each target of a convolution sees.
struct Table {
  const std::int64_t* mask;  // [n_targets]
  int n_sources, n_targets, n_connections;

  Conv5x5 conv_of_patch(const Cut& cut) const {  // from its window
    return {mask, n_sources, n_targets, cut.rows + kTaps - 1, cut.columns + kTaps - 1};
  }
  std::int64_t n_weight_points() const { return std::int64_t{kPoints} * kTaps * n_connections; }
};

inline Table table_of(const C3Shape& shape, const MapGroup& group) {
  const std::int64_t* const mask = shape.table + group.first;
  return {mask, shape.n_inputs, group.n, connection_index(mask, group.n, 0)};
}

// The table read from the other side: sources and targets exchanged.
struct TurnedTable {
  std::int64_t mask[MapGroup::kMost] = {};
  Table table;

  explicit TurnedTable(const Table& t) : table{mask, t.n_targets, t.n_sources, t.n_connections} {
    for (int o = 0; o < t.n_targets; ++o)
      for (int c = 0; c < t.n_sources; ++c) mask[c] |= (t.mask[o] >> c & 1) << o;
  }
  TurnedTable(const TurnedTable&) = delete;  // the table points into it
};

// The work of a lane group, roughly in multiply-adds of a vector, as measured for AVX-512. Whole
// maps are transposed as one long row, patches row by row.
template <class T>
std::int64_t transposition_work(int n_maps, int rows, int columns, bool whole_maps) {
  if (whole_maps) return std::int64_t{6} * n_maps * rows * columns;
  return std::int64_t{9} * n_maps * rows * round_up(columns, kLanesOf<T>);
}
template <class T>
std::int64_t convolution_work(const Table& table, const Conv5x5& conv, bool whole_sources,
                              bool whole_targets) {
  constexpr int kToPoints = 45, kFromPoints = 60, kBlock = 8;
  std::int64_t tile =
      conv.n_inputs * conv.height * kToPoints + conv.n_outputs * conv.out_height() * kFromPoints;
  for_runs<T>(conv.out_height(), [&](int, auto n) {
    tile += std::int64_t{kPoints} * table.n_connections * (kTaps * decltype(n)::value + kBlock);
  });
  return conv.n_tiles() * tile +
         transposition_work<T>(conv.n_inputs, conv.height, conv.width, whole_sources) +
         transposition_work<T>(conv.n_outputs, conv.out_height(), conv.out_width(), whole_targets);
}
// Each tile also reads and writes its accumulators.
template <class T>
std::int64_t correlation_work(const Table& table, const Conv5x5& conv, bool whole_maps) {
  return convolution_work<T>(table, conv, whole_maps, whole_maps) +
         2 * table.n_weight_points() * conv.n_tiles();
}

// The cost of a cut: its work, as above, and the bytes of a thread.
struct Cost {
  std::int64_t work, bytes;
};

// The cut whose cost_of(cut) is the least work with no more than most_bytes, or else the cut with
// the smallest patches. The columns of a patch are those of whole tiles.
template <class F>
Cut choose_cut(std::int64_t n_images, std::int64_t height, std::int64_t width,
               std::int64_t most_bytes, F&& cost_of) {
  constexpr int kRows[] = {1, 2, 4, 7, 10, 14, 20, 28}, kMostColumns = 60;
  Cut best;
  std::int64_t least = -1;
  for (int columns = kTileOutputs; columns <= kMostColumns; columns += kTileOutputs) {
    for (const int rows : kRows) {
      const Cut cut(n_images, height, width, rows, columns);
      const Cost cost = cost_of(cut);
      if (least >= 0 && cost.bytes > most_bytes) break;
      if (least < 0 || cost.work < least) {
        least = cost.work;
        best = cut;
      }
      if (cut.rows == height) break;
    }
    if (columns >= width) break;
  }
  return best;
}

template <class T>
Vec<T>* take_maps(Workspace& parts, std::int64_t n_maps, int rows, int columns) {
  return parts.take<Vec<T>>(n_maps * rows * columns + kBeyond<T>);
}

// A convolution of all images: targets from the windows of their patches.
template <class T>
struct Convolution {
  int margin;  // rows and columns of zeros before the source maps
  Cut cut;     // of the target maps
  Conv5x5 conv;

  // A thread's memory.
  struct Memory {
    Vec<T>* source;
    Vec<T>* target;
    ConvScratch<T> scratch;

    Memory(Workspace& parts, const Conv5x5& conv)
        : source(take_maps<T>(parts, conv.n_inputs, conv.height, conv.width)),
          target(take_maps<T>(parts, conv.n_outputs, conv.out_height(), conv.out_width())),
          scratch(one_tile(parts, conv)) {}

   private:
    static ConvScratch<T> one_tile(Workspace& parts, const Conv5x5& conv) {
      ConvScratch<T> scratch;
      scratch.n_tiles = 1;
      scratch.input = parts.take<Vec<T>>(std::int64_t{conv.n_inputs} * kPoints * conv.height);
      scratch.one_map = parts.take<Vec<T>>(kPoints * conv.height);
      return scratch;
    }
  };

  Convolution() = default;
  // height, width: of the target maps.
  Convolution(const Table& table, std::int64_t n_images, std::int64_t height, std::int64_t width,
              int margin_, int n_threads)
      : margin(margin_) {
    const std::int64_t share = (kC3Bytes - kSlotsBytes) / 4 * 3 / n_threads;
    const std::int64_t most = share < kGroupBytes ? share : kGroupBytes;
    const std::int64_t n_busy = std::int64_t{kLanesOf<T>} * n_threads;
    const auto cost_of = [&](const Cut& c) { return cost(table, c, n_threads); };
    if (height * width <= kLargestWholeMap)
      cut = Cut(n_images, height, width, static_cast<int>(height), static_cast<int>(width));
    // If whole maps fill all lanes of all threads, no comparison is needed; one takes a
    // microsecond.
    if (height * width > kLargestWholeMap || n_images % n_busy != 0 || cost_of(cut).bytes > most)
      cut = choose_cut(n_images, height, width, most, cost_of);
    conv = table.conv_of_patch(cut);
  }
  std::int64_t n_groups() const { return lane_groups<T>(cut.n_patches); }
  std::int64_t bytes() const { return bytes_of<Memory>(conv); }

  // The work is that of the busiest thread.
  Cost cost(const Table& table, const Cut& c, int n_threads) const {
    const Conv5x5 patch = table.conv_of_patch(c);
    const std::int64_t most_groups = (lane_groups<T>(c.n_patches) + n_threads - 1) / n_threads;
    const bool whole = c.whole_maps();
    return {most_groups * convolution_work<T>(table, patch, whole && margin == 0, whole),
            bytes_of<Memory>(patch)};
  }
};

// The correlation of input and grad_output, which gives grad_weight and grad_bias. Lane group g
// adds its part in slot g % n_slots. The cut and the number of slots depend on the shape alone, so
// that the order of every sum, and with it every bit of the result, is the same for any number of
// threads.
template <class T>
struct Correlation {
  Cut cut;  // of the output maps
  Conv5x5 conv;
  // If patches are whole maps, the points of grad_output may also give grad_input, which is half
  // the work of a separate convolution.
  bool gives_grad_input = false;
  std::int64_t n_grads;  // of a slot: the weights' points and the bias
  int n_slots;

  // A thread's memory.
  struct Memory {
    Vec<T>* input;        // windows
    Vec<T>* grad_output;  // patches
    Vec<T>* grad_input;   // whole maps, or null
    ConvScratch<T> scratch;

    Memory(Workspace& parts, const Conv5x5& conv, bool gives_grad_input)
        : input(take_maps<T>(parts, conv.n_inputs, conv.height, conv.width)),
          grad_output(take_maps<T>(parts, conv.n_outputs, conv.out_height(), conv.out_width())),
          grad_input(gives_grad_input ? take_maps<T>(parts, conv.n_inputs, conv.height, conv.width)
                                      : nullptr),
          scratch(parts, conv) {}
  };

  Correlation(const C3Shape& s, const Table& table, const Table& turned)
      : n_grads(table.n_weight_points() + table.n_targets) {
    const std::int64_t height = s.height - (kTaps - 1), width = s.width - (kTaps - 1);
    if (height * width <= kLargestWholeMap) {
      cut = Cut(s.n_images, height, width, static_cast<int>(height), static_cast<int>(width));
      gives_grad_input = cost(table, cut, true).bytes <= kWholeMapsBytes;
    }
    // Even with fewer images than lanes, whole maps may be faster than two passes over patches.
    if (!gives_grad_input || s.n_images < kLanesOf<T>) {
      const Cut patches = choose_cut(s.n_images, height, width, kGroupBytes,
                                     [&](const Cut& c) { return cost(table, c, false); });
      const Convolution<T> other(turned, s.n_images, s.height, s.width, kTaps - 1, 1);
      gives_grad_input = gives_grad_input &&
                         cost(table, cut, true).work < cost(table, patches, false).work +
                                                           other.cost(turned, other.cut, 1).work;
      if (!gives_grad_input) cut = patches;
    }
    conv = table.conv_of_patch(cut);
    n_slots = slots_for(n_groups(), kSlotsBytes / (n_grads * kVectorBytes));
  }
  std::int64_t n_groups() const { return lane_groups<T>(cut.n_patches); }
  std::int64_t bytes() const { return bytes_of<Memory>(conv, gives_grad_input); }

 private:
  static Cost cost(const Table& table, const Cut& c, bool with_grad_input) {
    const Conv5x5 patch = table.conv_of_patch(c);
    std::int64_t work = correlation_work<T>(table, patch, c.whole_maps());
    if (with_grad_input) work += convolution_work<T>(table, patch, true, true);
    return {lane_groups<T>(c.n_patches) * work, bytes_of<Memory>(patch, with_grad_input)};
  }
  // Eight slots, and more if each has eight groups, so that the sum over slots stays cheap.
  static int slots_for(std::int64_t n_groups, std::int64_t fit) {
    const std::int64_t wanted = n_groups < 64 ? 8 : n_groups < 512 ? n_groups / 8 : 64;
    const std::int64_t most = n_groups < fit ? n_groups : fit;
    return static_cast<int>(most < 1 ? 1 : most < wanted ? most : wanted);
  }
};

// The threads that take part, each with its own memory: as many as there is work for, and as fit
// into the rest of kC3Bytes.
struct ThreadMemory {
  int n_threads;
  std::int64_t bytes_each;
  char* first;

  ThreadMemory() = default;
  ThreadMemory(Workspace& parts, std::int64_t bytes_each_, std::int64_t n_items, int most_threads)
      : bytes_each(bytes_each_) {
    const std::int64_t fit = (kC3Bytes - parts.bytes()) / bytes_each;
    const std::int64_t n = fit < n_items ? fit : n_items;
    n_threads = n < 1 ? 1 : n < most_threads ? static_cast<int>(n) : most_threads;
    first = parts.take<char>(n_threads * bytes_each);
  }
  Workspace of(int thread) const { return Workspace(first + thread * bytes_each); }
};

// The forward pass for a map group.
template <class T>
struct ForwardPlan {
  Convolution<T> convolution;
  T* points;  // of the weights
  ThreadMemory threads;
  std::int64_t bytes;

  ForwardPlan(const C3Shape& s, const Table& table, int n_threads, void* workspace)
      : convolution(table, s.n_images, s.height - (kTaps - 1), s.width - (kTaps - 1), 0,
                    n_threads) {
    Workspace parts(workspace);
    points = parts.take<T>(table.n_weight_points());
    threads = ThreadMemory(parts, convolution.bytes(), convolution.n_groups(), n_threads);
    bytes = parts.bytes();
  }
};

// The gradients for a map group.
template <class T>
struct BackwardPlan {
  Table table;
  TurnedTable turned;
  Correlation<T> correlation;
  Convolution<T> convolution;  // of grad_output to grad_input, unless the correlation gives it
  Vec<T>* slots;               // [n_slots, n_grads]
  T* points;                   // of the weights; of the turned weights for the convolution
  T* turned_weight;            // [n_connections, 5, 5]
  T* no_bias;                  // [n_inputs]
  ThreadMemory threads;
  std::int64_t bytes;

  BackwardPlan(const C3Shape& s, const Table& table_, int n_threads, void* workspace)
      : table(table_), turned(table), correlation(s, table, turned.table) {
    Workspace parts(workspace);
    slots = parts.take<Vec<T>>(correlation.n_slots * correlation.n_grads);
    points = parts.take<T>(table.n_weight_points());
    turned_weight = parts.take<T>(table.n_connections * kTaps * kTaps);
    no_bias = parts.take<T>(table.n_sources);
    std::int64_t each = correlation.bytes(), n_items = correlation.n_slots;
    if (!correlation.gives_grad_input) {
      convolution =
          Convolution<T>(turned.table, s.n_images, s.height, s.width, kTaps - 1, n_threads);
      each = each > convolution.bytes() ? each : convolution.bytes();
      n_items += convolution.n_groups();
    }
    threads = ThreadMemory(parts, each, n_items, n_threads);
    bytes = parts.bytes();
  }
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
