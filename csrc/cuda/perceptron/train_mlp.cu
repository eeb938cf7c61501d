// One epoch of SGD on the MLP.
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/train.h"

namespace lenetshift {
namespace cuda {
namespace {

struct Pixels {
  static constexpr int n = kPixels;
  __device__ static float value(const std::uint8_t* image, int k) {
    return static_cast<float>(image[k]) * (1.0f / 255);
  }
};

}  // namespace

std::int64_t train_epoch_mlp_workspace(int n_hidden, int batch_size) {
  return perceptron_training_workspace(n_hidden, batch_size);
}

void train_epoch_mlp(Activation activation, const MlpParameters& parameters, const Epoch& epoch,
                     void* workspace, void* stream) {
  train_perceptron<Pixels>("train_epoch_mlp", activation, parameters, epoch, workspace,
                           static_cast<cudaStream_t>(stream));
}

}  // namespace cuda
}  // namespace lenetshift
