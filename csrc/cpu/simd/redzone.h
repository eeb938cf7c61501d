// Memory between the parts of a workspace that nobody may touch. Only in a build with
// AddressSanitizer (-DLENETSHIFT_SANITIZE=address;undefined), elsewhere there is none.
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
#endif

namespace lenetshift {
namespace {

#if defined(LENETSHIFT_HAS_REDZONES)
constexpr std::int64_t kRedzone = 64;  // bytes; a multiple of every alignment
inline void forbid(void* start) { __asan_poison_memory_region(start, kRedzone); }
#else
constexpr std::int64_t kRedzone = 0;
inline void forbid(void*) {}
#endif

}  // namespace
}  // namespace lenetshift
