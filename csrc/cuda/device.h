// What every CUDA file of this project includes: the CUDA runtime, and launches that report
// errors. The same files also compile as plain C++ against
// tests/support/cuda_emulation/emulation.h, where the threads of a block are fibres of the CPU, so
// that tests run them without a card.
//
// How kernels are written so that both work:
// - They use only the keywords and functions of CUDA that
//   tests/support/cuda_emulation/emulation_language.h has; add a missing one there. No <<< >>>, no
//   cooperative groups, no inline PTX.
// - launch("name", kernel<T>, grid, shared_bytes, stream, arguments...). Kernels are in an unnamed
//   namespace. A block has kThreads threads, or n of launch<n>, as its __launch_bounds__ says.
// - Shared memory is dynamic_shared<T>(), 16-byte aligned (the emulation gives exactly
//   shared_bytes), or small static __shared__ arrays of plain values; the emulation fills both with
//   NaN before each block. It takes at most 64 KB, which compute capability 7.5 has.
// - All threads of a block reach __syncthreads(), on the same line; none returns before one. All 32
//   lanes reach shuffles and __syncwarp(), with mask kAllLanes. Lanes that communicate through
//   shared memory need __syncwarp() too.
// - Blocks are independent; no result depends on their order. There are no atomics on floats: a sum
//   is made in two stages over a partition that depends only on sizes, never on the card.
// - Small tables from the host are passed by value in a struct argument (4 KB for all arguments).
//   They are then in constant memory, and need no care with streams and CUDA graphs.
// - A launcher neither synchronises, nor allocates, nor copies from the host: it gets device
//   pointers, a workspace and a stream, and reads nothing through the pointers. So it can be
//   captured in a CUDA graph, as every call of the emulation is. An empty grid is not an error, and
//   does nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(LENETSHIFT_CUDA_EMULATION)
#include "emulation.h"
#else
#include <cuda_runtime.h>
#endif

namespace lenetshift {
namespace cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;
constexpr int kWarps = 8;  // of a block
constexpr int kThreads = kWarps * kWarp;

// Same<T>::type is T; a parameter of that type converts its argument instead of deducing T.
template <class T>
struct Same {
  using type = T;
};

// Throws std::runtime_error with the kernel's name and CUDA's message. The error may be that of an
// earlier kernel, reported late; with CUDA_LAUNCH_BLOCKING=1 it is the kernel's own.
void launch_kernel(const char* name, const void* kernel, dim3 grid, unsigned n_threads,
                   std::size_t shared_bytes, cudaStream_t stream, void** arguments);

template <int n_threads = kThreads, class... Parameters>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, std::size_t shared_bytes,
            cudaStream_t stream, typename Same<Parameters>::type... arguments) {
  static_assert((sizeof(Parameters) + ...) <= 4096, "more than a kernel's arguments may have");
#if defined(LENETSHIFT_CUDA_EMULATION)
  emulation::launch(name, reinterpret_cast<const void*>(kernel), grid, n_threads, shared_bytes,
                    stream, [=] { kernel(arguments...); });
#else
  void* addresses[] = {&arguments...};
  launch_kernel(name, reinterpret_cast<const void*>(kernel), grid, n_threads, shared_bytes, stream,
                addresses);
#endif
}

#if defined(LENETSHIFT_CUDA_EMULATION)
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_bytes());
}
#elif defined(__CUDACC__)
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ float4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}
#endif

namespace {  // inline code: each file gets its own copy

template <class T>
__host__ __device__ constexpr T divide_up(T a, typename Same<T>::type b) {
  return (a + b - 1) / b;
}
template <class T>
__host__ __device__ constexpr T round_up(T a, typename Same<T>::type b) {
  return divide_up(a, b) * b;
}
template <class T>
__host__ __device__ constexpr T smaller(T a, typename Same<T>::type b) {
  return b < a ? b : a;
}
template <class T>
__host__ __device__ constexpr T larger(T a, typename Same<T>::type b) {
  return a < b ? b : a;
}

// The x size of a grid whose blocks take `each` of n items.
inline unsigned blocks_for(std::int64_t n, int each) {
  return static_cast<unsigned>(divide_up(n, each));
}

// Sum over a warp's lanes, in every lane.
template <class T>
__device__ T warp_sum(T value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

// Sums over a warp's lanes, or over each n_lanes neighbours, of n values, a power of two: lane i
// gets that of value i % n. These are n - 1 + log2(n_lanes / n) shuffles instead of log2(n_lanes)
// n.
template <int n_lanes = kWarp, int n, int n_all = n>
__device__ __forceinline__ float warp_sums(const float (&values)[n]) {
  if constexpr (n == 1) {
    float sum = values[0];
#pragma unroll
    for (int step = n_all; step < n_lanes; step *= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    return sum;
  } else {
    // Of two lanes, one goes on with the upper half of the values, the other with the lower one.
    const bool upper = (threadIdx.x & (n / 2)) != 0;
    float half[n / 2];
#pragma unroll
    for (int i = 0; i < n / 2; ++i) {
      const float given = upper ? values[i] : values[i + n / 2];
      half[i] = (upper ? values[i + n / 2] : values[i]) + __shfl_xor_sync(kAllLanes, given, n / 2);
    }
    return warp_sums<n_lanes, n / 2, n_all>(half);
  }
}

}  // namespace

}  // namespace cuda
}  // namespace lenetshift
