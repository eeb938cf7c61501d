// The connection table as a kernel argument: in constant memory, and for tables of any length.
#pragma once

#include "cuda/device.h"
#include "kernels.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kTableOutputs = 128;  // 1.5 KB of the 4 KB that a kernel's arguments may have

// Rows first_output ... first_output + n_outputs - 1 of a table; a longer table takes more
// launches. Row 0 is first_output; connections are numbered as in c3_table.h.
struct TableRows {
  int first_output, n_outputs;
  std::int64_t mask[kTableOutputs];
  int first_connection[kTableOutputs];  // connections of all rows before this one
  int n_connections;                    // of all rows up to the last of these

  template <class Mask>
  TableRows(const Mask* table, int first, int n, int connections_before = 0)
      : first_output(first),
        n_outputs(n),
        mask{},
        first_connection{},
        n_connections(connections_before) {
    for (int row = 0; row < n; ++row) {
      mask[row] = table[first + row];
      first_connection[row] = n_connections;
      n_connections += __builtin_popcountll(static_cast<unsigned long long>(mask[row]));
    }
  }

  __host__ __device__ int n_own_connections() const { return n_connections - first_connection[0]; }
  __device__ bool connects(int row, int input) const { return mask[row] >> input & 1; }
  __device__ int connection_index(int row, int input) const {
    const std::int64_t before = mask[row] & ((std::int64_t{1} << input) - 1);
    return first_connection[row] + __popcll(static_cast<unsigned long long>(before));
  }
};

// Calls f(rows) for runs of rows, one after the other.
template <class F>
void for_table_rows(const C3Shape& shape, F&& f) {
  int n_connections = 0;
  for (int first = 0; first < shape.n_outputs; first += kTableOutputs) {
    const TableRows rows(shape.table, first, smaller(shape.n_outputs - first, kTableOutputs),
                         n_connections);
    n_connections = rows.n_connections;
    f(rows);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
