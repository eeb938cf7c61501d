// CUDA's keywords, variables and functions, as far as this project uses them.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulation.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after the other
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define __launch_bounds__(...)

#define threadIdx (::emulation::self->index)
#define blockIdx (::emulation::self->block->index)
#define blockDim (::emulation::self->block->size)
#define gridDim (::emulation::self->block->grid)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(4) uchar4 {
  unsigned char x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

// Barriers and shuffles take the line that calls them.
inline void __syncthreads(int line = __builtin_LINE()) {
  emulation::self->block->barrier.wait(line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  emulation::exchange(mask, 0, -1, line);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, int line = __builtin_LINE()) {
  const int first = static_cast<int>(emulation::self->lane) / width * width;
  return emulation::exchange(mask, value, first + from % width, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   int line = __builtin_LINE()) {
  const int to = static_cast<int>(emulation::self->lane + delta);
  return emulation::exchange(mask, value, emulation::within(to, width), line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 int line = __builtin_LINE()) {
  const int to = static_cast<int>(emulation::self->lane) - static_cast<int>(delta);
  return emulation::exchange(mask, value, emulation::within(to, width), line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  int line = __builtin_LINE()) {
  const int to = static_cast<int>(emulation::self->lane) ^ lane_mask;
  return emulation::exchange(mask, value, emulation::within(to, width), line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  unsigned ballot = predicate != 0 ? 1u << emulation::self->lane : 0u;
  for (int step = 1; step < 32; step *= 2)
    ballot |= emulation::exchange(mask, ballot, static_cast<int>(emulation::self->lane) ^ step,
                                  line);
  return ballot;
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, line) == 0xffffffffu;
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Relaxed, as on the card: an atomic orders nothing but itself.
template <class T>
T atomicAdd(T* address, std::common_type_t<T> value) {
  T old, sum;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do sum = old + value;
  while (!__atomic_compare_exchange(address, &old, &sum, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED));
  return old;
}
template <class T>
T atomicMax(T* address, std::common_type_t<T> value) {
  T old, largest;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do largest = old < value ? value : old;
  while (!__atomic_compare_exchange(address, &old, &largest, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED));
  return old;
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  return b < a ? b : a;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  return a < b ? b : a;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
