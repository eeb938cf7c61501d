// What every ISA offers, collected into one Kernels table. isa_<name>.cpp includes this file and
// nothing else; its compiler flags choose the ISA.
#pragma once

#include "cpu/conv/c3_conv.h"
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

extern const Kernels kernels;
const Kernels kernels = {
    kLanes,
    c3_conv_workspace,
    c3_conv<float>,
    c3_conv<double>,
    c3_conv_backward_workspace,
    c3_conv_backward<float>,
    c3_conv_backward<double>,
    predict_shifts_lenet5_workspace,
    predict_shifts_lenet5,
    predict_shifts_mlp_workspace,
    predict_shifts_mlp,
    predict_shifts_pooled_mlp_workspace,
    predict_shifts_pooled_mlp,
    train_epoch_lenet5_workspace,
    train_epoch_lenet5,
    train_epoch_mlp_workspace,
    train_epoch_mlp,
    train_epoch_pooled_mlp_workspace,
    train_epoch_pooled_mlp,
    tanh_array,
    multiply_adds,
};

}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
