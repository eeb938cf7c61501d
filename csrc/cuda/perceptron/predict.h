// predict_shifts for the MLP pixel by pixel, for few shifts, and its weights packed. Let I be the
// image and W a hidden unit's weights, zero outside the frame. Under the shift (dx, dy) the unit
// sees
//
//   sum over y, x of I[y][x] * W[y + dy][x + dx]:
//
// what leaves the frame meets zeros. The sum needs only pixels that have ink in some image of a
// sharing group: they are listed once for each group, and their values are stored in a row for each
// pixel.
//
// The algorithm, for one image and shift:
//   for hidden unit h
//     hidden[h] = act(bias[h] + sum over terms of value[term] * weight[term][h])
//   logits = output weights * hidden;  answer = argmax
// A term is an inked pixel. The shift says which row of weights it meets; no image is moved.
//
// The schedule:
//   pack the weights                             pack_perceptron
//   for each chunk of sharing groups             whose values fit in 256 MiB of workspace
//     the values of each group of 128 images     list_ink, gather_pixels
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
  float* hidden;          // [784 pixels, and a row of zeros][n_units]; pixels are 0 ... 255
  float* bias;            // [n_units]
  float* output;          // [n_units][2][kLogitsStride]: classes 0 ... 4, 5 ... 9
  const float* output_bias;

  PerceptronWeights(Workspace& workspace, const MlpParameters& parameters)
      : n_hidden(parameters.n_hidden), n_units(round_up(parameters.n_hidden, kStripUnits)) {
    hidden = workspace.take<float>(static_cast<std::int64_t>(kPixels + 1) * n_units);
    bias = workspace.take<float>(n_units);
    output = workspace.take<float>(static_cast<std::int64_t>(n_units) * 2 * kLogitsStride);
    output_bias = parameters.output.bias;
  }
};

// A block for each row of w.hidden, and one more for the rest.
__global__ void __launch_bounds__(kThreads)
    pack_perceptron(PerceptronWeights w, MlpParameters parameters) {
  const int row = static_cast<int>(blockIdx.x);
  for (int unit = static_cast<int>(threadIdx.x); unit < w.n_units; unit += kThreads) {
    const bool real = unit < w.n_hidden;
    if (row <= kPixels) {
      const std::int64_t at = static_cast<std::int64_t>(unit) * kPixels + row;
      w.hidden[static_cast<std::int64_t>(row) * w.n_units + unit] =
          real && row < kPixels ? parameters.hidden.weight[at] * (1.0f / 255) : 0.0f;
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

// The values of a chunk.
struct PixelMemory {
  std::int64_t groups;     // of a chunk, at most the y size of a grid
  std::int16_t* position;  // [groups][784]: inked pixels, ascending
  int* n_positions;        // [groups]
  float* values;           // [groups][784 pixels in that order][128]

  PixelMemory(Workspace& workspace, std::int64_t n_images) {
    constexpr std::int64_t bytes = kPixels * kGroupImages * sizeof(float);
    groups = smaller(divide_up(n_images, kGroupImages), smaller(kChunkBytes / bytes, 65535));
    position = workspace.take<std::int16_t>(groups * kPixels);
    n_positions = workspace.take<int>(groups);
    values = workspace.take<float>(groups * kPixels * kGroupImages);
  }

  __device__ const float* values_of(int group) const {
    return values + static_cast<std::int64_t>(group) * kPixels * kGroupImages;
  }
  // A pixel that leaves the frame meets the row of zeros, and so does the padding to whole stages.
  __device__ int make_terms(int group, int dx, int dy, Term* terms) const {
    const int n = n_positions[group];
    for (int k = static_cast<int>(threadIdx.x); k < round_up(n, kDepth); k += kThreads) {
      terms[k] = {0, kPixels};
      if (k >= n) continue;
      const int p = position[static_cast<std::int64_t>(group) * kPixels + k];
      const int y = p / kImageSize + dy, x = p % kImageSize + dx;
      const bool stays = y >= 0 && y < kImageSize && x >= 0 && x < kImageSize;
      terms[k] = {static_cast<std::int16_t>(k),
                  static_cast<std::int16_t>(stays ? y * kImageSize + x : kPixels)};
    }
    return n;
  }
};

// Block x: which pixels have ink in group x.
__global__ void __launch_bounds__(kThreads)
    list_ink(PixelMemory memory, const std::uint8_t* images, std::int64_t n_images) {
  __shared__ unsigned char has_ink[round_up(kPixels, kWarp)];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kGroupImages;
  const int n = static_cast<int>(smaller(n_images - first, kGroupImages));
  for (int p = static_cast<int>(threadIdx.x); p < round_up(kPixels, kWarp); p += kThreads) {
    int any = 0;
    if (p < kPixels)
      for (int i = 0; i < n; ++i) any |= images[(first + i) * kPixels + p];
    has_ink[p] = any != 0;
  }
  __syncthreads();
  // The first warp packs them: a pixel's place is the number of inked ones before it.
  if (threadIdx.x >= kWarp) return;
  const int lane = static_cast<int>(threadIdx.x);
  int before = 0;
  for (int p = lane; p < round_up(kPixels, kWarp); p += kWarp) {
    const unsigned inked = __ballot_sync(kAllLanes, has_ink[p]);
    if (has_ink[p] != 0)
      memory.position[blockIdx.x * kPixels + before + __popc(inked & ((1u << lane) - 1))] =
          static_cast<std::int16_t>(p);
    before += __popc(inked);
  }
  if (lane == 0) memory.n_positions[blockIdx.x] = before;
}

// Block (x, y): the values of group x, images 32 y ... 32 y + 31 of it.
__global__ void __launch_bounds__(kThreads)
    gather_pixels(PixelMemory memory, const std::uint8_t* images, std::int64_t n_images) {
  static_assert(kGroupImages % kStagedImages == 0);
  std::uint8_t* const staged = dynamic_shared<std::uint8_t>();
  const std::int64_t group = blockIdx.x, first = group * kGroupImages + blockIdx.y * kStagedImages;
  stage_images(images, first, n_images, staged);
  const int lane = threadIdx.x % kWarp, n = memory.n_positions[group];
  float* const target =
      memory.values + group * kPixels * kGroupImages + blockIdx.y * kStagedImages + lane;
  for (int k = static_cast<int>(threadIdx.x) / kWarp; k < n; k += kWarps)
    target[k * kGroupImages] =
        static_cast<float>(staged[lane * kStagedPitch + memory.position[group * kPixels + k]]);
}

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
constexpr std::size_t kPixelsShared = (kStagesSize + kClasses * kGroupImages) * sizeof(float) +
                                      round_up(kPixels, kDepth) * sizeof(Term);

// Block (x, y): shift x of the grid, sharing group y.
__global__ void __launch_bounds__(kThreads, 2)
    perceptron_answers(Act act, PixelMemory memory, PerceptronWeights w, ShiftedImages job,
                       std::int64_t first) {
  float* const shared = dynamic_shared<float>();
  float* const logits = shared + kStagesSize;
  Term* const terms = reinterpret_cast<Term*>(logits + kClasses * kGroupImages);
  const int t = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int row = static_cast<int>(blockIdx.x) / job.grid.n_dx;
  const int column = static_cast<int>(blockIdx.x) % job.grid.n_dx;
  const int n_terms =
      memory.make_terms(group, job.grid.dx_first + column, job.grid.dy_first + row, terms);
  const int n_stages = divide_up(n_terms, kDepth);
  __syncthreads();
  const float* const values = memory.values_of(group);

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

inline void pack(const char* op, const Mlp& mlp, const PerceptronWeights& w, cudaStream_t stream) {
  launch(op, pack_perceptron, kPixels + 2, 0, stream, w, mlp.parameters);
}

// A prediction pixel by pixel, with the packed weights.
inline void predict_pixels(const char* op, const Mlp& mlp, const ShiftedImages& job,
                           const PerceptronWeights& w, const PixelMemory& memory,
                           cudaStream_t stream) {
  const std::int64_t chunk = memory.groups * kGroupImages;
  for (std::int64_t first = 0; first < job.n_images; first += chunk) {
    const std::int64_t left = job.n_images - first;
    const unsigned n_groups = blocks_for(smaller(left, chunk), kGroupImages);
    const std::uint8_t* const images = job.images + first * kPixels;
    launch(op, list_ink, n_groups, 0, stream, memory, images, left);
    launch(op, gather_pixels, dim3(n_groups, kGroupImages / kStagedImages),
           kStagedImages * kStagedPitch, stream, memory, images, left);
    launch(op, perceptron_answers,
           dim3(static_cast<unsigned>(job.grid.n_dx * job.grid.n_dy), n_groups), kPixelsShared,
           stream, Act{mlp.activation}, memory, w, job, first);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
