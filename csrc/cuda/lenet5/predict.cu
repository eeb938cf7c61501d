// predict_shifts for LeNet-5 and symmetric LeNet-5.
//
// The schedule:
//   pack the weights                        a kernel
//   for each chunk of images                as many as S4's 256 MiB of workspace hold
//     for each subgrid of at most 5 x 11 shifts
//       C1 to S4, a block for each image              cuda/lenet5/s4.h
//       C5 to the answers, a block for 128 patterns   cuda/lenet5/c5.h
//
// What each costs: csrc/cuda/README.md.
#include "cuda/cuda_kernels.h"
#include "cuda/lenet5/c5.h"
#include "cuda/lenet5/s4.h"

namespace lenetshift {
namespace cuda {
namespace {

struct Lenet5Memory {
  Lenet5Weights weights;
  std::int64_t chunk;         // images
  float* s4;                  // [chunk][kS4Size]
  LossyShifts* lossy_shifts;  // [chunk]

  Lenet5Memory(Workspace& workspace, const Lenet5& model, const ShiftedImages& job)
      : weights(workspace, model.parameters) {
    chunk = smaller(job.n_images, kChunkBytes / static_cast<int>(kS4Size * sizeof(float)));
    s4 = workspace.take<float>(chunk * kS4Size);
    lossy_shifts = workspace.take<LossyShifts>(chunk);
  }
};

template <class Table>
void predict_with(const Lenet5& model, const ShiftedImages& job, const Lenet5Memory& memory,
                  cudaStream_t stream) {
  const Act act = {model.activation};
  const Lenet5Weights& w = memory.weights;
  launch("predict_shifts_lenet5: pack", pack_lenet5, blocks_for(Lenet5Weights::n_all, kThreads), 0,
         stream, w, TableRows(Table::table, 0, kMaps3));
  for (std::int64_t first = 0; first < job.n_images; first += memory.chunk) {
    const std::int64_t n = smaller(job.n_images - first, memory.chunk);
    for (int row = 0; row < subgrids_dy(job.grid); ++row)
      for (int column = 0; column < subgrids_dx(job.grid); ++column) {
        const Subgrid subgrid = subgrid_of(job.grid, row, column);
        launch("predict_shifts_lenet5: C1 to S4", lenet5_s4<Table>, static_cast<unsigned>(n),
               kS4Shared * sizeof(float), stream, act, subgrid.canvas, w,
               job.images + first * kPixels, memory.s4, memory.lossy_shifts);
        const std::int64_t n_patterns = n * subgrid.n_patterns();
        launch("predict_shifts_lenet5: C5 to answers", lenet5_answers,
               blocks_for(n_patterns, kPatterns), kC5Shared * sizeof(float), stream, act, subgrid,
               w, memory.s4, memory.lossy_shifts, first, n_patterns, job.predictions, job.logits);
      }
  }
}

void predict(const Lenet5& model, const ShiftedImages& job, const Lenet5Memory& memory,
             cudaStream_t stream) {
  if (job.n_images == 0) return;
  const auto run = model.table == C3Table::sparse ? predict_with<SparseC3> : predict_with<DenseC3>;
  run(model, job, memory, stream);
}

}  // namespace

const FusedKernel<Lenet5, ShiftedImages> predict_shifts_lenet5 = fused_kernel<predict>;

}  // namespace cuda
}  // namespace lenetshift
