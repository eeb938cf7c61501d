// One epoch of SGD on LeNet-5 or symmetric LeNet-5. A step is two kernels:
// 1. Forward and backward, an image in a block (lenet5_gradients.h). A block takes several images
//    where the batch has more than kMaxSlots, and adds their convolution gradients to its slot; of
//    the other layers the inputs and output gradients go to the workspace.
// 2. Every parameter is updated by a thread of its own, which sums over slots or images.
#include "cuda_kernels.h"
#include "lenet5_gradients.h"

namespace lenetshift {
namespace cuda {
namespace {

// As many blocks as a large card has multiprocessors: more would wait, and take memory.
constexpr int kMaxSlots = 128;

struct Lenet5Training {
  int n_slots;
  float* slots;                            // [n_slots][n_grads]
  float *s4, *c5, *f6;                     // [batch][400 | 120 | 84]
  float *c5_grad, *f6_grad, *output_grad;  // [batch][120 | 84 | 10]
  float* loss;                             // [batch]

  Lenet5Training(Arena& arena, int n_grads, int batch_size) {
    const std::int64_t batch = batch_size;
    n_slots = smaller(batch_size, kMaxSlots);
    slots = arena.take<float>(static_cast<std::int64_t>(n_slots) * n_grads);
    s4 = arena.take<float>(batch * kS4Units);
    c5 = arena.take<float>(batch * kC5Size);
    f6 = arena.take<float>(batch * kF6Size);
    c5_grad = arena.take<float>(batch * kC5Size);
    f6_grad = arena.take<float>(batch * kF6Size);
    output_grad = arena.take<float>(batch * kClasses);
    loss = arena.take<float>(batch);
  }
};

__device__ inline void copy_out(const float* values, int n, int image, float* rows) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kBlock)
    rows[static_cast<std::int64_t>(image) * n + i] = values[i];
}

__device__ inline void forward(Act act, const Lenet5Parameters& p, const C3Connections& connections,
                        const std::uint8_t* image, Lenet5Values& v) {
  load_framed(image, v.image);
  __syncthreads();
  c1_forward(act, p.c1, v.image, v.c1);
  __syncthreads();
  pool(v.c1, kS2Maps, kS2Side, v.s2);
  __syncthreads();
  c3_forward(act, p.c3, connections, v.s2, v.c3);
  __syncthreads();
  pool(v.c3, kC3Maps, kS4Side, v.s4);
  __syncthreads();
  dense_forward(act, p.c5, v.s4, kS4Units, kC5Size, v.c5);
  __syncthreads();
  dense_forward(act, p.f6, v.c5, kC5Size, kF6Size, v.f6);
  __syncthreads();
  dense_forward(Linear{}, p.output, v.f6, kF6Size, kClasses, v.logits);
  __syncthreads();
}

__device__ inline void backward(Act act, const Lenet5Parameters& p,
                                const C3Connections& connections, float* slot, bool starts,
                                Lenet5Values& v) {
  dense_backward(act, p.output, v.output_grad, v.f6, kF6Size, kClasses, v.f6_grad);
  __syncthreads();
  dense_backward(act, p.f6, v.f6_grad, v.c5, kC5Size, kF6Size, v.c5_grad);
  __syncthreads();
  dense_backward(Linear{}, p.c5, v.c5_grad, v.s4, kS4Units, kC5Size, v.s4_grad);
  __syncthreads();
  unpool(act, v.s4_grad, kC3Maps, kS4Side, v.c3);
  __syncthreads();
  c3_grad_weight(connections, v.c3, v.s2, slot, starts);
  c3_grad_input(p.c3, connections, v.c3, v.s2_grad);
  __syncthreads();
  unpool(act, v.s2_grad, kS2Maps, kS2Side, v.c1);
  __syncthreads();
  c1_grad_weight(v.c1, v.image, v.s2_grad, slot, starts);
}

// One block to a multiprocessor, so that the compiler spares no registers: a batch has fewer images
// than a large card has room for blocks.
__global__ void __launch_bounds__(kBlock, 1)
    lenet5_gradients(Act act, Lenet5Parameters p, C3Connections connections, Batch batch,
                     Lenet5Training w) {
  Lenet5Values& v = *dynamic_shared<Lenet5Values>();
  float* const slot = w.slots + static_cast<std::int64_t>(blockIdx.x) * connections.n_grads();
  for (int i = static_cast<int>(blockIdx.x); i < batch.n; i += static_cast<int>(gridDim.x)) {
    __syncthreads();  // the image before still uses the values
    forward(act, p, connections, batch.image(i), v);
    if (threadIdx.x == 0)
      w.loss[i] = cross_entropy(v.logits, batch.label(i), batch.scale, v.output_grad);
    __syncthreads();
    backward(act, p, connections, slot, i == static_cast<int>(blockIdx.x), v);
    copy_out(v.s4, kS4Units, i, w.s4);
    copy_out(v.c5, kC5Size, i, w.c5);
    copy_out(v.f6, kF6Size, i, w.f6);
    copy_out(v.c5_grad, kC5Size, i, w.c5_grad);
    copy_out(v.f6_grad, kF6Size, i, w.f6_grad);
    copy_out(v.output_grad, kClasses, i, w.output_grad);
  }
}

constexpr int kC5Parameters = kC5Size * (kS4Units + 1), kF6Parameters = kF6Size * (kC5Size + 1);
constexpr int kOutputParameters = kClasses * (kF6Size + 1);

// A parameter a thread; the last block has the mean loss.
__global__ void __launch_bounds__(kBlock)
    lenet5_update(Lenet5Parameters p, C3Connections connections, Batch batch, Lenet5Training w,
                  int n_slots) {
  if (blockIdx.x == gridDim.x - 1) {
    mean_loss(w.loss, batch.n, batch.loss);
    return;
  }
  int i = static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (i < kC5Parameters) {
    update_dense(p.c5, i, w.c5_grad, kC5Size, w.s4, kS4Units, batch.n);
    return;
  }
  i -= kC5Parameters;
  if (i < kF6Parameters) {
    update_dense(p.f6, i, w.f6_grad, kF6Size, w.c5, kC5Size, batch.n);
    return;
  }
  i -= kF6Parameters;
  if (i < kOutputParameters) {
    update_dense(p.output, i, w.output_grad, kClasses, w.f6, kF6Size, batch.n);
    return;
  }
  i -= kOutputParameters;
  const int n_grads = connections.n_grads();
  if (i >= n_grads) return;
  float sum = 0;
#pragma unroll 8
  for (int slot = 0; slot < n_slots; ++slot) sum += w.slots[slot * n_grads + i];
  float* const target =
      i < C3Connections::c1_bias()     ? updated(p.c1.weight) + i
      : i < C3Connections::c3_weight() ? updated(p.c1.bias) + (i - C3Connections::c1_bias())
      : i < connections.c3_bias()      ? updated(p.c3.weight) + (i - C3Connections::c3_weight())
                                       : updated(p.c3.bias) + (i - connections.c3_bias());
  *target -= sum;
}

C3Connections connections_of(C3Form form) {
  return form == C3Form::sparse ? C3Connections::of<SparseC3>() : C3Connections::of<DenseC3>();
}

}  // namespace

std::int64_t train_epoch_lenet5_workspace(C3Form form, int batch_size) {
  Arena arena(nullptr);
  Lenet5Training(arena, connections_of(form).n_grads(), batch_size);
  return arena.bytes();
}

void train_epoch_lenet5(C3Form form, Activation activation, const Lenet5Parameters& parameters,
                        const Epoch& epoch, void* workspace, void* stream) {
  const C3Connections connections = connections_of(form);
  Arena arena(workspace);
  const Lenet5Training w(arena, connections.n_grads(), epoch.batch_size);
  const int n_parameters =
      kC5Parameters + kF6Parameters + kOutputParameters + connections.n_grads();
  for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
    const Batch batch(epoch, step);
    const int n_slots = smaller(batch.n, w.n_slots);
    launch("train_epoch_lenet5: gradients", lenet5_gradients,
           static_cast<unsigned>(n_slots), kBlock, sizeof(Lenet5Values),
           static_cast<cudaStream_t>(stream), Act{activation}, parameters, connections, batch, w);
    launch("train_epoch_lenet5: update", lenet5_update, blocks_for(n_parameters, kBlock) + 1,
           kBlock, 0, static_cast<cudaStream_t>(stream), parameters, connections, batch, w,
           n_slots);
  }
}

}  // namespace cuda
}  // namespace lenetshift
