// CUDA's keywords, variables and functions, as far as this project uses them.
#pragma once

#include "emulation.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)  // all kernels are launched with one size of block
#define __shared__ static       // blocks run one after the other

#define threadIdx (::emulation::self->index)
#define blockIdx (::emulation::self->block->index)
#define gridDim (::emulation::self->block->grid)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// Barriers and shuffles take the line that calls them.
inline void __syncthreads(int line = __builtin_LINE()) {
  emulation::self->block->barrier.wait(line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  emulation::exchange(mask, 0, emulation::self->lane, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int line = __builtin_LINE()) {
  return emulation::exchange(mask, value, emulation::self->lane ^ lane_mask, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int lanes, int line = __builtin_LINE()) {
  const unsigned from = emulation::self->lane + lanes;
  return emulation::exchange(mask, value, from < 32 ? from : emulation::self->lane, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  unsigned ballot = predicate != 0 ? 1u << emulation::self->lane : 0u;
  for (int step = 1; step < 32; step *= 2) ballot |= __shfl_xor_sync(mask, ballot, step, line);
  return ballot;
}

// Relaxed, as on the card: an atomic orders nothing but itself.
inline int atomicMax(int* address, int value) {
  int old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(address, &old, old < value ? value : old, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline float __fdividef(float a, float b) { return a / b; }
