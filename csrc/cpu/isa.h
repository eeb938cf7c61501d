// All kernels of one ISA, collected into a Kernels table. isa_<name>.cpp includes only this file;
// its compiler flags choose the ISA.
#pragma once

#include "cpu/conv/c3_conv.h"
#include "cpu/indirect/by_channel.h"
#include "cpu/indirect/conv.h"
#include "cpu/lenet5/predict.h"
#include "cpu/lenet5/train.h"
#include "cpu/math/activation.h"
#include "cpu/perceptron/predict_mlp.h"
#include "cpu/perceptron/predict_pooled_mlp.h"
#include "cpu/perceptron/train_mlp.h"
#include "cpu/perceptron/train_pooled_mlp.h"
#include "cpu/simd/multiply_adds.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {

namespace {

template <class T>
constexpr IndirectKernels<T> indirect_kernels() {
  IndirectKernels<T> k = {};
  k.conv_workspace = &indirect_conv_workspace<T>;
  k.conv = &indirect_conv<T>;
  k.depthwise_workspace = &indirect_depthwise_workspace<T>;
  k.depthwise = &indirect_depthwise<T>;
  k.pool_workspace = &indirect_pool_workspace<T>;
  k.pool = &indirect_pool<T>;
  return k;
}

// Set by name, because two entries may have the same type. host/dispatch_test.cpp finds a missing
// one.
constexpr Kernels all_kernels() {
  Kernels k = {};
  k.lanes = kLanes;
  k.c3_conv_workspace = &c3_conv_workspace;
  k.c3_conv_f32 = &c3_conv<float>;
  k.c3_conv_f64 = &c3_conv<double>;
  k.c3_conv_backward_workspace = &c3_conv_backward_workspace;
  k.c3_conv_backward_f32 = &c3_conv_backward<float>;
  k.c3_conv_backward_f64 = &c3_conv_backward<double>;
  k.fused.predict_shifts_lenet5 = predict_shifts_lenet5;
  k.fused.predict_shifts_mlp = predict_shifts_mlp;
  k.fused.predict_shifts_pooled_mlp = predict_shifts_pooled_mlp;
  k.fused.train_epoch_lenet5 = train_epoch_lenet5;
  k.fused.train_epoch_mlp = train_epoch_mlp;
  k.fused.train_epoch_pooled_mlp = train_epoch_pooled_mlp;
  k.indirect_f32 = indirect_kernels<float>();
  k.indirect_f64 = indirect_kernels<double>();
  k.tanh = &tanh_array;
  k.multiply_adds = &multiply_adds;
  return k;
}

}  // namespace

// A constant, so that no code of this ISA runs when the core is loaded.
extern const Kernels kernels;
constexpr Kernels kernels = all_kernels();

}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
