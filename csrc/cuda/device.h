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
#include <stdexcept>
#include <string>
#include <tuple>

#if defined(LENETSHIFT_CUDA_EMULATION)
#include "emulation.h"
#else
#include <cuda_runtime.h>
#endif

namespace lenetshift {
namespace cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

#if defined(LENETSHIFT_CUDA_EMULATION)

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_bytes());
}

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, cudaStream_t, Arguments... arguments) {
  const std::tuple<Parameters...> values(arguments...);
  emulation::run_grid(name, grid, block, shared_bytes, [&] { std::apply(kernel, values); });
}

inline void clear(void* memory, std::size_t n_bytes, cudaStream_t) {
  std::memset(memory, 0, n_bytes);
}

inline std::size_t max_shared_bytes() { return 64 << 10; }  // the smallest supported card's

#else

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorName(error) + ": " +
                             cudaGetErrorString(error));
}

#if defined(__CUDACC__)
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ float4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}
#endif

// Throws std::runtime_error with the kernel's name and CUDA's words. An error may also be the late
// one of an earlier kernel; CUDA_LAUNCH_BLOCKING=1 tells.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, cudaStream_t stream, Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "one argument for each parameter");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const void* const function = reinterpret_cast<const void*>(kernel);
  // More than 48 KB has to be asked for. Each time: it is a property of the kernel on one device,
  // and costs less than the launch.
  if (shared_bytes > (48 << 10))
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          name);
  std::tuple<Parameters...> values(arguments...);
  std::apply(
      [&](auto&... value) {
        void* addresses[] = {const_cast<void*>(static_cast<const void*>(&value))...};
        check(cudaLaunchKernel(function, grid, block, addresses, shared_bytes, stream), name);
      },
      values);
}

// Fills with zero bytes, in the stream's order.
inline void clear(void* memory, std::size_t n_bytes, cudaStream_t stream) {
  check(cudaMemsetAsync(memory, 0, n_bytes, stream), "clear");
}

// Shared memory that a block may have on the current device: 64 KB for compute capability 7.5,
// 99 KB for 8.6, 8.9 and 12.0, 163 KB for 8.0, 227 KB for 9.0 and 10.0.
inline std::size_t max_shared_bytes() {
  int device = 0, n_bytes = 0;
  check(cudaGetDevice(&device), "max_shared_bytes");
  check(cudaDeviceGetAttribute(&n_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "max_shared_bytes");
  return static_cast<std::size_t>(n_bytes);
}

#endif

}  // namespace cuda
}  // namespace lenetshift
