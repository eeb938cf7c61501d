// Memory between the parts of a workspace that no code may access. It exists only in a build with
// AddressSanitizer (-DLENETSHIFT_SANITIZE=address;undefined).
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define LENETSHIFT_HAS_REDZONES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LENETSHIFT_HAS_REDZONES 1
#endif
#endif

#if defined(LENETSHIFT_HAS_REDZONES)
extern "C" void __asan_poison_memory_region(const volatile void* start, std::size_t n_bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* start, std::size_t n_bytes);
#endif

namespace lenetshift {
namespace {

#if defined(LENETSHIFT_HAS_REDZONES)
constexpr std::int64_t kRedzone = 64;  // bytes; a multiple of every alignment
// Allows access to the bytes from start to stop, and forbids it from there to next + kRedzone. The
// memory may have been divided differently before.
inline void forbid_beyond(char* start, char* stop, char* next) {
  __asan_unpoison_memory_region(start, stop - start);
  __asan_poison_memory_region(stop, next + kRedzone - stop);
}
#else
constexpr std::int64_t kRedzone = 0;
inline void forbid_beyond(char*, char*, char*) {}
#endif

}  // namespace
}  // namespace lenetshift
