// Small tools of the register-blocked kernels: broadcasts, loads that happen once, and run-time
// block sizes as compile-time constants.
#pragma once

#include "cpu/simd/vec.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// x in every lane. x - 0 is x to the last bit, so the compiler makes it one broadcast; because of
// -0 it would have to compute 0 + x with an addition and a shuffle.
template <class T>
inline Vec<T> broadcast(T x) {
  return x - Vec<T>{};
}

// Loads once a value that several multiply-adds read. Otherwise the compiler gives each of them the
// memory operand, and a multiply-add that loads 64 bytes takes a third longer than one that does
// not.
template <class T>
inline Vec<T> load_once(const Vec<T>* p) {
  Vec<T> v = *p;
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#endif
  return v;
}

template <int n>
struct Constant {
  static constexpr int value = n;
};

// Calls f(Constant<i>{}) for the one i = 1 ... n that equals value.
template <int n, class F>
inline void with_constant(int value, F&& f) {
  if constexpr (n > 1) {
    if (value < n) return with_constant<n - 1>(value, f);
  }
  f(Constant<n>{});
}

// Cuts 0 ... total - 1 into blocks of at most n, as even as possible (14 by 10 is 7 + 7, not
// 10 + 4), and calls f(first of the block, Constant<its size>{}).
template <int n, class F>
inline void for_blocks(int total, F&& f) {
  const int n_blocks = divide_up(total, n);
  for (int block = 0; block < n_blocks; ++block) {
    const int first = static_cast<int>(static_cast<std::int64_t>(total) * block / n_blocks);
    const int stop = static_cast<int>(static_cast<std::int64_t>(total) * (block + 1) / n_blocks);
    with_constant<n>(stop - first, [&](auto size) { f(first, size); });
  }
}

// The same cut of a total that the compiler knows: it then generates code only for the one or two
// sizes that occur. There are `count` blocks; with(i, f) calls f for block i.
template <int total, int most>
struct Blocks {
  static constexpr int count = divide_up(total, most), size = total / count;
  template <class F>
  static void with(int i, F&& f) {
    const int first = total * i / count;
    if constexpr (total % count != 0) {
      if (total * (i + 1) / count - first > size) return f(first, Constant<size + 1>{});
    }
    f(first, Constant<size>{});
  }
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
