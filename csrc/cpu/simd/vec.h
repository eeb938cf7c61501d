// The vector type of the ISA that this file is compiled for, by the compiler's own vector
// extensions: +, -, *, comparison and ?: work on vectors lane by lane, a scalar operand is
// broadcast, and a * b + c contracts into a fused multiply-add where the ISA has one.
//
// Everything lives in the ISA's namespace and in an unnamed one inside it: two files compiled for
// two ISAs must not share any inline function, because the linker could keep the AVX-512 copy.
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#define LENETSHIFT_ISA avx512
#include <immintrin.h>
#elif defined(__AVX2__) && defined(__FMA__)
#define LENETSHIFT_ISA avx2
#include <immintrin.h>
#else
#define LENETSHIFT_ISA portable
#endif

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRegisters = 32;
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int kVectorBytes = 32;
constexpr int kRegisters = 16;
#else
constexpr int kVectorBytes = 16;  // SSE2, NEON
#if defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
#endif

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef std::int32_t index __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef std::int64_t index __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename VecOf<T>::type;
using vec = Vec<float>;
using ivec = VecOf<float>::index;

template <class T>
constexpr int kLanesOf = kVectorBytes / static_cast<int>(sizeof(T));
constexpr int kLanes = kLanesOf<float>;

template <class T>
inline Vec<T> load(const T* p) {  // any alignment
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(T* p, Vec<T> v) {  // any alignment
  __builtin_memcpy(p, &v, sizeof v);
}

// Loads lanes first ... stop - 1 from p + first ...; the other lanes are 0, and their memory is not
// touched.
template <class T>
inline Vec<T> load_between(const T* p, int first, int stop) {
#if defined(__AVX512F__)
  const unsigned mask = ((1u << stop) - 1) & ~((1u << first) - 1);
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), p);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), p);
#else
  Vec<T> v = {};
  if (first < stop)
    __builtin_memcpy(reinterpret_cast<T*>(&v) + first, p + first, (stop - first) * sizeof(T));
  return v;
#endif
}
// Stores lanes 0 ... n - 1 at p ...
template <class T>
inline void store_first(T* p, Vec<T> v, int n) {
  if (n == kLanesOf<T>) return store(p, v);
#if defined(__AVX512F__)
  const unsigned mask = (1u << n) - 1;
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), (__m512d)v);
#else
  __builtin_memcpy(p, &v, n * sizeof(T));
#endif
}

// The smaller and the larger of a and x, vectors of float or double; if x is NaN, x. One
// instruction each: the compiler makes two of the equivalent comparison and choice.
template <class V>
inline V smaller(V a, V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof a[0] == 4)
    return (V)_mm512_maskz_min_ps(-1, (__m512)a, (__m512)x);
  else
    return (V)_mm512_maskz_min_pd(-1, (__m512d)a, (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof a[0] == 4)
    return (V)_mm256_min_ps((__m256)a, (__m256)x);
  else
    return (V)_mm256_min_pd((__m256d)a, (__m256d)x);
#else
  return a < x ? a : x;
#endif
}
template <class V>
inline V larger(V a, V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof a[0] == 4)
    return (V)_mm512_maskz_max_ps(-1, (__m512)a, (__m512)x);
  else
    return (V)_mm512_maskz_max_pd(-1, (__m512d)a, (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof a[0] == 4)
    return (V)_mm256_max_ps((__m256)a, (__m256)x);
  else
    return (V)_mm256_max_pd((__m256d)a, (__m256d)x);
#else
  return a > x ? a : x;
#endif
}

constexpr int divide_up(int a, int b) { return (a + b - 1) / b; }
constexpr int round_up(int a, int b) { return divide_up(a, b) * b; }

template <int... i>
struct Lanes {};
template <int n, int... i>
struct CountLanes : CountLanes<n - 1, n - 1, i...> {};
template <int... i>
struct CountLanes<0, i...> {
  using type = Lanes<i...>;
};

// v with the blocks of s lanes exchanged: lane j gets lane j ^ s.
template <class T, int s, int... j>
inline Vec<T> exchange_lanes(Vec<T> v, Lanes<j...>) {
#if defined(__clang__)
  return __builtin_shufflevector(v, v, (j ^ s)...);
#else
  return __builtin_shuffle(v, typename VecOf<T>::index{(j ^ s)...});
#endif
}

// It adds halves: the sum of 16 lanes takes four consecutive additions, not fifteen.
template <class T, int s = kLanesOf<T> / 2>
inline T sum_of_lanes(Vec<T> v) {
  if constexpr (s > 0)
    return sum_of_lanes<T, s / 2>(
        v + exchange_lanes<T, s>(v, typename CountLanes<kLanesOf<T>>::type{}));
  return v[0];
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
