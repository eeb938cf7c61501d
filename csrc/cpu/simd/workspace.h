// The memory that a caller hands in, and its parts.
//
// The parts that an op needs are in one struct, whose constructor takes one part after the other
// from a Workspace. So the same code measures the memory and hands it out:
//
//   struct Memory {
//     float* weights;
//     ThreadParts<Own, Sizes> threads;
//     Memory(Workspace& workspace, const Sizes& sizes, int n_threads)
//         : weights(workspace.take<float>(sizes.n_weights)), threads(workspace, sizes, n_threads)
//         {}
//   };
//   bytes_of<Memory>(sizes, n_threads)                   before the call
//   Workspace workspace(start);
//   const Memory memory(workspace, sizes, n_threads);    in the call
//   const Own own = memory.threads.of(thread);           in a thread
#pragma once

#include "cpu/simd/redzone.h"
#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

class Workspace {
 public:
  static constexpr std::int64_t kAlignment = 64;  // of every part, as of the whole

  // Uses the memory at start; if that is null, it only counts bytes.
  explicit Workspace(void* start) : start_(static_cast<char*>(start)) {}

  // The next n values, or null if there is no memory.
  template <class T>
  T* take(std::int64_t n) {
    char* const part = start_ ? start_ + bytes_ : nullptr;
    const std::int64_t n_bytes = n * static_cast<std::int64_t>(sizeof(T));
    bytes_ += (n_bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (start_ != nullptr) forbid_beyond(part, part + n_bytes, start_ + bytes_);
    bytes_ += kRedzone;
    return reinterpret_cast<T*>(part);
  }
  std::int64_t bytes() const { return bytes_; }  // taken so far

 private:
  char* start_;
  std::int64_t bytes_ = 0;
};

// The number of bytes that Part's constructor takes.
template <class Part, class... Sizes>
std::int64_t bytes_of(const Sizes&... sizes) {
  Workspace workspace(nullptr);
  (void)Part(workspace, sizes...);
  return workspace.bytes();
}

// A Part(workspace, sizes) for each thread, all of the same size. NoSizes: the sizes are constants.
struct NoSizes {};
template <class Part, class Sizes>
class ThreadParts {
 public:
  ThreadParts(Workspace& workspace, const Sizes& sizes, int n_threads)
      : sizes_(sizes),
        bytes_(bytes_of<Part>(sizes)),
        start_(workspace.take<char>(n_threads * bytes_)) {}

  Part of(int thread) const {
    Workspace workspace(start_ + thread * bytes_);
    return Part(workspace, sizes_);
  }

 private:
  Sizes sizes_;
  std::int64_t bytes_;
  char* start_;
};

// The fused kernel that constructs a Memory(workspace, model, job, n_threads) and calls run with
// it.
template <auto run, class Model, class Job, class Memory>
constexpr FusedKernel<Model, Job> fused_kernel_of(bool (*)(const Model&, const Job&, Memory&,
                                                           Execution)) {
  return {[](const Model& model, const Job& job, int n_threads) {
            return bytes_of<Memory>(model, job, n_threads);
          },
          [](const Model& model, const Job& job, void* start, Execution execution) {
            Workspace workspace(start);
            Memory memory(workspace, model, job, execution.n_threads);
            return run(model, job, memory, execution);
          }};
}
template <auto run>
constexpr auto fused_kernel = fused_kernel_of<run>(run);

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
