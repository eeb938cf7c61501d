// What the emulated program can be asked for. Each file *_calls.cpp registers its ops:
//
//   const Register c3_conv("c3_conv", [](Call& call) { ... call.number(0), call.array<float>(1) });
//
// The arrays are copies of what Python sent, each in an allocation of exactly its size, and aligned
// just as it was; the op changes them in place and all go back. An op enqueues its kernels on
// call.stream(). Until they run, what array() and workspace() gave holds other contents, which no
// program built with AddressSanitizer may read: it is the card's memory.
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
  std::size_t n_bytes, offset;
  std::unique_ptr<char[]> memory;
  char* bytes;
  std::vector<char> contents;  // while they are hidden
  // Begins `offset` bytes after an address that is aligned to 16.
  Array(std::size_t n, std::size_t offset)
      : n_bytes(n), offset(offset), memory(new char[offset + n]), bytes(memory.get() + offset) {
    ASAN_POISON_MEMORY_REGION(memory.get(), offset);
  }
  void hide() {
    if (!contents.empty() || n_bytes == 0) return;
    contents.assign(bytes, bytes + n_bytes);
    std::memset(bytes, 0xff, n_bytes);
    ASAN_POISON_MEMORY_REGION(bytes, n_bytes);
  }
  void show() {
    if (contents.empty()) return;
    ASAN_UNPOISON_MEMORY_REGION(bytes, n_bytes);
    ASAN_POISON_MEMORY_REGION(memory.get(), offset);
    std::memcpy(bytes, contents.data(), n_bytes);
    contents.clear();
  }
};

struct Call {
  std::vector<std::int64_t> numbers;
  std::vector<Array> arrays, workspaces;

  std::int64_t number(std::size_t i) const { return numbers.at(i); }
  void* stream() { return this; }
  // An array that kernels use. Null where Python sent an empty one: "not wanted".
  template <class T>
  T* array(std::size_t i) {
    arrays.at(i).hide();
    return host<T>(i);
  }
  // An array that the launcher reads.
  template <class T>
  T* host(std::size_t i) {
    Array& a = arrays.at(i);
    return a.n_bytes == 0 ? nullptr : reinterpret_cast<T*>(a.bytes);
  }
  // Memory of exactly n_bytes, all NaN.
  void* workspace(std::int64_t n_bytes) {
    workspaces.emplace_back(n_bytes, 0);
    std::memset(workspaces.back().bytes, 0xff, n_bytes);
    workspaces.back().hide();
    return workspaces.back().bytes;
  }
  void show() {
    for (Array& array : arrays) array.show();
    for (Array& workspace : workspaces) workspace.show();
  }
};

using Op = std::function<void(Call&)>;

inline std::map<std::string, Op>& ops() {
  static std::map<std::string, Op> all;
  return all;
}

struct Register {
  Register(const char* name, Op op) { ops()[name] = std::move(op); }
};
