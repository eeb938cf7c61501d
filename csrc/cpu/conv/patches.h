// How c3_conv divides its work: maps are cut into patches, one patch in each lane. In this way one
// large image fills a vector, and no thread holds more than a lane group of patches. The window of
// a patch is the part of the source maps that it needs: `margin` more rows and columns before the
// first one, 4 - margin after the last one. Values of a window beyond its map are 0; values of a
// patch beyond its map are not stored.
//
// A patch begins at a tile of F(5, 5), so a value is summed from the same products in the same
// order for every cut.
#pragma once

#include "cpu/simd/transpose.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// n neighbouring maps of each image: map m of image i is at first + i * image_stride + m *
// map_size().
template <class T>
struct Maps {
  T* first;
  std::int64_t image_stride;
  int n;
  std::int64_t height, width;
  std::int64_t map_size() const { return height * width; }
};

struct Patch {
  std::int64_t image;
  std::int64_t y, x;  // its first row and column
};

// Maps of n_images, cut into patches of rows x columns, numbered along the rows, image by image. No
// patch is larger than a map; the last ones of a row or column may reach beyond it.
struct Cut {
  int rows, columns;
  std::int64_t down, across;
  std::int64_t n_patches;

  Cut() = default;
  Cut(std::int64_t n_images, std::int64_t height, std::int64_t width, int rows_, int columns_)
      : rows(rows_ < height ? rows_ : static_cast<int>(height)),
        columns(columns_ < width ? columns_ : static_cast<int>(width)),
        down((height + rows - 1) / rows),
        across((width + columns - 1) / columns),
        n_patches(n_images * down * across) {}
  bool whole_maps() const { return down == 1 && across == 1; }
};

template <class T>
std::int64_t lane_groups(std::int64_t n_patches) {
  return (n_patches + kLanesOf<T> - 1) / kLanesOf<T>;
}

// The patches of a lane group.
template <class T>
struct PatchGroup {
  Patch patch[kLanesOf<T>];
  int n;

  PatchGroup(const Cut& cut, std::int64_t group) {
    const std::int64_t first = group * kLanesOf<T>, left = cut.n_patches - first;
    n = left < kLanesOf<T> ? static_cast<int>(left) : kLanesOf<T>;
    const std::int64_t row = first / cut.across;
    std::int64_t image = row / cut.down, y = row % cut.down, x = first % cut.across;
    for (int i = 0; i < n; ++i) {
      patch[i] = {image, y * cut.rows, x * cut.columns};
      if (++x < cut.across) continue;
      x = 0;
      if (++y < cut.down) continue;
      y = 0;
      ++image;
    }
  }
};

inline int clamp(std::int64_t value, int most) {
  const std::int64_t v = value < most ? value : most;
  return static_cast<int>(v > 0 ? v : 0);
}

// Rows of vectors are read and written in squares of kLanesOf<T> columns. The columns beyond the
// last one belong to the next row, which is written later, or are dropped; the arrays have room for
// them.
template <class T>
constexpr int kBeyond = kLanesOf<T> - 1;

// lanes [maps.n, rows, columns], and kBeyond<T> more: the windows of a group's patches, which begin
// `margin` rows and columns before them.
template <class T>
[[gnu::noinline]] void windows_to_lanes(const Maps<const T>& maps, const PatchGroup<T>& group,
                                        int margin, int rows, int columns, Vec<T>* lanes) {
  constexpr int w = kLanesOf<T>;
  if (margin == 0 && rows == maps.height && columns == maps.width)
    return rows_to_lanes<T>(maps.first + group.patch[0].image * maps.image_stride,
                            maps.image_stride, group.n, maps.n * rows * columns, lanes);
  struct {
    const T* first;
    int first_row, stop_row, first_column, stop_column;  // the part of the window within the map
  } window[w];
  bool inside = group.n == w;
  for (int i = 0; i < w; ++i) {
    const Patch p = i < group.n ? group.patch[i] : Patch{0, maps.height + margin, 0};
    const std::int64_t y = p.y - margin, x = p.x - margin;
    window[i] = {maps.first + p.image * maps.image_stride + y * maps.width + x, clamp(-y, rows),
                 clamp(maps.height - y, rows), clamp(-x, columns), clamp(maps.width - x, columns)};
    inside = inside && window[i].first_row == 0 && window[i].stop_row == rows &&
             window[i].first_column == 0 && x + round_up(columns, w) <= maps.width;
  }
  for (int m = 0; m < maps.n; ++m)
    for (int r = 0; r < rows; ++r, lanes += columns) {
      const std::int64_t at = m * maps.map_size() + r * maps.width;
      for (int c = 0; c < columns; c += w) {
        Vec<T> square[w];
        if (inside) {
#pragma GCC unroll 16
          for (int i = 0; i < w; ++i) square[i] = load(window[i].first + at + c);
        } else {
#pragma GCC unroll 16
          for (int i = 0; i < w; ++i) {
            const auto& o = window[i];
            const bool none = r < o.first_row || r >= o.stop_row;
            square[i] =
                load_between(none ? maps.first : o.first + at + c, clamp(o.first_column - c, w),
                             none ? 0 : clamp(o.stop_column - c, w));
          }
        }
        exchange_all_blocks<T>(square);
#pragma GCC unroll 16
        for (int j = 0; j < w; ++j) lanes[c + j] = square[j];
      }
    }
}

// The inverse, for the patches themselves: stores lanes [maps.n, rows, columns], or adds them to
// what the maps hold.
template <class T>
[[gnu::noinline]] void lanes_to_patches(const Vec<T>* lanes, int rows, int columns, bool add,
                                        const PatchGroup<T>& group, const Maps<T>& maps) {
  constexpr int w = kLanesOf<T>;
  if (rows == maps.height && columns == maps.width && !add)
    return lanes_to_rows<T>(lanes, maps.first + group.patch[0].image * maps.image_stride,
                            maps.image_stride, group.n, maps.n * rows * columns);
  T* first[w];
  int n_rows[w], n_columns[w];
  for (int i = 0; i < group.n; ++i) {
    const Patch& p = group.patch[i];
    first[i] = maps.first + p.image * maps.image_stride + p.y * maps.width + p.x;
    n_rows[i] = clamp(maps.height - p.y, rows);
    n_columns[i] = clamp(maps.width - p.x, columns);
  }
  Vec<T> square[w];
  for (int m = 0; m < maps.n; ++m)
    for (int r = 0; r < rows; ++r, lanes += columns) {
      const std::int64_t at = m * maps.map_size() + r * maps.width;
      for (int c = 0; c < columns; c += w) {
        transpose_square<T>(lanes + c, square);
        for (int i = 0; i < group.n; ++i) {
          if (r >= n_rows[i]) continue;
          T* const target = first[i] + at + c;
          const int n = clamp(n_columns[i] - c, w);
          store_first(target, add ? square[i] + load_between(target, 0, n) : square[i], n);
        }
      }
    }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
