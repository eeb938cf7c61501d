// predict_shifts_* and train_epoch_*. Parameters are arrays in the models' order.
#include "call.h"
#include "cuda/cuda_kernels.h"

namespace {

using namespace lenetshift;

Activation activation(Call& call) { return static_cast<Activation>(call.number(0)); }

Layer layer(Call& call, std::size_t i) { return {call.array<float>(i), call.array<float>(i + 1)}; }
Lenet5Parameters lenet5(Call& call, std::size_t i) {
  return {layer(call, i), layer(call, i + 2), layer(call, i + 4), layer(call, i + 6),
          layer(call, i + 8)};
}
MlpParameters mlp(Call& call, std::size_t i) {
  return {layer(call, i), layer(call, i + 2), static_cast<int>(call.number(1))};
}

// numbers: activation, C3 table or hidden units, n_images, dx_first, n_dx, dy_first, n_dy;
// arrays: images, parameters, predictions, logits.
ShiftedImages job(Call& call) {
  const auto number = [&](int i) { return static_cast<int>(call.number(i)); };
  return {call.array<std::uint8_t>(0),
          call.number(2),
          {number(3), number(4), number(5), number(6)},
          call.array<std::uint8_t>(call.arrays.size() - 2),
          call.array<float>(call.arrays.size() - 1)};
}

const Register predict_lenet5("predict_shifts_lenet5", [](Call& call) {
  const C3Table table = static_cast<C3Table>(call.number(1));
  const ShiftedImages images = job(call);
  Workspace workspace(cuda::predict_shifts_lenet5_workspace(table, images.grid, images.n_images));
  cuda::predict_shifts_lenet5(table, activation(call), lenet5(call, 1), images, workspace, nullptr);
});

template <class WorkspaceBytes, class Predict>
Op predict_op(WorkspaceBytes bytes, Predict predict) {
  return [=](Call& call) {
    const MlpParameters parameters = mlp(call, 1);
    const ShiftedImages images = job(call);
    Workspace workspace(bytes(parameters.n_hidden, images.grid, images.n_images));
    predict(activation(call), parameters, images, workspace, nullptr);
  };
}
const Register predict_mlp("predict_shifts_mlp", predict_op(cuda::predict_shifts_mlp_workspace,
                                                            cuda::predict_shifts_mlp));
const Register predict_pooled_mlp("predict_shifts_pooled_mlp",
                                  predict_op(cuda::predict_shifts_pooled_mlp_workspace,
                                             cuda::predict_shifts_pooled_mlp));

// numbers: activation, C3 table or hidden units, n_images, batch size;
// arrays: images, labels, permutation, learning rate, parameters, losses.
Epoch epoch(Call& call) {
  return {call.array<std::uint8_t>(0),
          call.array<std::int64_t>(1),
          call.array<std::int64_t>(2),
          call.number(2),
          static_cast<int>(call.number(3)),
          *call.array<float>(3),
          call.array<float>(call.arrays.size() - 1)};
}

const Register train_lenet5("train_epoch_lenet5", [](Call& call) {
  const C3Table table = static_cast<C3Table>(call.number(1));
  const Epoch all = epoch(call);
  Workspace workspace(cuda::train_epoch_lenet5_workspace(table, all.batch_size));
  cuda::train_epoch_lenet5(table, activation(call), lenet5(call, 4), all, workspace, nullptr);
});

template <class WorkspaceBytes, class Train>
Op train_op(WorkspaceBytes bytes, Train train) {
  return [=](Call& call) {
    const MlpParameters parameters = mlp(call, 4);
    const Epoch all = epoch(call);
    Workspace workspace(bytes(parameters.n_hidden, all.batch_size));
    train(activation(call), parameters, all, workspace, nullptr);
  };
}
const Register train_mlp("train_epoch_mlp",
                         train_op(cuda::train_epoch_mlp_workspace, cuda::train_epoch_mlp));
const Register train_pooled_mlp("train_epoch_pooled_mlp",
                                train_op(cuda::train_epoch_pooled_mlp_workspace,
                                         cuda::train_epoch_pooled_mlp));

}  // namespace
