// One epoch of SGD on the pooled MLP.
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/train.h"

namespace lenetshift {
namespace cuda {
namespace {

// Means of 4 x 4 pixels, summed as whole numbers.
struct PooledPixels {
  static constexpr const char* op = "train_epoch_pooled_mlp";
  static constexpr int n = kPooled * kPooled;
  __device__ static float value(const std::uint8_t* image, int k) {
    const std::uint8_t* const corner = image + (k / kPooled * kImageSize + k % kPooled) * kPool;
    int sum = 0;
    for (int y = 0; y < kPool; ++y)
      for (int x = 0; x < kPool; ++x) sum += corner[y * kImageSize + x];
    return static_cast<float>(sum) * (1.0f / (255 * kPool * kPool));
  }
};

}  // namespace

const FusedKernel<Mlp, Epoch> train_epoch_pooled_mlp = fused_kernel<train_perceptron<PooledPixels>>;

}  // namespace cuda
}  // namespace lenetshift
