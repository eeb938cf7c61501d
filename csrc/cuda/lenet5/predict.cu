// predict_shifts for LeNet-5 and symmetric LeNet-5. The grid is cut into passes of at most 5 x 11
// shifts; a pass is two kernels: C1 to S4 once for each image (cuda/lenet5/s4.h), then C5 to the answers
// for each pattern (cuda/lenet5/c5.h). Images come in chunks whose S4 fits in the workspace.
#include "cuda/cuda_kernels.h"
#include "cuda/lenet5/c5.h"
#include "cuda/lenet5/s4.h"

namespace lenetshift {
namespace cuda {
namespace {

struct Lenet5Workspace {
  Lenet5Weights weights;
  std::int64_t chunk;  // images
  float* s4;           // [chunk][kS4Size]
  ImageLoss* losses;   // [chunk]

  Lenet5Workspace(Arena& arena, const Lenet5Parameters& parameters, std::int64_t n_images)
      : weights(arena, parameters) {
    chunk = smaller(n_images, kChunkBytes / static_cast<int>(kS4Size * sizeof(float)));
    s4 = arena.take<float>(chunk * kS4Size);
    losses = arena.take<ImageLoss>(chunk);
  }
};

template <class Table>
void predict(Activation activation, const Lenet5Parameters& parameters, const ShiftedImages& job,
             void* memory, cudaStream_t stream) {
  if (job.n_images == 0) return;
  Arena arena(memory);
  const Lenet5Workspace workspace(arena, parameters, job.n_images);
  const Lenet5Weights& w = workspace.weights;
  launch("predict_shifts_lenet5: pack", pack_lenet5, blocks_for(Lenet5Weights::n_all, kThreads),
         0, stream, w, TableRows(Table::table, 0, kMaps3));
  for (std::int64_t first = 0; first < job.n_images; first += workspace.chunk) {
    const std::int64_t n = smaller(job.n_images - first, workspace.chunk);
    for (int row = 0; row < passes_dy(job.grid); ++row)
      for (int column = 0; column < passes_dx(job.grid); ++column) {
        const Pass pass = pass_of(job.grid, row, column);
        launch("predict_shifts_lenet5: C1 to S4", lenet5_s4<Table>,
               static_cast<unsigned>(n), kS4Shared * sizeof(float), stream, Act{activation},
               pass.canvas, w, job.images + first * kPixels, workspace.s4, workspace.losses);
        const std::int64_t n_patterns = n * pass.n_patterns();
        launch("predict_shifts_lenet5: C5 to answers", lenet5_answers,
               blocks_for(n_patterns, kPatterns), kC5Shared * sizeof(float), stream,
               Act{activation}, pass, w, workspace.s4, workspace.losses, first, n_patterns,
               job.predictions, job.logits);
      }
  }
}

}  // namespace

std::int64_t predict_shifts_lenet5_workspace(C3Form, ShiftGrid, std::int64_t n_images) {
  Arena arena(nullptr);
  Lenet5Workspace(arena, {}, n_images);
  return arena.bytes();
}

void predict_shifts_lenet5(C3Form form, Activation activation, const Lenet5Parameters& parameters,
                           const ShiftedImages& job, void* workspace, void* stream) {
  const auto run = form == C3Form::sparse ? predict<SparseC3> : predict<DenseC3>;
  run(activation, parameters, job, workspace, static_cast<cudaStream_t>(stream));
}

}  // namespace cuda
}  // namespace lenetshift
