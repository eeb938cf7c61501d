// predict_shifts_* and train_epoch_*. Parameters are arrays in the models' order.
#include "call.h"
#include "cuda/cuda_kernels.h"

namespace {

using namespace lenetshift;

Activation activation(Call& call) { return static_cast<Activation>(call.number(0)); }

Layer layer(Call& call, std::size_t i) { return {call.array<float>(i), call.array<float>(i + 1)}; }

// The model whose parameters begin with array i.
// numbers: activation, C3 table or hidden units.
void read(Call& call, std::size_t i, Lenet5& model) {
  model = {static_cast<C3Table>(call.number(1)),
           activation(call),
           {layer(call, i), layer(call, i + 2), layer(call, i + 4), layer(call, i + 6),
            layer(call, i + 8)}};
}
void read(Call& call, std::size_t i, Mlp& model) {
  model = {activation(call),
           {layer(call, i), layer(call, i + 2), static_cast<int>(call.number(1))}};
}

// The job; returns the first of the model's arrays.
// numbers: ..., n_images, dx_first, n_dx, dy_first, n_dy;
// arrays: images, parameters, predictions, logits.
std::size_t read(Call& call, ShiftedImages& job) {
  const auto number = [&](int i) { return static_cast<int>(call.number(i)); };
  job = {call.array<std::uint8_t>(0),
         call.number(2),
         {number(3), number(4), number(5), number(6)},
         call.array<std::uint8_t>(call.arrays.size() - 2),
         call.array<float>(call.arrays.size() - 1)};
  return 1;
}
// numbers: ..., n_images, batch size;
// arrays: images, labels, permutation, learning rate, parameters, losses.
std::size_t read(Call& call, Epoch& job) {
  job = {call.array<std::uint8_t>(0),
         call.array<std::int64_t>(1),
         call.array<std::int64_t>(2),
         call.number(2),
         static_cast<int>(call.number(3)),
         *call.host<float>(3),
         call.array<float>(call.arrays.size() - 1)};
  return 4;
}

template <class Model, class Job>
Op op(const cuda::FusedKernel<Model, Job>& kernel) {
  return [&kernel](Call& call) {
    Job job;
    Model model;
    read(call, read(call, job), model);
    void* const workspace = call.workspace(kernel.workspace(model, job));
    kernel.run(model, job, workspace, call.stream());
  };
}

const Register predict_lenet5("predict_shifts_lenet5", op(cuda::predict_shifts_lenet5));
const Register predict_mlp("predict_shifts_mlp", op(cuda::predict_shifts_mlp));
const Register predict_pooled_mlp("predict_shifts_pooled_mlp", op(cuda::predict_shifts_pooled_mlp));
const Register train_lenet5("train_epoch_lenet5", op(cuda::train_epoch_lenet5));
const Register train_mlp("train_epoch_mlp", op(cuda::train_epoch_mlp));
const Register train_pooled_mlp("train_epoch_pooled_mlp", op(cuda::train_epoch_pooled_mlp));

}  // namespace
