// One epoch of SGD on the MLP.
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/train.h"

namespace lenetshift {
namespace cuda {
namespace {

struct Pixels {
  static constexpr const char* op = "train_epoch_mlp";
  static constexpr int n = kPixels;
  __device__ static float value(const std::uint8_t* image, int k) {
    return static_cast<float>(image[k]) * (1.0f / 255);
  }
};

}  // namespace

const FusedKernel<Mlp, Epoch> train_epoch_mlp = fused_kernel<train_perceptron<Pixels>>;

}  // namespace cuda
}  // namespace lenetshift
