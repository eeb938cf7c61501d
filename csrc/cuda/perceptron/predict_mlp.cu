// predict_shifts for the MLP. Let I be the image and W a hidden unit's weights, zero outside the
// frame. Under the shift (dx, dy) the unit sees
//
//   sum over y, x of I[y][x] * W[y + dy][x + dx]:
//
// what leaves the frame meets zeros. The sum needs only pixels that have ink in some image of a
// sharing group: they are listed once for each group, and their values are stored in a row for each
// pixel. Where many shifts share an image, a form takes fewer products
// (cuda/perceptron/mlp_form.h).
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/mlp_form.h"
#include "cuda/perceptron/predict.h"

namespace lenetshift {
namespace cuda {
namespace {

struct MlpModel {
  static constexpr const char* op = "predict_shifts_mlp";
  static constexpr int n_inputs = kPixels, max_terms = kPixels;
  static float scale() { return 1.0f / 255; }  // of the weights: pixels are 0 ... 255

  std::int64_t groups;     // of a chunk
  std::int16_t* position;  // [groups][784]: inked pixels, ascending
  int* n_positions;        // [groups]
  float* values;           // [groups][784 pixels in that order][128]

  MlpModel(Workspace& workspace, std::int64_t n_images) {
    groups = chunk_groups(n_images, kPixels * kGroupImages * sizeof(float));
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

  void prepare(const std::uint8_t* images, std::int64_t n_images, unsigned n_groups,
               cudaStream_t stream) const;
};

// Block x: which pixels have ink in group x.
__global__ void __launch_bounds__(kThreads)
    list_ink(MlpModel model, const std::uint8_t* images, std::int64_t n_images) {
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
      model.position[blockIdx.x * kPixels + before + __popc(inked & ((1u << lane) - 1))] =
          static_cast<std::int16_t>(p);
    before += __popc(inked);
  }
  if (lane == 0) model.n_positions[blockIdx.x] = before;
}

// Block (x, y): the values of group x, images 32 y ... 32 y + 31 of it.
__global__ void __launch_bounds__(kThreads)
    gather_pixels(MlpModel model, const std::uint8_t* images, std::int64_t n_images) {
  std::uint8_t* const staged = dynamic_shared<std::uint8_t>();
  const std::int64_t group = blockIdx.x, first = group * kGroupImages + blockIdx.y * kStagedImages;
  stage_images(images, first, n_images, staged);
  const int lane = threadIdx.x % kWarp, n = model.n_positions[group];
  float* const target =
      model.values + group * kPixels * kGroupImages + blockIdx.y * kStagedImages + lane;
  for (int k = static_cast<int>(threadIdx.x) / kWarp; k < n; k += kWarps)
    target[k * kGroupImages] =
        static_cast<float>(staged[lane * kStagedPitch + model.position[group * kPixels + k]]);
}

void MlpModel::prepare(const std::uint8_t* images, std::int64_t n_images, unsigned n_groups,
                       cudaStream_t stream) const {
  launch(op, list_ink, n_groups, 0, stream, *this, images, n_images);
  launch(op, gather_pixels, dim3(n_groups, kGroupImages / kStagedImages),
         kStagedImages * kStagedPitch, stream, *this, images, n_images);
}

// The memory of one of the two ways: the other one's has no images.
struct MlpMemory {
  bool by_cells;
  PerceptronMemory<MlpModel> pixels;
  CellMemory cells;

  MlpMemory(Workspace& workspace, const Mlp& mlp, const ShiftedImages& job)
      : by_cells(form_pays(mlp, job.grid)),
        pixels(workspace, mlp, by_cells ? 0 : job.n_images),
        cells(workspace, mlp.parameters.n_hidden, by_cells ? job.n_images : 0) {}
};

void predict_mlp(const Mlp& mlp, const ShiftedImages& job, const MlpMemory& memory,
                 cudaStream_t stream) {
  if (!memory.by_cells) return predict_perceptron(mlp, job, memory.pixels, stream);
  if (job.n_images == 0) return;
  pack<MlpModel>(mlp, memory.pixels.weights, stream);
  predict_cells(MlpModel::op, mlp, job, memory.pixels.weights, memory.cells, stream);
}

}  // namespace

const FusedKernel<Mlp, ShiftedImages> predict_shifts_mlp = fused_kernel<predict_mlp>;

}  // namespace cuda
}  // namespace lenetshift
