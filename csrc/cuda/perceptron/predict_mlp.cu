// predict_shifts for the MLP: in a form where many shifts share an image
// (cuda/perceptron/mlp_form.h), else pixel by pixel (cuda/perceptron/predict.h).
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/mlp_form.h"
#include "cuda/perceptron/predict.h"

namespace lenetshift {
namespace cuda {
namespace {

// The memory of one of the two ways: the other one's has no images.
struct MlpMemory {
  static constexpr const char* op = "predict_shifts_mlp";

  bool by_cells;
  PerceptronWeights weights;
  PixelMemory pixels;
  CellMemory cells;

  MlpMemory(Workspace& workspace, const Mlp& mlp, const ShiftedImages& job)
      : by_cells(form_pays(mlp, job.grid)),
        weights(workspace, mlp.parameters),
        pixels(workspace, by_cells ? 0 : job.n_images),
        cells(workspace, mlp.parameters.n_hidden, by_cells ? job.n_images : 0) {}
};

void predict_mlp(const Mlp& mlp, const ShiftedImages& job, const MlpMemory& memory,
                 cudaStream_t stream) {
  if (job.n_images == 0) return;
  pack(MlpMemory::op, mlp, memory.weights, stream);
  if (memory.by_cells)
    predict_cells(MlpMemory::op, mlp, job, memory.weights, memory.cells, stream);
  else
    predict_pixels(MlpMemory::op, mlp, job, memory.weights, memory.pixels, stream);
}

}  // namespace

const FusedKernel<Mlp, ShiftedImages> predict_shifts_mlp = fused_kernel<predict_mlp>;

}  // namespace cuda
}  // namespace lenetshift
