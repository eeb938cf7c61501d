// What the emulated program can be asked for. Each file *_calls.cpp registers its ops:
//
//   const Register c3_conv("c3_conv", [](Call& call) { ... call.number(0), call.array<float>(1) });
//
// The arrays are copies of what Python sent, each in an allocation of exactly its size, and aligned
// just as it was; the op changes them in place and all go back.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sanitizer/asan_interface.h>  // macros that are empty in other builds

struct Array {
  std::size_t n_bytes;
  std::unique_ptr<char[]> memory;
  char* bytes;
  // Begins `offset` bytes after an address that is aligned to 16.
  Array(std::size_t n, std::size_t offset)
      : n_bytes(n), memory(new char[offset + n]), bytes(memory.get() + offset) {
    ASAN_POISON_MEMORY_REGION(memory.get(), offset);
  }
};

struct Call {
  std::vector<std::int64_t> numbers;
  std::vector<Array> arrays;

  std::int64_t number(std::size_t i) const { return numbers.at(i); }
  // Null where Python sent an empty array: "not wanted".
  template <class T>
  T* array(std::size_t i) {
    Array& a = arrays.at(i);
    return a.n_bytes == 0 ? nullptr : reinterpret_cast<T*>(a.bytes);
  }
};

// Memory of exactly n_bytes, all NaN.
struct Workspace {
  std::unique_ptr<char[]> bytes;
  explicit Workspace(std::int64_t n_bytes) : bytes(new char[n_bytes]) {
    std::memset(bytes.get(), 0xff, n_bytes);
  }
  operator void*() { return bytes.get(); }
};

using Op = std::function<void(Call&)>;

inline std::map<std::string, Op>& ops() {
  static std::map<std::string, Op> all;
  return all;
}

struct Register {
  Register(const char* name, Op op) { ops()[name] = std::move(op); }
};
