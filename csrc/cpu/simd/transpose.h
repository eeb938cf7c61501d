// From rows of values to values in the lanes, and back.
#pragma once

#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The four quarters of a 2 x 2 block matrix of s x s blocks, all along two rows a and b: lane j of
// `a` becomes a[j] or b[j - s], lane j of `b` becomes a[j + s] or b[j], depending on bit s of j.
template <class T, int s, int... j>
inline void exchange_blocks(Vec<T>& a, Vec<T>& b, Lanes<j...>) {
  constexpr int n = kLanesOf<T>;
#if defined(__clang__)
  const Vec<T> low = __builtin_shufflevector(a, b, (j & s ? n + j - s : j)...);
  const Vec<T> high = __builtin_shufflevector(a, b, (j & s ? n + j : j + s)...);
#else
  using Index = typename VecOf<T>::index;
  const Vec<T> low = __builtin_shuffle(a, b, Index{(j & s ? n + j - s : j)...});
  const Vec<T> high = __builtin_shuffle(a, b, Index{(j & s ? n + j : j + s)...});
#endif
  a = low;
  b = high;
}

// Transposes a square of kLanesOf<T> vectors in place, by exchanging ever larger blocks.
template <class T, int s = 1>
inline void exchange_all_blocks(Vec<T>* rows) {
  constexpr int n = kLanesOf<T>;
  if constexpr (s < n) {
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i)
      if (!(i & s)) exchange_blocks<T, s>(rows[i], rows[i + s], typename CountLanes<n>::type{});
    exchange_all_blocks<T, 2 * s>(rows);
  }
}

// The columns of a square of kLanesOf<T> rows in memory: lane r of columns[j] is row r's value j.
template <class T>
inline void load_transposed(const T* rows, std::int64_t stride, Vec<T>* columns) {
  constexpr int n = kLanesOf<T>;
  Vec<T> square[n];
#pragma GCC unroll 16
  for (int r = 0; r < n; ++r) square[r] = load(rows + r * stride);
  exchange_all_blocks<T>(square);
#pragma GCC unroll 16
  for (int j = 0; j < n; ++j) columns[j] = square[j];
}

// The same for vectors: lane i of columns[j] is lane j of square[i].
template <class T>
inline void transpose_square(const Vec<T>* square, Vec<T>* columns) {
  load_transposed(reinterpret_cast<const T*>(square), kLanesOf<T>, columns);
}

// Calls f(i) for squares that begin at value i and cover values 0 ... n - 1; the last one overlaps
// the one before it if n is not a multiple of the lanes. Returns false if n is less than a square.
template <class T, class F>
inline bool for_squares(int n, F&& f) {
  constexpr int w = kLanesOf<T>;
  if (n < w) return false;
  int i = 0;
  for (; i + w <= n; i += w) f(i);
  if (i < n) f(n - w);
  return true;
}

// Puts n_rows (at most the lanes) arrays of n values side by side in the lanes: lanes[i] holds
// value i of each row; the lanes without a row get zeros. Row r starts at source + r * row_stride.
template <class T>
void rows_to_lanes(const T* source, std::int64_t row_stride, int n_rows, int n, Vec<T>* lanes) {
  constexpr int w = kLanesOf<T>;
  const bool done = for_squares<T>(n, [&](int i) {
    if (n_rows == w) return load_transposed(source + i, row_stride, lanes + i);
    Vec<T> rows[w] = {};
    for (int r = 0; r < n_rows; ++r) rows[r] = load(source + r * row_stride + i);
    transpose_square<T>(rows, lanes + i);
  });
  for (int i = 0; !done && i < n; ++i) {
    T values[w] = {};
    for (int r = 0; r < n_rows; ++r) values[r] = source[r * row_stride + i];
    lanes[i] = load(values);
  }
}

// The inverse of rows_to_lanes: only the first n_rows lanes are written.
template <class T>
void lanes_to_rows(const Vec<T>* lanes, T* target, std::int64_t row_stride, int n_rows, int n) {
  constexpr int w = kLanesOf<T>;
  const bool done = for_squares<T>(n, [&](int i) {
    Vec<T> rows[w];
    transpose_square<T>(lanes + i, rows);
#pragma GCC unroll 16
    for (int r = 0; r < w; ++r)
      if (n_rows == w || r < n_rows) store(target + r * row_stride + i, rows[r]);
  });
  for (int i = 0; !done && i < n; ++i)
    for (int r = 0; r < n_rows; ++r) target[r * row_stride + i] = lanes[i][r];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
