// One epoch of SGD on LeNet-5 or symmetric LeNet-5.
//
// The algorithm, for each step: the logits of its images, their mean cross-entropy, and
// parameter -= learning_rate * its gradient for every parameter.
//
// The schedule, two kernels for each step:
//   lenet5_gradients: a block for each slot, at most 128
//     for each image of the slot, one if the batch has at most 128
//       forward and backward (cuda/lenet5/gradients.h)
//       the gradients of C1 and C3 are added to the slot; the inputs and output gradients of the
//       other layers go to the workspace
//   lenet5_update: a thread for each parameter, which sums over slots or images; the last block
//     takes the mean loss
//
// It is bound by latency: a step of 64 images occupies 64 multiprocessors of a card. All steps are
// enqueued at once.
#include "c3_table.h"
#include "cuda/cuda_kernels.h"
#include "cuda/lenet5/gradients.h"

namespace lenetshift {
namespace cuda {
namespace {

// About as many blocks as a large card has multiprocessors: more would wait, and take memory.
constexpr int kMaxSlots = 128;

TableRows table_of(C3Table table) {
  return TableRows(table == C3Table::sparse ? SparseC3::table : DenseC3::table, 0, kMaps3);
}

struct Lenet5Training {
  int n_slots;
  float* slots;                            // [n_slots][n_grads]
  float *s4, *c5, *f6;                     // [batch][400 | 120 | 84]
  float *c5_grad, *f6_grad, *output_grad;  // [batch][120 | 84 | 10]
  float* loss;                             // [batch]

  Lenet5Training(Workspace& workspace, const Lenet5& model, const Epoch& epoch) {
    const std::int64_t batch = epoch.batch_size, n_grads = n_conv_grads(table_of(model.table));
    n_slots = smaller(epoch.batch_size, kMaxSlots);
    slots = workspace.take<float>(n_slots * n_grads);
    s4 = workspace.take<float>(batch * kS4Units);
    c5 = workspace.take<float>(batch * kC5Units);
    f6 = workspace.take<float>(batch * kF6Units);
    c5_grad = workspace.take<float>(batch * kC5Units);
    f6_grad = workspace.take<float>(batch * kF6Units);
    output_grad = workspace.take<float>(batch * kClasses);
    loss = workspace.take<float>(batch);
  }
};

__device__ inline void copy_out(const float* values, int n, int image, float* rows) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads)
    rows[static_cast<std::int64_t>(image) * n + i] = values[i];
}

__device__ inline void forward(Act act, const Lenet5Parameters& p, const TableRows& table,
                               const std::uint8_t* image, Lenet5Values& v) {
  load_padded(image, v.image);
  __syncthreads();
  c1_forward(act, p.c1, v.image, v.c1);
  __syncthreads();
  pool(v.c1, kMaps1, kS2Side, v.s2);
  __syncthreads();
  c3_forward(act, p.c3, table, v.s2, v.c3);
  __syncthreads();
  pool(v.c3, kMaps3, kS4Side, v.s4);
  __syncthreads();
  dense_forward(act, p.c5, v.s4, kS4Units, kC5Units, v.c5);
  __syncthreads();
  dense_forward(act, p.f6, v.c5, kC5Units, kF6Units, v.f6);
  __syncthreads();
  dense_forward(Linear{}, p.output, v.f6, kF6Units, kClasses, v.logits);
  __syncthreads();
}

__device__ inline void backward(Act act, const Lenet5Parameters& p, const TableRows& table,
                                float* slot, bool starts, Lenet5Values& v) {
  dense_backward(act, p.output, v.output_grad, v.f6, kF6Units, kClasses, v.f6_grad);
  __syncthreads();
  dense_backward(act, p.f6, v.f6_grad, v.c5, kC5Units, kF6Units, v.c5_grad);
  __syncthreads();
  dense_backward(Linear{}, p.c5, v.c5_grad, v.s4, kS4Units, kC5Units, v.s4_grad);
  __syncthreads();
  unpool(act, v.s4_grad, kMaps3, kS4Side, v.c3);
  __syncthreads();
  c3_grad_weight(table, v.c3, v.s2, slot, starts);
  c3_grad_input(p.c3, table, v.c3, v.s2_grad);
  __syncthreads();
  unpool(act, v.s2_grad, kMaps1, kS2Side, v.c1);
  __syncthreads();
  c1_grad_weight(v.c1, v.image, v.s2_grad, slot, starts);
}

// One block on each multiprocessor, so that the compiler may use all registers: a batch has fewer
// images than a large card has multiprocessors.
__global__ void __launch_bounds__(kThreads, 1)
    lenet5_gradients(Act act, Lenet5Parameters p, TableRows table, Batch batch, Lenet5Training w) {
  Lenet5Values& v = *dynamic_shared<Lenet5Values>();
  float* const slot = w.slots + static_cast<std::int64_t>(blockIdx.x) * n_conv_grads(table);
  for (int i = static_cast<int>(blockIdx.x); i < batch.n; i += static_cast<int>(gridDim.x)) {
    __syncthreads();  // until here the previous image uses the values
    forward(act, p, table, batch.image(i), v);
    if (threadIdx.x == 0)
      w.loss[i] = cross_entropy(v.logits, batch.label(i), batch.scale, v.output_grad);
    __syncthreads();
    backward(act, p, table, slot, i == static_cast<int>(blockIdx.x), v);
    copy_out(v.s4, kS4Units, i, w.s4);
    copy_out(v.c5, kC5Units, i, w.c5);
    copy_out(v.f6, kF6Units, i, w.f6);
    copy_out(v.c5_grad, kC5Units, i, w.c5_grad);
    copy_out(v.f6_grad, kF6Units, i, w.f6_grad);
    copy_out(v.output_grad, kClasses, i, w.output_grad);
  }
}

constexpr int kC5Parameters = kC5Units * (kS4Units + 1), kF6Parameters = kF6Units * (kC5Units + 1);
constexpr int kOutputParameters = kClasses * (kF6Units + 1);

// A thread for each parameter; the last block takes the mean loss.
__global__ void __launch_bounds__(kThreads)
    lenet5_update(Lenet5Parameters p, TableRows table, Batch batch, Lenet5Training w, int n_slots) {
  if (blockIdx.x == gridDim.x - 1) {
    mean_loss(w.loss, batch.n, batch.loss);
    return;
  }
  int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < kC5Parameters) {
    update_dense(p.c5, i, w.c5_grad, kC5Units, w.s4, kS4Units, batch.n);
    return;
  }
  i -= kC5Parameters;
  if (i < kF6Parameters) {
    update_dense(p.f6, i, w.f6_grad, kF6Units, w.c5, kC5Units, batch.n);
    return;
  }
  i -= kF6Parameters;
  if (i < kOutputParameters) {
    update_dense(p.output, i, w.output_grad, kClasses, w.f6, kF6Units, batch.n);
    return;
  }
  i -= kOutputParameters;
  const int n_grads = n_conv_grads(table);
  if (i >= n_grads) return;
  float sum = 0;
#pragma unroll 8
  for (int slot = 0; slot < n_slots; ++slot) sum += w.slots[slot * n_grads + i];
  float* const target = i < kC1BiasAt           ? updated(p.c1.weight) + i
                        : i < kC3WeightAt       ? updated(p.c1.bias) + (i - kC1BiasAt)
                        : i < c3_bias_at(table) ? updated(p.c3.weight) + (i - kC3WeightAt)
                                                : updated(p.c3.bias) + (i - c3_bias_at(table));
  *target -= sum;
}

void train(const Lenet5& model, const Epoch& epoch, const Lenet5Training& w, cudaStream_t stream) {
  const Lenet5Parameters& parameters = model.parameters;
  const TableRows table = table_of(model.table);
  const int n_parameters = kC5Parameters + kF6Parameters + kOutputParameters + n_conv_grads(table);
  for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
    const Batch batch(epoch, step);
    const int n_slots = smaller(batch.n, w.n_slots);
    launch("train_epoch_lenet5: gradients", lenet5_gradients, static_cast<unsigned>(n_slots),
           sizeof(Lenet5Values), stream, Act{model.activation}, parameters, table, batch, w);
    launch("train_epoch_lenet5: update", lenet5_update, blocks_for(n_parameters, kThreads) + 1, 0,
           stream, parameters, table, batch, w, n_slots);
  }
}

}  // namespace

const FusedKernel<Lenet5, Epoch> train_epoch_lenet5 = fused_kernel<train>;

}  // namespace cuda
}  // namespace lenetshift
