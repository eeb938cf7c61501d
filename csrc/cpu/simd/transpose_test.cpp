#include "cpu/simd/transpose.h"

#include <doctest/doctest.h>

#include <vector>

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Every number of values below three vectors, every number of rows, in rows that are longer than
// the part that is read.
TEST_CASE_TEMPLATE("rows_to_lanes and lanes_to_rows", T, float, double) {
  constexpr int w = kLanesOf<T>;
  for (int n = 0; n <= 3 * w; ++n)
    for (int n_rows = 0; n_rows <= w; ++n_rows) {
      const int stride = n + 3;
      std::vector<T> source(w * stride);
      for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<T>(i + 1);
      std::vector<Vec<T>> lanes(n + 1, Vec<T>{} - 1);
      rows_to_lanes(source.data(), stride, n_rows, n, lanes.data());
      bool right = true;
      for (int i = 0; i < n; ++i)
        for (int r = 0; r < w; ++r)
          right = right && lanes[i][r] == (r < n_rows ? source[r * stride + i] : 0);
      CHECK(right);
      CHECK(T{lanes[n][0]} == -1);  // nothing beyond

      std::vector<T> target(w * stride, -1), expected(w * stride, -1);
      for (int r = 0; r < n_rows; ++r)
        for (int i = 0; i < n; ++i) expected[r * stride + i] = source[r * stride + i];
      lanes_to_rows(lanes.data(), target.data(), stride, n_rows, n);
      CHECK(target == expected);
    }
}

TEST_CASE_TEMPLATE("transpose_square", T, float, double) {
  constexpr int w = kLanesOf<T>;
  Vec<T> square[w], columns[w];
  for (int i = 0; i < w; ++i)
    for (int j = 0; j < w; ++j) square[i][j] = static_cast<T>(100 * i + j);
  transpose_square<T>(square, columns);
  for (int i = 0; i < w; ++i)
    for (int j = 0; j < w; ++j) CHECK(T{columns[j][i]} == T{square[i][j]});
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
