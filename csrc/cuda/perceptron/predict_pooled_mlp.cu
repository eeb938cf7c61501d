// predict_shifts for the pooled MLP. A moved image's pooled pixel (i, j) is the sum of the 4 x 4
// window of the unmoved image, blank outside its frame, at row 4 i - dy, column 4 j - dx: the
// windows cover the frame without overlap, so no window contains what a shift pushes out of it.
// Every window's sum is computed once for all shifts, exactly: it is a whole number.
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/predict.h"

namespace lenetshift {
namespace cuda {
namespace {

// Windows that see any pixel begin at rows and columns -3 ... 27.
constexpr int kFirstWindow = 1 - kPool, kWindows = kImageSize - kFirstWindow;
constexpr int kNoWindow = kWindows * kWindows;  // the number of a blank one

struct PooledMlpModel {
  static constexpr const char* op = "predict_shifts_pooled_mlp";
  static constexpr int n_inputs = kPooled * kPooled, max_terms = n_inputs;
  static constexpr int n_values = kNoWindow + 1;
  // Of the weights: the mean of 16 pixels of 0 ... 255.
  static float scale() { return 1.0f / (255 * kPool * kPool); }

  std::int64_t groups;  // of a chunk
  float* values;        // [groups][windows and a blank one][128]

  PooledMlpModel(Workspace& workspace, std::int64_t n_images) {
    groups = chunk_groups(n_images, n_values * kGroupImages * sizeof(float));
    values = workspace.take<float>(groups * n_values * kGroupImages);
  }

  __device__ const float* values_of(int group) const {
    return values + static_cast<std::int64_t>(group) * n_values * kGroupImages;
  }
  __device__ int make_terms(int, int dx, int dy, Term* terms) const {
    for (int k = static_cast<int>(threadIdx.x); k < round_up(n_inputs, kDepth); k += kThreads) {
      terms[k] = {static_cast<std::int16_t>(kNoWindow), static_cast<std::int16_t>(n_inputs)};
      if (k >= n_inputs) continue;
      const int y = k / kPooled * kPool - dy - kFirstWindow;
      const int x = k % kPooled * kPool - dx - kFirstWindow;
      const bool seen = y >= 0 && y < kWindows && x >= 0 && x < kWindows;
      terms[k] = {static_cast<std::int16_t>(seen ? y * kWindows + x : kNoWindow),
                  static_cast<std::int16_t>(k)};
    }
    return n_inputs;
  }

  void prepare(const std::uint8_t* images, std::int64_t n_images, unsigned n_groups,
               cudaStream_t stream) const;
};

// Block (x, y): the windows of group x, images 32 y ... 32 y + 31 of it. Each lane takes an image,
// each warp a column of windows at a time.
__global__ void __launch_bounds__(kThreads)
    sum_windows(PooledMlpModel model, const std::uint8_t* images, std::int64_t n_images) {
  std::uint8_t* const staged = dynamic_shared<std::uint8_t>();
  const std::int64_t group = blockIdx.x, first = group * kGroupImages + blockIdx.y * kStagedImages;
  stage_images(images, first, n_images, staged);
  const int lane = threadIdx.x % kWarp;
  const std::uint8_t* const image = staged + lane * kStagedPitch;
  float* const target = model.values + group * PooledMlpModel::n_values * kGroupImages +
                        blockIdx.y * kStagedImages + lane;
  if (threadIdx.x < kWarp) target[kNoWindow * kGroupImages] = 0;
  for (int column = threadIdx.x / kWarp; column < kWindows; column += kWarps) {
    const int x0 = larger(column + kFirstWindow, 0);
    const int x1 = smaller(column + kFirstWindow + kPool, kImageSize);
    int rows[kPool] = {};                 // sums of the last rows
    for (int y = 0; y < kWindows; ++y) {  // the window that ends with row y
#pragma unroll
      for (int i = 0; i + 1 < kPool; ++i) rows[i] = rows[i + 1];
      rows[kPool - 1] = 0;
      if (y < kImageSize)
        for (int x = x0; x < x1; ++x) rows[kPool - 1] += image[y * kImageSize + x];
      target[(y * kWindows + column) * kGroupImages] =
          static_cast<float>(rows[0] + rows[1] + rows[2] + rows[3]);
    }
  }
}

void PooledMlpModel::prepare(const std::uint8_t* images, std::int64_t n_images, unsigned n_groups,
                             cudaStream_t stream) const {
  launch(op, sum_windows, dim3(n_groups, kGroupImages / kStagedImages),
         kStagedImages * kStagedPitch, stream, *this, images, n_images);
}

}  // namespace

const FusedKernel<Mlp, ShiftedImages> predict_shifts_pooled_mlp =
    fused_kernel<predict_perceptron<PooledMlpModel>>;

}  // namespace cuda
}  // namespace lenetshift
