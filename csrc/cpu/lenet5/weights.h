// LeNet-5's parameters in the order in which predict_shifts reads them, packed once a call.
// Pooling's factor 1/4 goes into the weights of the next layer: the canvases of S2 and S4 hold
// sums. The blank value, which is S4's value far from all ink, is subtracted from S4's sums, so
// that they are 0 there; C5's bias makes up for it.
#pragma once

#include "c3_table.h"
#include "cpu/lenet5/canvas.h"
#include "cpu/math/activation.h"
#include "cpu/math/toom_cook.h"
#include "cpu/simd/constant.h"
#include "cpu/simd/product_block.h"
#include "cpu/simd/workspace.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// Along a row, C3 over the columns of one parity and C5 over the shifts of one phase are five-tap
// correlations, in tiles of three outputs. C5 also has smaller tiles: F(2, 5) reads the same
// weights as F(3, 5), and a single output is the direct sum.
constexpr int kMaxTile = 3;
// From tools/generate/toom_cook_points.py.
constexpr Points<6> kTilePoints = {{0.75, -0.75, 1.75, -1.75, 0.25, -0.25}, Fractions::in_taps};
template <int outputs>
using TileForm = Form<outputs, kTaps, kTilePoints>;

// A plane is the weights of a layer at one point. C3 has a plane for each point of F(3, 5). C5 also
// has a plane for each tap; the last tap is the point infinity.
constexpr int kC3Planes = TileForm<kMaxTile>::points;
constexpr int kC5Planes = kC3Planes + kTaps - 1;
constexpr int plane_of_tap(int v) {
  return v == kTaps - 1 ? TileForm<kMaxTile>::infinity : kC3Planes + v;
}
// The plane of product p of a tile.
template <int outputs>
constexpr int plane_of(int p) {
  if (outputs == 1) return plane_of_tap(p);
  return p == TileForm<outputs>::infinity ? TileForm<kMaxTile>::infinity : p;
}

// The number of output maps that C3 computes at once; with five tiles of columns they fill the
// registers.
constexpr int kC3Group = kRegisters >= 32 ? 4 : 2;
constexpr int kC3Groups = kMaps3 / kC3Group;

// F6 takes four outputs at once: 84 = 21 * 4.
constexpr int kF6Block = kRegisters >= 32 ? 4 : 2;

// The connections of a group as one constant: bit kC3Group * c + o says whether output o of the
// group sees map c. Groups that look alike share their code.
static_assert(kC3Group * kMaps1 < 32, "as many bits as an int has");
constexpr int group_connections(const int (&table)[kMaps3], int group) {
  int bits = 0;
  for (int c = 0; c < kMaps1; ++c)
    for (int o = 0; o < kC3Group; ++o)
      bits |= (table[group * kC3Group + o] >> c & 1) << (kC3Group * c + o);
  return bits;
}

constexpr int kC5Plane = kC5Units * kTaps * kMaps3;  // the weights of one plane of C5

struct Lenet5Weights {
  const int* table;  // C3's connections
  int c3_plane;      // the weights of one plane of C3: 5 rows of taps for every connection

  float* c1;        // [5][5][6 maps]
  float* c1_bias;   // [6]
  float* c3;        // [plane][group][u][c][outputs of the group that see c]
  float* c3_bias;   // [16]
  float* c3_edge;   // [taps v = 0 and 4][c][u][16 maps], zero where not connected
  float* c5;        // [plane][120 / kOutputBlock][row i][map c][kOutputBlock]
  float* s4_blank;  // [16]
  float* c5_bias;   // [120], with C5 of s4_blank
  float* f6;        // [84 / kF6Block][120][kF6Block]
  float* f6_bias;
  float* output;  // [10 / kOutputBlock][84][kOutputBlock]
  float* output_bias;

  Lenet5Weights(Workspace& workspace, const int (&connections)[kMaps3]) : table(connections) {
    c3_plane = 5 * connection_index(connections, kMaps3, 0);
    c1 = workspace.take<float>(25 * kMaps1);
    c1_bias = workspace.take<float>(kMaps1);
    c3 = workspace.take<float>(kC3Planes * c3_plane);
    c3_bias = workspace.take<float>(kMaps3);
    c3_edge = workspace.take<float>(2 * kMaps1 * 5 * kMaps3);
    c5 = workspace.take<float>(kC5Planes * kC5Plane);
    s4_blank = workspace.take<float>(kMaps3);
    c5_bias = workspace.take<float>(kC5Units);
    f6 = workspace.take<float>(kF6Units * kC5Units);
    f6_bias = workspace.take<float>(kF6Units);
    output = workspace.take<float>(kClasses * kF6Units);
    output_bias = workspace.take<float>(kClasses);
  }

  void pack(Activation activation, const Lenet5Parameters& p) const {
    for (int i = 0; i < 25 * kMaps1; ++i) c1[i] = p.c1.weight[i % kMaps1 * 25 + i / kMaps1];
    copy(p.c1.bias, kMaps1, c1_bias);
    pack_c3(p.c3.weight);
    copy(p.c3.bias, kMaps3, c3_bias);
    pack_c5(p.c5.weight);
    pack_blank(activation, p);
    pack_outputs(p.f6.weight, kF6Units, kC5Units, kF6Block, f6);
    copy(p.f6.bias, kF6Units, f6_bias);
    pack_outputs(p.output.weight, kClasses, kF6Units, kOutputBlock, output);
    copy(p.output.bias, kClasses, output_bias);
  }

 private:
  void pack_blank(Activation activation, const Lenet5Parameters& p) const {
    float s2[kMaps1];
    for (int c = 0; c < kMaps1; ++c) s2[c] = activate(activation, broadcast(p.c1.bias[c]))[0];
    for (int o = 0, connection = 0; o < kMaps3; ++o) {
      double sum = p.c3.bias[o];
      for (int c = 0; c < kMaps1; ++c) {
        if (!(table[o] >> c & 1)) continue;
        for (int k = 0; k < 25; ++k) sum += double{p.c3.weight[connection * 25 + k]} * s2[c];
        ++connection;
      }
      s4_blank[o] = 4 * activate(activation, broadcast(static_cast<float>(sum)))[0];
    }
    for (int o = 0; o < kC5Units; ++o) {
      double sum = p.c5.bias[o];
      for (int c = 0; c < kMaps3; ++c)
        for (int k = 0; k < 25; ++k)
          sum += 0.25 * p.c5.weight[(o * kMaps3 + c) * 25 + k] * s4_blank[c];
      c5_bias[o] = static_cast<float>(sum);
    }
  }

  void pack_c3(const float* weight) const {
    float* packed = c3;
    for (int group = 0; group < kC3Groups; ++group)
      for (int u = 0; u < kTaps; ++u)
        for (int c = 0; c < kMaps1; ++c)
          for (int o = group * kC3Group; o < (group + 1) * kC3Group; ++o) {
            if (!(table[o] >> c & 1)) continue;
            float points[kC3Planes];
            pack_taps<TileForm<kMaxTile>>(weight + (connection_index(table, o, c) * 5 + u) * 5,
                                          points);
            for (int p = 0; p < kC3Planes; ++p) packed[p * c3_plane] = 0.25f * points[p];
            ++packed;
          }
    packed = c3_edge;
    for (int v = 0; v < 5; v += 4)
      for (int c = 0; c < kMaps1; ++c)
        for (int u = 0; u < 5; ++u)
          for (int o = 0; o < kMaps3; ++o)
            *packed++ = table[o] >> c & 1
                            ? 0.25f * weight[connection_index(table, o, c) * 25 + u * 5 + v]
                            : 0.0f;
  }

  void pack_c5(const float* weight) const {
    for (int o = 0; o < kC5Units; ++o)
      for (int c = 0; c < kMaps3; ++c)
        for (int u = 0; u < kTaps; ++u, weight += kTaps) {
          float* const packed =
              c5 + ((o / kOutputBlock * kTaps + u) * kMaps3 + c) * kOutputBlock + o % kOutputBlock;
          float points[kC3Planes];
          pack_taps<TileForm<kMaxTile>>(weight, points);
          for (int p = 0; p < kC3Planes; ++p) packed[p * kC5Plane] = 0.25f * points[p];
          for (int v = 0; v < kTaps; ++v) packed[plane_of_tap(v) * kC5Plane] = 0.25f * weight[v];
        }
  }

  static void copy(const float* source, int n, float* target) {
    for (int i = 0; i < n; ++i) target[i] = source[i];
  }
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
