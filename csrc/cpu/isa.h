// What every ISA offers, collected into one Kernels table. isa_<name>.cpp includes this file and
// nothing else; its compiler flags choose the ISA.
#pragma once

#include "activation.h"
#include "c3_conv.h"
#include "multiply_adds.h"
#include "predict_lenet5.h"
#include "predict_mlp.h"
#include "predict_pooled_mlp.h"
#include "train_lenet5.h"
#include "train_mlp.h"
#include "train_pooled_mlp.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {

extern const Kernels kernels;
const Kernels kernels = {
    kLanes,
    c3_conv_workspace,
    c3_conv<float>,
    c3_conv<double>,
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
