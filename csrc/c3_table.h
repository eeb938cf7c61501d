// The connection table between S2 and C3 of LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-
// Based Learning Applied to Document Recognition", Proc. IEEE 86(11), 1998, Table I. table[o] has
// bit c set if C3 map o sees S2 map c.
#pragma once

#include "lenet5_sizes.h"

namespace lenetshift {
namespace {  // inline code: each file gets its own copy (see cpu/simd/vec.h for why)

struct SparseC3 {
  static constexpr int table[kMaps3] = {
      // three neighbouring maps, cyclically
      0b000111, 0b001110, 0b011100, 0b111000, 0b110001, 0b100011,
      // four neighbouring maps, cyclically
      0b001111, 0b011110, 0b111100, 0b111001, 0b110011, 0b100111,
      // four maps, not neighbouring
      0b011011, 0b110110, 0b101101,
      // all
      0b111111};
};

// Symmetric LeNet-5: every C3 map sees every S2 map.
struct DenseC3 {
  static constexpr int table[kMaps3] = {63, 63, 63, 63, 63, 63, 63, 63,
                                        63, 63, 63, 63, 63, 63, 63, 63};
};

// The number of connections before (o, c) in output-major, ascending input order: the row of c3's
// packed weight that holds the connection. connection_index(table, 16, 0) counts them all.
template <class Table>
constexpr int connection_index(const Table& table, int o, int c) {
  int count = 0;
  for (int i = 0; i < o; ++i) count += __builtin_popcountll(table[i]);
  return c == 0 ? count : count + __builtin_popcountll(table[o] & ((1ll << c) - 1));
}

static_assert(connection_index(SparseC3::table, kMaps3, 0) == 60, "60 connections of 96");

}  // namespace
}  // namespace lenetshift
