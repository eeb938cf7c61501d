// LeNet-5's parameters in the order in which the evaluation reads them, packed once. Pooling's 1/4
// is folded into the weights of the next layer: canvases of S2 and S4 hold sums.
#pragma once

#include "c3_table.h"
#include "cuda/conv/table_rows.h"
#include "cuda/lenet5/canvas.h"

namespace lenetshift {
namespace cuda {
namespace {

// The output maps of C3 and of C1 that a thread computes at once.
constexpr int kC3Group = 4, kC3Groups = kMaps3 / kC3Group;
constexpr int kC3GroupWeights = 25 * kMaps1 * kC3Group;
constexpr int kC1Group = 3, kC1Groups = kMaps1 / kC1Group;
constexpr int kC1TapPitch = 4;  // three maps' weights of a tap and one unused: a load of four
constexpr int kC1GroupWeights = 25 * kC1TapPitch;

// The connections of a group as bits: bit c * kC3Group + i is set if the group's i-th map sees S2
// map c.
template <class Table>
constexpr int group_connections(int group) {
  int bits = 0;
  for (int c = 0; c < kMaps1; ++c)
    for (int i = 0; i < kC3Group; ++i)
      bits |= (Table::table[group * kC3Group + i] >> c & 1) << (c * kC3Group + i);
  return bits;
}
template <class Table, int group>
constexpr int kConnected = group_connections<Table>(group);  // a value, which device code may use

struct Lenet5Weights {
  float* c1;                    // [2 groups][5][5][kC1TapPitch]
  float* c3;                    // [4 groups][5 u][6 c][5 v][4 maps], zero where not connected
  float* c5;                    // [16 c][25][120]
  float* f6;                    // [120][84]
  float* output;                // [84][10]
  Lenet5Parameters parameters;  // biases are read where they are

  static constexpr int n_c1 = kC1Groups * kC1GroupWeights, n_c3 = 25 * kMaps1 * kMaps3;
  static constexpr int n_c5 = kMaps3 * kS4Pixels * kC5Units, n_f6 = kC5Units * kF6Units;
  static constexpr int n_output = kF6Units * kClasses;
  static constexpr int n_all = n_c1 + n_c3 + n_c5 + n_f6 + n_output;

  Lenet5Weights(Workspace& workspace, const Lenet5Parameters& p) : parameters(p) {
    c1 = workspace.take<float>(n_c1);
    c3 = workspace.take<float>(n_c3);
    c5 = workspace.take<float>(n_c5);
    f6 = workspace.take<float>(n_f6);
    output = workspace.take<float>(n_output);
  }
};

__global__ void __launch_bounds__(kThreads) pack_lenet5(Lenet5Weights w, TableRows table) {
  using W = Lenet5Weights;
  int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < W::n_c1) {
    const int tap = i / kC1TapPitch % 25, map = i % kC1TapPitch;
    const int o = i / kC1GroupWeights * kC1Group + map;
    w.c1[i] = map < kC1Group ? w.parameters.c1.weight[o * 25 + tap] : 0.0f;
    return;
  }
  i -= W::n_c1;
  if (i < W::n_c3) {
    const int v = i / kC3Group % 5, c = i / (kC3Group * 5) % kMaps1;
    const int u = i / (kC3Group * 5 * kMaps1) % 5;
    const int o = i / kC3GroupWeights * kC3Group + i % kC3Group;
    const int at = table.connection_index(o, c) * 25 + u * 5 + v;
    w.c3[i] = table.connects(o, c) ? 0.25f * w.parameters.c3.weight[at] : 0.0f;
    return;
  }
  i -= W::n_c3;
  if (i < W::n_c5) {
    const int o = i % kC5Units, k = i / kC5Units;
    w.c5[i] = 0.25f * w.parameters.c5.weight[o * kMaps3 * kS4Pixels + k];
    return;
  }
  i -= W::n_c5;
  if (i < W::n_f6) {
    w.f6[i] = w.parameters.f6.weight[i % kF6Units * kC5Units + i / kF6Units];
    return;
  }
  i -= W::n_f6;
  if (i < W::n_output)
    w.output[i] = w.parameters.output.weight[i % kClasses * kF6Units + i / kClasses];
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
