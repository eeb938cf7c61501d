// One epoch of SGD on LeNet-5 or symmetric LeNet-5.
//
// The algorithm, for each step: the logits of its images, their mean cross-entropy, and
// parameter -= learning_rate * its gradient for every parameter.
//
// The schedule, two kernels for each step:
//   lenet5_gradients: a block for each image; once more for each 128 further images of a batch
//     forward and backward (cuda/lenet5/gradients.h)
//     the gradients of C1 and C3 go to the block's slot, or are added to it; the inputs and output
//     gradients of the other layers go to the workspace
//   lenet5_update: a block for a tile of parameters, whose warps share the slots or images; the
//     last block takes the mean loss
//
// It is bound by what one block takes for its image: a step of 64 images occupies 64
// multiprocessors of a card (../README.md, "Training"). All steps are enqueued at once.
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
  float *c5_grad, *f6_grad, *output_grad;  // [batch][120 | 84 | kClassPitch]
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
    output_grad = workspace.take<float>(batch * kClassPitch);
    loss = workspace.take<float>(batch);
  }
};

__device__ inline void copy_out(const float* values, int n, int image, float* rows) {
  static_assert(kS4Units <= kGradientThreads, "a thread has at most one value");
  const int i = threadIdx.x;
  if (i < n) rows[static_cast<std::int64_t>(image) * n + i] = values[i];
}

// C5's and F6's weights for the outputs of a warp.
constexpr int kC5Rows = 4, kC5Turn = kC5Rows * kGradientWarps, kF6Rows = 8;
static_assert(kC5Units <= 2 * kC5Turn && kF6Units <= kF6Rows * kGradientWarps &&
              kClasses <= kGradientWarps && kS4Units <= kGradientThreads);

// C5's weights for the way back, in six parts, all but one of which are on their way while the
// layers after it are computed: L2 gives a multiprocessor no more than about 64 bytes a cycle, and
// they are 192 KB. Not all at once, because others wait behind them.
constexpr int kC5Parts = 6;
struct C5Columns {
  ColumnPart<kC5Units / kC5Parts> parts[kC5Parts];

  __device__ __forceinline__ void load(const Layer& c5, int part) {
    const int unit = smaller(static_cast<int>(threadIdx.x), kS4Units - 1);
    parts[part].load(c5, kS4Units, unit, part * (kC5Units / kC5Parts));
  }
};

// From the image in v.image to the logits.
__device__ __forceinline__ void forward(Act act, const Lenet5Parameters& p, const TableRows& table,
                                        C5Columns& columns, Lenet5Values& v) {
  const int warp = threadIdx.x / kWarp;
  c1_forward(act, v);
  __syncthreads();
  WarpRows<kC5Rows, kS4Units> c5;
  c5.load(p.c5, warp * kC5Rows, kC5Units);
  c3_forward(act, table, v);
  __syncthreads();
  c5.multiply(act, v.s4, v.c5);
  c5.load(p.c5, kC5Turn + warp * kC5Rows, kC5Units);
  WarpRows<kF6Rows, kC5Units> f6;
  f6.load(p.f6, warp * kF6Rows, kF6Units);
  WarpRows<1, kF6Units> output;
  output.load(p.output, warp, kClasses);
  c5.multiply(act, v.s4, v.c5);
  __syncthreads();
  f6.multiply(act, v.c5, v.f6);
  columns.load(p.c5, 0);
  __syncthreads();
  output.multiply(Linear{}, v.f6, v.logits);
  columns.load(p.c5, 1);
  __syncthreads();
}

// From v.output_grad to the gradients of C3 before its activation, in v.c3.
__device__ __forceinline__ void backward_to_c3(Act act, const Lenet5Parameters& p,
                                               C5Columns& columns, Lenet5Values& v) {
  const int thread = threadIdx.x;
  if (thread < kF6Units) {
    ColumnPart<kClasses> column;
    column.load(p.output, kF6Units, thread, 0);
    v.f6_grad[thread] = column.multiply(v.output_grad) * act.slope(v.f6[thread]);
  }
  columns.load(p.c5, 3);
  __syncthreads();
  if (thread < kF6Parts * kC5Units) {
    constexpr int n = kF6Units / kF6Parts;
    ColumnPart<n> column;
    column.load(p.f6, kC5Units, thread % kC5Units, thread / kC5Units * n);
    v.c5_parts[thread] = column.multiply(v.f6_grad);
  }
  columns.load(p.c5, 4);
  __syncthreads();
  if (thread < kC5Units) {
    float sum = 0;
    for (int part = 0; part < kF6Parts; ++part) sum += v.c5_parts[part * kC5Units + thread];
    v.c5_grad[thread] = sum * act.slope(v.c5[thread]);
  }
  __syncthreads();
  float sum = columns.parts[0].multiply(v.c5_grad);
  columns.load(p.c5, 5);
#pragma unroll
  for (int part = 1; part < kC5Parts; ++part) sum += columns.parts[part].multiply(v.c5_grad);
  if (thread < kS4Units) unpool(act, thread, sum, v.c3);
}

// Block i takes image first + i and slot i. One block on each multiprocessor, so that the compiler
// may use all registers: a batch has fewer images than a large card has multiprocessors.
__global__ void __launch_bounds__(kGradientThreads, 1)
    lenet5_gradients(Act act, Lenet5Parameters p, TableRows table, Batch batch, Lenet5Training w,
                     int first) {
  Lenet5Values& v = *dynamic_shared<Lenet5Values>();
  const int image = first + static_cast<int>(blockIdx.x), label = batch.label(image);
  ConvWeights weights;
  weights.load(p, table);
  v.connections.list(table, kMaps1);
  load_padded(batch.image(image), v.image);
  weights.store(table, v);
  __syncthreads();
  C5Columns columns;
  forward(act, p, table, columns, v);
  if (threadIdx.x < kClassPitch) {
    const float loss = cross_entropy(v.logits, label, batch.scale, v.output_grad);
    if (threadIdx.x == 0) w.loss[image] = loss;
  }
  columns.load(p.c5, 2);
  __syncthreads();
  backward_to_c3(act, p, columns, v);
  copy_out(v.s4, kS4Units, image, w.s4);
  copy_out(v.c5, kC5Units, image, w.c5);
  copy_out(v.f6, kF6Units, image, w.f6);
  copy_out(v.c5_grad, kC5Units, image, w.c5_grad);
  copy_out(v.f6_grad, kF6Units, image, w.f6_grad);
  copy_out(v.output_grad, kClassPitch, image, w.output_grad);
  __syncthreads();
  const bool starts = first == 0;
  float* const slot = w.slots + static_cast<std::int64_t>(blockIdx.x) * n_conv_grads(table);
  c3_backward(table, slot, starts, v);
  __syncthreads();
  c1_grad_weight(act, v);
  __syncthreads();
  add_c1_sums(v, slot, starts);
}

constexpr int kC5Tiles = n_dense_tiles(kC5Units, kS4Units);
constexpr int kF6Tiles = n_dense_tiles(kF6Units, kC5Units);
constexpr int kOutputTiles = n_dense_tiles(kClasses, kF6Units);

// The parameter whose gradient is value i of a slot.
__device__ inline float* conv_parameter(const Lenet5Parameters& p, const TableRows& table, int i) {
  if (i < kC1BiasAt) return updated(p.c1.weight) + i;
  if (i < kC3WeightAt) return updated(p.c1.bias) + (i - kC1BiasAt);
  if (i >= c3_bias_at(table)) return updated(p.c3.bias) + (i - c3_bias_at(table));
  const int tap = (i - kC3WeightAt) / table.n_connections;
  const int connection = (i - kC3WeightAt) % table.n_connections;
  return updated(p.c3.weight) + connection * kTapCount + tap;
}

// A block for each tile of a dense layer, then for 64 of the other parameters; the last block takes
// the mean loss.
__global__ void __launch_bounds__(kThreads, 3)
    lenet5_update(Lenet5Parameters p, TableRows table, Batch batch, Lenet5Training w, int n_slots) {
  if (blockIdx.x == gridDim.x - 1) {
    mean_loss(w.loss, batch.n, batch.loss);
    return;
  }
  int tile = static_cast<int>(blockIdx.x);
  if (tile < kC5Tiles) {
    update_dense(p.c5, tile, w.c5_grad, kC5Units, w.s4, kS4Units, batch.n);
    return;
  }
  tile -= kC5Tiles;
  if (tile < kF6Tiles) {
    update_dense(p.f6, tile, w.f6_grad, kF6Units, w.c5, kC5Units, batch.n);
    return;
  }
  tile -= kF6Tiles;
  if (tile < kOutputTiles) {
    update_dense(p.output, tile, w.output_grad, kClasses, w.f6, kF6Units, batch.n);
    return;
  }
  tile -= kOutputTiles;
  const int n_grads = n_conv_grads(table), first = tile * kTileColumns;
  const int i = first + static_cast<int>(threadIdx.x);
  const bool is_parameter = static_cast<int>(threadIdx.x) < kTileColumns && i < n_grads;
  float* const parameter = conv_parameter(p, table, i);
  const float before = is_parameter ? *parameter : 0.0f;
  float sum[1][2] = {};
#pragma unroll 8
  for (int slot = threadIdx.x / kWarp; slot < n_slots; slot += kWarps)
#pragma unroll
    for (int j = 0; j < 2; ++j)
      sum[0][j] += w.slots[slot * n_grads + smaller(first + tile_column(j), n_grads - 1)];
  const float total = tile_total(sum);
  if (is_parameter) *parameter = before - total;
}

void train(const Lenet5& model, const Epoch& epoch, const Lenet5Training& w, cudaStream_t stream) {
  const Lenet5Parameters& parameters = model.parameters;
  const TableRows table = table_of(model.table);
  const unsigned n_blocks =
      kC5Tiles + kF6Tiles + kOutputTiles + blocks_for(n_conv_grads(table), kTileColumns) + 1;
  for (std::int64_t step = 0; step < n_steps(epoch); ++step) {
    const Batch batch(epoch, step);
    const int n_slots = smaller(batch.n, w.n_slots);
    for (int first = 0; first < batch.n; first += n_slots)
      launch<kGradientThreads>("train_epoch_lenet5: gradients", lenet5_gradients,
                               static_cast<unsigned>(smaller(batch.n - first, n_slots)),
                               sizeof(Lenet5Values), stream, Act{model.activation}, parameters,
                               table, batch, w, first);
    launch("train_epoch_lenet5: update", lenet5_update, n_blocks, 0, stream, parameters, table,
           batch, w, n_slots);
  }
}

}  // namespace

const FusedKernel<Lenet5, Epoch> train_epoch_lenet5 = fused_kernel<train>;

}  // namespace cuda
}  // namespace lenetshift
