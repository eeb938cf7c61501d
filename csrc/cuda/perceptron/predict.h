// predict_shifts for the two perceptrons: the hidden layer, the output layer and the answers.
//
// The algorithm, for one image and shift:
//   for hidden unit h
//     hidden[h] = act(bias[h] + sum over terms of value[term] * weight[term][h])
//   logits = output weights * hidden;  answer = argmax
// The terms depend on the model and the shift: each says which of the image's values meets which
// row of weights. No image is moved.
//
// The schedule:
//   pack the weights                             a kernel
//   for each chunk of sharing groups             whose values fit in 256 MiB of workspace
//     the values of each group of 128 images     the model's kernels
//     for each group, for each shift: a block    perceptron_answers
//       the list of terms
//       for each strip of 128 hidden units
//         for each 16 terms                      a stage of shared memory, two in turn
//           16 steps of a matrix product: a thread keeps 8 images x 8 units in registers
//         activation; half a strip at a time through shared memory into the logits
//
// It is bound by arithmetic: 16 words from shared memory for 64 multiply-adds.
#pragma once

#include "cuda/perceptron/image_order.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kGroupImages = 128, kStripUnits = 128;  // of a sharing group, of a strip
constexpr int kDepth = 16;                            // terms in shared memory at a time
constexpr int kUnitLanes = 16;    // threads along the units, and along the images
constexpr int kLogitsStride = 8;  // five logits and padding, so that rows of weights are aligned

struct PerceptronWeights {
  int n_hidden, n_units;  // n_units: n_hidden, rounded up to whole strips
  float* hidden;          // [terms, and a row of zeros][n_units]
  float* bias;            // [n_units]
  float* output;          // [n_units][2][kLogitsStride]: classes 0 ... 4, 5 ... 9
  const float* output_bias;

  PerceptronWeights(Workspace& workspace, int n_inputs, const MlpParameters& parameters)
      : n_hidden(parameters.n_hidden), n_units(round_up(parameters.n_hidden, kStripUnits)) {
    hidden = workspace.take<float>(static_cast<std::int64_t>(n_inputs + 1) * n_units);
    bias = workspace.take<float>(n_units);
    output = workspace.take<float>(static_cast<std::int64_t>(n_units) * 2 * kLogitsStride);
    output_bias = parameters.output.bias;
  }
};

// A block for each row of w.hidden, and one more for the rest.
__global__ void __launch_bounds__(kThreads)
    pack_perceptron(PerceptronWeights w, MlpParameters parameters, int n_inputs, float scale) {
  const int row = static_cast<int>(blockIdx.x);
  for (int unit = static_cast<int>(threadIdx.x); unit < w.n_units; unit += kThreads) {
    const bool real = unit < w.n_hidden;
    if (row <= n_inputs) {
      const std::int64_t at = static_cast<std::int64_t>(unit) * n_inputs + row;
      w.hidden[static_cast<std::int64_t>(row) * w.n_units + unit] =
          real && row < n_inputs ? parameters.hidden.weight[at] * scale : 0.0f;
      continue;
    }
    w.bias[unit] = real ? parameters.hidden.bias[unit] : 0.0f;
    for (int i = 0; i < 2 * kLogitsStride; ++i) {
      const int o = i / kLogitsStride * 5 + i % kLogitsStride;
      w.output[unit * 2 * kLogitsStride + i] =
          real && i % kLogitsStride < 5 ? parameters.output.weight[o * w.n_hidden + unit] : 0.0f;
    }
  }
}

// One term of the sum: the row of the group's values and the row of the weights that meet.
struct Term {
  std::int16_t value, weight;
};

// sum[images][units] of all terms for one strip. Two stages of kDepth terms in shared memory.
__device__ inline void add_terms(const Term* terms, int n_stages, const float* values,
                                 const float* weights, int n_units, float* shared,
                                 float (&sum)[8][8]) {
  constexpr int stage = kDepth * (kGroupImages + kStripUnits);
  constexpr int each = kDepth * kGroupImages / 4 / kThreads;
  static_assert(kGroupImages == kStripUnits && kGroupImages == 4 * kWarp);
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp * 4, row = t / kWarp;
  constexpr int rows = kWarps;
  const int images = t % kUnitLanes * 4, units = t / kUnitLanes * 8;
  float4 x[each], w[each];
  const auto fetch = [&](int first) {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const Term term = terms[first + row + i * rows];
      x[i] = load4(values + term.value * kGroupImages + lane);
      w[i] = load4(weights + term.weight * static_cast<std::int64_t>(n_units) + lane);
    }
  };
  const auto put = [&](float* target) {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      store4(target + (row + i * rows) * kGroupImages + lane, x[i]);
      store4(target + (kDepth + row + i * rows) * kGroupImages + lane, w[i]);
    }
  };
  if (n_stages > 0) {
    fetch(0);
    put(shared);
  }
  __syncthreads();
  for (int s = 0; s < n_stages; ++s) {
    if (s + 1 < n_stages) fetch((s + 1) * kDepth);
    const float* const in = shared + (s & 1) * stage;
#pragma unroll 2
    for (int k = 0; k < kDepth; ++k) {
      float a[8], b[8];
      load4_to(in + k * kGroupImages + images, a);
      load4_to(in + k * kGroupImages + kGroupImages / 2 + images, a + 4);
      load4_to(in + (kDepth + k) * kStripUnits + units, b);
      load4_to(in + (kDepth + k) * kStripUnits + units + 4, b + 4);
#pragma unroll
      for (int m = 0; m < 8; ++m)
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[m][i] = fmaf(a[m], b[i], sum[m][i]);
    }
    if (s + 1 < n_stages) put(shared + ((s + 1) & 1) * stage);
    __syncthreads();
  }
}

// Shared memory in floats: the stages, and in their place half a strip of hidden units [64][128];
// the logits [10][128]; the terms.
constexpr int kStagesSize = 2 * kDepth * (kGroupImages + kStripUnits);
static_assert(kStripUnits / 2 * kGroupImages <= kStagesSize);
inline std::size_t perceptron_shared(int max_terms) {
  return (kStagesSize + kClasses * kGroupImages) * sizeof(float) +
         round_up(max_terms, kDepth) * sizeof(Term);
}

// Block (x, y): shift x of the grid, sharing group y. Model gives its values [group][rows][128]
// and makes the terms; see cuda/perceptron/predict_mlp.cu.
template <class Model>
__global__ void __launch_bounds__(kThreads, 2)
    perceptron_answers(Act act, Model model, PerceptronWeights w, ShiftedImages job,
                       std::int64_t first) {
  float* const shared = dynamic_shared<float>();
  float* const logits = shared + kStagesSize;
  Term* const terms = reinterpret_cast<Term*>(logits + kClasses * kGroupImages);
  const int t = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int row = static_cast<int>(blockIdx.x) / job.grid.n_dx;
  const int column = static_cast<int>(blockIdx.x) % job.grid.n_dx;
  const int n_terms =
      model.make_terms(group, job.grid.dx_first + column, job.grid.dy_first + row, terms);
  const int n_stages = divide_up(n_terms, kDepth);
  __syncthreads();
  const float* const values = model.values_of(group);

  // The thread's logits: image t % 128, five classes. Between strips they wait in shared memory,
  // because the products need all registers.
  const int image = t % kGroupImages, classes = t / kGroupImages;
  float* const own = logits + classes * 5 * kGroupImages + image;
  for (int o = 0; o < 5; ++o) own[o * kGroupImages] = w.output_bias[classes * 5 + o];
  const int images = t % kUnitLanes * 4, units = t / kUnitLanes * 8;
  for (int first_unit = 0; first_unit < w.n_units; first_unit += kStripUnits) {
    float sum[8][8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float bias = w.bias[first_unit + units + i];
#pragma unroll
      for (int m = 0; m < 8; ++m) sum[m][i] = bias;
    }
    add_terms(terms, n_stages, values, w.hidden + first_unit, w.n_units, shared, sum);
    act.apply(sum);
    for (int half = 0; half < 2; ++half) {
      if (units / (kStripUnits / 2) == half) {
        float* const hidden = shared + units % (kStripUnits / 2) * kGroupImages + images;
#pragma unroll
        for (int i = 0; i < 8; ++i)
#pragma unroll
          for (int m = 0; m < 8; m += 4)
            store4(hidden + i * kGroupImages + m * (kGroupImages / 8),
                   make_float4(sum[m][i], sum[m + 1][i], sum[m + 2][i], sum[m + 3][i]));
      }
      __syncthreads();
      float logit[5];
#pragma unroll
      for (int o = 0; o < 5; ++o) logit[o] = own[o * kGroupImages];
      const float* weight = w.output + (first_unit + half * (kStripUnits / 2)) * 2 * kLogitsStride +
                            classes * kLogitsStride;
#pragma unroll 4
      for (int unit = 0; unit < kStripUnits / 2; ++unit, weight += 2 * kLogitsStride) {
        const float hidden = shared[unit * kGroupImages + image];
        float four[4];
        load4_to(weight, four);
#pragma unroll
        for (int o = 0; o < 4; ++o) logit[o] = fmaf(hidden, four[o], logit[o]);
        logit[4] = fmaf(hidden, weight[4], logit[4]);
      }
#pragma unroll
      for (int o = 0; o < 5; ++o) own[o * kGroupImages] = logit[o];
      __syncthreads();
    }
  }
  const std::int64_t number = first + static_cast<std::int64_t>(group) * kGroupImages + image;
  if (t >= kGroupImages || number >= job.n_images) return;
  const std::int64_t answer = (number * job.grid.n_dy + row) * job.grid.n_dx + column;
  job.predictions[answer] = static_cast<std::uint8_t>(argmax(logits + image, kGroupImages));
  if (job.logits == nullptr) return;
  for (int c = 0; c < kClasses; ++c)
    job.logits[answer * kClasses + c] = logits[c * kGroupImages + image];
}

// Sharing groups of a chunk: as many as fit in the workspace, at most the y size of a grid.
inline std::int64_t chunk_groups(std::int64_t n_images, std::int64_t group_bytes) {
  return smaller(divide_up(n_images, kGroupImages), smaller(kChunkBytes / group_bytes, 65535));
}

template <class Model>
struct PerceptronMemory {
  PerceptronWeights weights;
  Model model;

  PerceptronMemory(Workspace& workspace, const Mlp& mlp, std::int64_t n_images)
      : weights(workspace, Model::n_inputs, mlp.parameters), model(workspace, n_images) {}
  PerceptronMemory(Workspace& workspace, const Mlp& mlp, const ShiftedImages& job)
      : PerceptronMemory(workspace, mlp, job.n_images) {}
};

template <class Model>
void pack(const Mlp& mlp, const PerceptronWeights& w, cudaStream_t stream) {
  launch(Model::op, pack_perceptron, static_cast<unsigned>(Model::n_inputs + 2), 0, stream, w,
         mlp.parameters, Model::n_inputs, Model::scale());
}

// A prediction with Model: pack, then for each chunk of groups prepare the values and answer.
template <class Model>
void predict_perceptron(const Mlp& mlp, const ShiftedImages& job,
                        const PerceptronMemory<Model>& memory, cudaStream_t stream) {
  if (job.n_images == 0) return;
  const PerceptronWeights& w = memory.weights;
  const Model& model = memory.model;
  pack<Model>(mlp, w, stream);
  const std::int64_t chunk = model.groups * kGroupImages;
  for (std::int64_t first = 0; first < job.n_images; first += chunk) {
    const std::int64_t left = job.n_images - first;
    const unsigned n_groups = blocks_for(smaller(left, chunk), kGroupImages);
    model.prepare(job.images + first * kPixels, left, n_groups, stream);
    launch(Model::op, perceptron_answers<Model>,
           dim3(static_cast<unsigned>(job.grid.n_dx * job.grid.n_dy), n_groups),
           perceptron_shared(Model::max_terms), stream, Act{mlp.activation}, model, w, job, first);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
