#include "cpu/indirect/windows.h"

#include <doctest/doctest.h>

#include <vector>

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

constexpr int kBlock = 5;  // no multiple of a vector of offsets

// Tables of any lines, some of them -1, over an input that is never read.
template <class T>
struct Problem {
  std::vector<std::int64_t> rows, columns;
  std::vector<T> input;
  IndirectWindows<T> windows;

  Problem(std::int64_t out_height, std::int64_t out_width, int kernel_height, int kernel_width)
      : rows(out_height * kernel_height),
        columns(out_width * kernel_width),
        input(2 * 6 * 7 * 3),
        windows{
            input.data(),   2,         6,           7, 3, rows.data(), out_height, kernel_height,
            columns.data(), out_width, kernel_width} {
    for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = static_cast<int>(k * 5 % 7) - 1;
    for (std::size_t k = 0; k < columns.size(); ++k) columns[k] = static_cast<int>(k * 3 % 8) - 1;
  }

  // The cell that tap (u, v) sees at a place.
  const T* cell(std::int64_t place, int u, int v, const T* outside) const {
    const IndirectWindows<T>& w = windows;
    const std::int64_t j = place % w.out_width, i = place / w.out_width % w.out_height;
    const std::int64_t row = rows[i * w.kernel_height + u],
                       column = columns[j * w.kernel_width + v];
    if (row < 0 || column < 0) return outside;
    const std::int64_t image = place / w.out_width / w.out_height;
    return w.input + ((image * w.height + row) * w.width + column) * w.n_channels;
  }
};

TEST_CASE_TEMPLATE(
    "the list has the cells of the tables, in blocks that rows of the result may cut", T, float,
    double) {
  for (std::int64_t out_width : {1, 2, 3, 4, 5, 8, 9, 17})
    for (std::int64_t out_height : {1, 3})
      for (int first_tap : {0, 1, 4}) {
        const Problem<T> problem(out_height, out_width, 2, 3);
        const IndirectWindows<T>& w = problem.windows;
        std::vector<char> memory(bytes_of<Offsets>(w) + Workspace::kAlignment);
        Workspace workspace(memory.data());
        const Offsets offsets(workspace, w);
        offsets.fill(w);
        const int n_taps = 6 - first_tap, total = static_cast<int>(n_places(w));
        const T outside = 0;
        for (int first = 0; first < total; first += kBlock) {
          const int n = total - first < kBlock ? total - first : kBlock;
          std::vector<const T*> list(n_taps * kBlock);
          Place<T> place(w, offsets, first);
          int n_listed = 0;
          for_segments(place, n, kBlock, [&](int m, int n_segment) {
            CHECK(m == n_listed);
            n_listed += n_segment;
            place.template list_cells<kBlock>(first_tap / 3, first_tap % 3, n_taps, n_segment,
                                              &outside, list.data() + m);
          });
          CHECK(n_listed == n);
          repeat_last<kBlock>(n, n_taps, list.data());
          for (int t = 0; t < n_taps; ++t)
            for (int m = 0; m < kBlock; ++m) {
              const int tap = first_tap + t, at = first + (m < n ? m : n - 1);
              CHECK(list[t * kBlock + m] == problem.cell(at, tap / 3, tap % 3, &outside));
            }
        }
      }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
