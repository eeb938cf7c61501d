// The memory of a call's workspace.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace lenetshift {

// At least n_bytes, 64-byte aligned, as the kernels require. Throws std::bad_alloc.
//
// Each thread keeps the memory of its last call for the next one, up to kMostKept: the system would
// fill the pages of new memory with zeros in every call, which takes as long as a small c3_conv. A
// call within another one on the same thread (from a signal handler) finds no kept memory and
// allocates its own.
//
// A build with a sanitizer keeps no memory, and fills it with NaN: a kernel that reads what it has
// not written then gives NaN, and one that reads beyond the end is caught.
class KeptMemory {
 public:
#if defined(LENETSHIFT_SANITIZED)
  static constexpr std::int64_t kMostKept = -1;
#else
  static constexpr std::int64_t kMostKept = 8 << 20;
#endif

  explicit KeptMemory(std::int64_t n_bytes) : memory_(std::exchange(kept(), Memory())) {
    if (memory_.n_bytes >= n_bytes) return;
    memory_ = Memory();
    memory_ = Memory(n_bytes);
  }
  ~KeptMemory() {
    if (memory_.n_bytes <= kMostKept) kept() = std::move(memory_);
  }
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  void* address() const { return memory_.address; }

 private:
  struct Memory {
    void* address = nullptr;
    std::int64_t n_bytes = 0;

    Memory() = default;
    explicit Memory(std::int64_t n)
        : address(std::aligned_alloc(64, (n + 63) / 64 * 64)), n_bytes(n) {
      if (address == nullptr) throw std::bad_alloc();
#if defined(LENETSHIFT_SANITIZED)
      std::memset(address, 0xFF, n);
#endif
    }
    Memory(Memory&& other) noexcept { *this = std::move(other); }
    Memory& operator=(Memory&& other) noexcept {
      std::swap(address, other.address);
      std::swap(n_bytes, other.n_bytes);
      return *this;
    }
    ~Memory() { std::free(address); }
  };
  Memory memory_;

  static Memory& kept() {
    static thread_local Memory memory;
    return memory;
  }
};

}  // namespace lenetshift
