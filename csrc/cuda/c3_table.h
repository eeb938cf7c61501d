// The connection table as a kernel argument: in constant memory, and for tables of any length.
#pragma once

#include "../kernels.h"
#include "device.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kTableOutputs = 128;  // 1.5 KB of the 4 KB that a kernel's arguments may have

// Rows first_output ... first_output + n_outputs - 1 of a table. Longer tables take more launches.
struct TableRows {
  int first_output, n_outputs;
  std::int64_t mask[kTableOutputs];
  int first_connection[kTableOutputs];  // connections of all rows before this one

  __device__ bool connects(int row, int input) const { return mask[row] >> input & 1; }
  __device__ int connection(int row, int input) const {
    const std::int64_t before = mask[row] & ((std::int64_t{1} << input) - 1);
    return first_connection[row] + __popcll(static_cast<unsigned long long>(before));
  }
};

// Calls f(rows) for one run of rows after the other.
template <class F>
void for_table_rows(const C3Shape& shape, F&& f) {
  int connection = 0;
  for (int first = 0; first < shape.n_outputs; first += kTableOutputs) {
    TableRows rows{};
    rows.first_output = first;
    const int left = shape.n_outputs - first;
    rows.n_outputs = left < kTableOutputs ? left : kTableOutputs;
    for (int row = 0; row < rows.n_outputs; ++row) {
      rows.mask[row] = shape.table[first + row];
      rows.first_connection[row] = connection;
      connection += __builtin_popcountll(static_cast<unsigned long long>(rows.mask[row]));
    }
    f(rows);
  }
}

inline int n_connections(const C3Shape& shape) {
  int n = 0;
  for (int o = 0; o < shape.n_outputs; ++o)
    n += __builtin_popcountll(static_cast<unsigned long long>(shape.table[o]));
  return n;
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
