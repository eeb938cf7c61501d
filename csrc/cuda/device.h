// What every CUDA file of this project includes: the CUDA runtime, and launches that report errors.
// The same files also compile as plain C++ against tests/cuda_emulation/emulation.h, where the
// threads of a block are fibres of the CPU; that is where tests run them without a card.
//
// How kernels are written so that both work:
// - CUDA's own keywords and functions, as far as tests/cuda_emulation/emulation_language.h has
//   them; what it lacks is added there. No <<< >>>, no cooperative groups, no inline PTX.
// - launch("name", kernel<T>, grid, block, shared_bytes, stream, arguments...). Kernels stand in an
//   unnamed namespace.
// - Shared memory: dynamic_shared<T>(), 16-byte aligned (the emulation gives exactly shared_bytes,
//   poisoned with NaN before each block), or small static __shared__ arrays of plain values.
// - All threads of a block reach __syncthreads(), on the same line; none returns before one. All 32
//   lanes reach shuffles and __syncwarp(), mask kAllLanes. A block is a multiple of 32 threads.
//   Lanes that talk through shared memory need __syncwarp() too.
// - Blocks are independent; no result depends on their order. No atomics on floats: a sum is made
//   in two stages over a partition that depends on sizes alone, never on the card.
// - Small tables from the host travel by value in a struct argument (4 KB for all arguments): they
//   end in constant memory, and streams and CUDA graphs need no thought.
// - A launcher neither synchronises, nor allocates, nor copies from the host: it gets device
//   pointers, a workspace and a stream. An empty grid is no error, and does nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(LENETSHIFT_CUDA_EMULATION)
#include "emulation.h"
#else
#include <cuda_runtime.h>
#endif

namespace lenetshift {
namespace cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

// Same<T>::type is T; a parameter of that type converts its argument instead of deducing T.
template <class T>
struct Same {
  using type = T;
};

#if defined(LENETSHIFT_CUDA_EMULATION)

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_bytes());
}

template <class... Parameters>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, cudaStream_t, typename Same<Parameters>::type... arguments) {
  emulation::run_grid(name, grid, block, shared_bytes, [&] { kernel(arguments...); });
}

inline void clear(void* memory, std::size_t n_bytes, cudaStream_t) {
  std::memset(memory, 0, n_bytes);
}

inline std::size_t max_shared_bytes() { return 64 << 10; }  // the smallest supported card's

#else

// Throws std::runtime_error: `what`, and CUDA's words.
void check(cudaError_t error, const char* what);

#if defined(__CUDACC__)
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ float4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}
#endif

void launch_kernel(const char* name, const void* kernel, dim3 grid, dim3 block,
                   std::size_t shared_bytes, cudaStream_t stream, void** arguments);

// Throws std::runtime_error with the kernel's name and CUDA's words. An error may also be the late
// one of an earlier kernel; CUDA_LAUNCH_BLOCKING=1 tells.
template <class... Parameters>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, cudaStream_t stream,
            typename Same<Parameters>::type... arguments) {
  void* addresses[] = {&arguments...};
  launch_kernel(name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream,
                addresses);
}

// Fills with zero bytes, in the stream's order.
void clear(void* memory, std::size_t n_bytes, cudaStream_t stream);

// Shared memory that a block may have on the current device: 64 KB for compute capability 7.5,
// 99 KB for 8.6, 8.9 and 12.0, 163 KB for 8.0, 227 KB for 9.0 and 10.0.
std::size_t max_shared_bytes();

#endif

}  // namespace cuda
}  // namespace lenetshift
