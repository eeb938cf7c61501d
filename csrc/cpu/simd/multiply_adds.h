// The peak that benchmarks compare with: fused multiply-adds on registers only.
#pragma once

#include "cpu/simd/vec.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

inline double multiply_adds(std::int64_t n_rounds, int n_threads) {
  constexpr int n = 12;  // more than latency times issue width of any core
  run_on_threads(n_threads, [&](int) {
    vec sum[n];
    for (int i = 0; i < n; ++i) sum[i] = vec{} + static_cast<float>(i);
    vec scale = vec{} + 0.999f, offset = vec{} + 0.001f;
    for (std::int64_t round = 0; round < n_rounds; ++round) {
#pragma GCC unroll 12
      for (int i = 0; i < n; ++i) sum[i] = sum[i] * scale + offset;
    }
    // Makes the compiler assume that the sums are read.
    for (int i = 0; i < n; ++i) asm volatile("" : : "m"(sum[i]));
  });
  return static_cast<double>(n_rounds) * n * kLanes * n_threads;
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
