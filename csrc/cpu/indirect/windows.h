// A place of a result, and the cells that it reads, by tables (kernels.h).
#pragma once

#include "cpu/simd/vec.h"
#include "cpu/simd/workspace.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Offsets and addresses, as vectors.
using ivec64 = VecOf<double>::index;
constexpr int kOffsetLanes = kLanesOf<double>;

// The tables as offsets in an image, in bytes: of a row, and of a cell in its row. -1 stays.
struct Offsets {
  std::int64_t* rows;     // [out_height][kernel_height]
  std::int64_t* columns;  // [kernel_width][out_width], and a vector more, of any values
  template <class T>
  Offsets(Workspace& workspace, const IndirectWindows<T>& w)
      : rows(workspace.take<std::int64_t>(w.out_height * w.kernel_height)),
        columns(workspace.take<std::int64_t>(w.out_width * w.kernel_width + kOffsetLanes)) {}
  template <class T>
  void fill(const IndirectWindows<T>& w) const {
    const std::int64_t cell = w.n_channels * std::int64_t{sizeof(T)};
    for (std::int64_t k = 0; k < w.out_height * w.kernel_height; ++k)
      rows[k] = w.rows[k] < 0 ? -1 : w.rows[k] * w.width * cell;
    std::int64_t* to = columns;
    for (int v = 0; v < w.kernel_width; ++v)
      for (std::int64_t j = 0; j < w.out_width; ++j) {
        const std::int64_t column = w.columns[j * w.kernel_width + v];
        *to++ = column < 0 ? -1 : column * cell;
      }
    for (int k = 0; k < kOffsetLanes; ++k) to[k] = -1;
  }
};

// A place of [n_images, out_height, out_width].
template <class T>
class Place {
 public:
  Place(const IndirectWindows<T>& windows, const Offsets& offsets, std::int64_t at)
      : w_(windows),
        offsets_(offsets),
        j_(at % w_.out_width),
        i_(at / w_.out_width % w_.out_height),
        image_(w_.input + at / w_.out_width / w_.out_height * image_values()) {}

  std::int64_t column() const { return j_; }
  std::int64_t left_in_row() const { return w_.out_width - j_; }  // this place included

  // Goes n places on, to the end of the row at most; from there, to the next row.
  void move(std::int64_t n) {
    j_ += n;
    if (j_ < w_.out_width) return;
    j_ = 0;
    if (++i_ < w_.out_height) return;
    i_ = 0;
    image_ += image_values();
  }

  // Lists the cells that n_taps taps, from row u and column v of the kernel on, see from this place
  // and its n - 1 next ones, which are in the same row: those of tap t at to[t * stride + 0 ... n -
  // 1]. `outside` where a table has -1. Without a branch for that, which would be hard to predict.
  // Not inlined, because the compiler would keep variables of its loop in memory.
  template <int stride>
  [[gnu::noinline]] void list_cells(std::int64_t u, int v, int n_taps, int n, const T* outside,
                                    const T** to) const {
    const std::int64_t* row = offsets_.rows + i_ * w_.kernel_height + u;
    const int width = w_.kernel_width;
    for (int t = 0; t < n_taps; ++row, v = 0) {
      const std::int64_t* column = offsets_.columns + v * w_.out_width + j_;
      const int stop = t + (width - v) < n_taps ? t + (width - v) : n_taps;
      for (; t < stop; ++t, column += w_.out_width, to += stride)
        list_row(*row, column, n, outside, to);
    }
  }

  // Likewise the first cells under n_rows rows of the kernel from row u on.
  template <int stride>
  [[gnu::noinline]] void list_rows(std::int64_t u, int n_rows, int n, const T* outside,
                                   const T** to) const {
    const std::int64_t* const rows = offsets_.rows + i_ * w_.kernel_height + u;
    for (int r = 0; r < n_rows; ++r, to += stride)
      list_row(rows[r], offsets_.columns + j_, n, outside, to);
  }

  // Lists copies [n_rows][kernel_width][n_channels] of the cells under these rows of the kernel at
  // the place that is m places on in its row.
  template <int stride>
  [[gnu::noinline]] void list_copies(std::int64_t u, int n_rows, int m, const T* outside, T* copies,
                                     const T** to) const {
    const std::int64_t* const rows = offsets_.rows + i_ * w_.kernel_height + u;
    const std::int64_t* const columns = offsets_.columns + j_ + m;
    const int width = w_.kernel_width, n_channels = w_.n_channels;
    const char* const image = reinterpret_cast<const char*>(image_);
    for (int r = 0; r < n_rows; ++r, to += stride) {
      *to = rows[r] < 0 ? outside : copies;
      if (rows[r] < 0) continue;
      const std::int64_t* column = columns;
      for (int v = 0; v < width; ++v, column += w_.out_width) {
        const T* const cell =
            *column < 0 ? outside : reinterpret_cast<const T*>(image + rows[r] + *column);
        int c = 0;
        do *copies++ = cell[c];
        while (++c < n_channels);
      }
    }
  }

 private:
  std::int64_t image_values() const { return w_.height * w_.width * w_.n_channels; }

  // Addresses are numbers here, because those of -1 are not in the input.
  void list_row(std::int64_t row, const std::int64_t* column, int n, const T* outside,
                const T** to) const {
    const std::int64_t start = reinterpret_cast<std::int64_t>(image_) + row;
    const std::int64_t other = reinterpret_cast<std::int64_t>(outside);
    for (int m = 0; m < n; m += kOffsetLanes) {
      ivec64 offset;
      __builtin_memcpy(&offset, column + m, sizeof offset);
      const ivec64 cell = (offset | row) < 0 ? ivec64{} + other : offset + start;
      const int left = n - m;
#if defined(__AVX512F__)
      store_first(reinterpret_cast<double*>(to + m), (Vec<double>)cell,
                  left < kOffsetLanes ? left : kOffsetLanes);
#else
      for (int k = 0; k < kOffsetLanes && k < left; ++k)
        to[m + k] = reinterpret_cast<const T*>(cell[k]);
#endif
    }
  }

  const IndirectWindows<T>& w_;
  const Offsets& offsets_;
  std::int64_t j_, i_;
  const T* image_;
};

// Goes through n places from `place` on, in blocks of n_block: calls f(m, n of a segment) for the
// segments m ... m + n - 1 that are in one row of the result and in one block.
template <class T, class F>
inline void for_segments(Place<T>& place, int n, int n_block, F&& f) {
  for (int m = 0; m < n;) {
    const int in_block = n_block - m % n_block, most = n - m < in_block ? n - m : in_block;
    const std::int64_t in_row = place.left_in_row();
    const int count = in_row < most ? static_cast<int>(in_row) : most;
    f(m, count);
    place.move(count);
    m += count;
  }
}

// Completes the list of a block whose places from n on are missing: they repeat the last one.
template <int n_block, class T>
inline void repeat_last(int n, int n_taps, const T** to) {
  if (n == n_block) return;
  for (int t = 0; t < n_taps; ++t, to += n_block)
    for (int m = n; m < n_block; ++m) to[m] = to[n - 1];
}

template <class T>
inline std::int64_t n_places(const IndirectWindows<T>& w) {
  return w.n_images * w.out_height * w.out_width;
}

template <class T>
inline std::int64_t n_kernel_taps(const IndirectWindows<T>& w) {
  return static_cast<std::int64_t>(w.kernel_height) * w.kernel_width;
}

// The first n of a vector's values at p; the others are 0.
template <class T>
inline Vec<T> load_first(const T* p, int n) {
#if defined(__AVX512F__)
  return load_between(p, 0, n);  // without a branch
#else
  return n >= kLanesOf<T> ? load(p) : load_between(p, 0, n);
#endif
}

template <class T>
inline Vec<T> clamped(Vec<T> x, Clamp<T> clamp) {
  return smaller(Vec<T>{} + clamp.high, larger(Vec<T>{} + clamp.low, x));
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
