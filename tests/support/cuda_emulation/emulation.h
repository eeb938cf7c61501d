// CUDA's execution model in plain C++: enough of it to run this project's kernels on a CPU and to
// catch what a card would silently get wrong.
//
// The blocks of a grid run one after the other, the threads of a block as fibres. AddressSanitizer
// sees every access beyond an array; ThreadSanitizer takes each fibre for a thread that only
// barriers and shuffles synchronise, so that a missing barrier is a data race, whatever the order
// in which the fibres happened to run.
//
// Diagnosed by a message and abort(): a barrier that not all threads reach, or on different lines;
// a shuffle with a partial mask; impossible block and grid sizes; more shared memory than every
// card has; deadlock. Dynamic shared memory has exactly the size asked for; it and the static
// arrays hold NaN before each block. With `reverse` the blocks, and the fibres of a block, run last
// first: a result that changes depends on an order that CUDA does not promise.
//
// Launches are kept in a graph, as in the capture of a CUDA graph, and run when it is replayed:
// what a launcher reads on the card at the time of the capture is not what a replay finds there. A
// launch on another stream than the call's is diagnosed, too.
#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
using cudaStream_t = void*;

extern "C" char __executable_start[];  // the linker's

namespace emulation {

// ThreadSanitizer's view of fibres. The emulation's own state is not the kernels': functions that
// touch it are marked UNSEEN.
#if defined(__SANITIZE_THREAD__)
#define EMULATION_UNSEEN __attribute__((no_sanitize_thread))
inline void* new_fibre() { return __tsan_create_fiber(0); }
inline void* this_fibre() { return __tsan_get_current_fiber(); }
EMULATION_UNSEEN inline void announce_switch(void* fibre) {
  __tsan_switch_to_fiber(fibre, __tsan_switch_to_fiber_no_sync);
}
EMULATION_UNSEEN inline void release(void* address) { __tsan_release(address); }
EMULATION_UNSEEN inline void acquire(void* address) { __tsan_acquire(address); }
#else
#define EMULATION_UNSEEN
inline void* new_fibre() { return nullptr; }
inline void* this_fibre() { return nullptr; }
inline void announce_switch(void*) {}
inline void release(void*) {}
inline void acquire(void*) {}
#endif

constexpr unsigned kLanes = 32, kMaxThreads = 1024;
constexpr std::size_t kMaxSharedBytes = 64 << 10;  // compute capability 7.5
constexpr std::size_t kStackBytes = 128 << 10;

struct Warp;
struct Block;
struct Thread {
  uint3 index;
  unsigned lane;
  Warp* warp;
  Block* block;
  unsigned n_exchanges;
  unsigned next;  // of the ring of threads that still run
  ucontext_t context;
  void* fibre;
};

inline Thread threads[kMaxThreads];
inline Thread* self;              // the one that runs
inline Thread* predecessor;       // its predecessor in the ring
inline unsigned idle, n_threads;  // idle: turns in a row that changed nothing
inline ucontext_t outside;        // who launched the kernel
inline void* outside_fibre;
inline std::function<void()> const* body;  // the kernel with its arguments

inline bool reverse = false;                      // the last blocks and threads come first
inline cudaStream_t stream = nullptr;             // of the call that is captured
inline std::vector<std::function<void()>> graph;  // its launches, in their order
struct Launch {
  std::int64_t kernel;  // its address, counted from the program's start
  std::int64_t shared_bytes;
};
inline std::vector<Launch> launches;  // since it was last cleared
// The kernels' static shared arrays, which the program itself cannot list.
struct StaticArray {
  std::int64_t start, n_bytes;  // from the program's start
};
inline std::vector<StaticArray> static_shared;

[[noreturn]] inline void fail(const char* kernel, const char* what, int line = 0) {
  std::fprintf(stderr, "emulation: %s: %s (line %d)\n", kernel, what, line);
  std::abort();
}

EMULATION_UNSEEN inline void yield();  // to the next thread

// Opens when all n threads wait. A thread that has left the kernel never comes.
class Barrier {
 public:
  void reset(const char* kernel, unsigned n) { kernel_ = kernel, n_ = n, arrived_ = left_ = 0; }

  EMULATION_UNSEEN void wait(int line) {
    if (arrived_ > 0 && line != line_) fail(kernel_, "threads wait at different barriers", line);
    if (left_ > 0) fail(kernel_, "a thread returned before this barrier", line);
    line_ = line;
    idle = 0;
    // Two addresses in turn: who is already at the next barrier must not synchronise with those
    // that still leave this one.
    const unsigned generation = generation_;
    release(&synchronised_[generation % 2]);
    if (++arrived_ == n_) arrived_ = 0, ++generation_;
    while (generation == generation_) yield();
    acquire(&synchronised_[generation % 2]);
  }

  EMULATION_UNSEEN void leave() {
    if (arrived_ > 0) fail(kernel_, "a thread returned before this barrier", line_);
    ++left_;
    idle = 0;
  }

 private:
  const char* kernel_ = "";
  unsigned n_ = 0, arrived_ = 0, left_ = 0, generation_ = 0;
  int line_ = 0;
  char synchronised_[2] = {};
};

struct Warp {
  Barrier barrier;
  // Two areas in turn: who has passed the barrier may write to the next while others still read.
  unsigned char exchange[2][kLanes][8];
};

struct Block {
  const char* kernel;
  uint3 index;
  dim3 grid;
  void* shared;
  Barrier barrier;
  char started, finished;  // what the outside and the threads synchronise by
};

EMULATION_UNSEEN inline void yield() {
  if (idle++ > 2 * n_threads) fail(self->block->kernel, "the threads wait for each other");
  Thread* const from = self;
  self = &threads[from->next];
  if (self == from) return;
  predecessor = from;
  announce_switch(self->fibre);
  swapcontext(&from->context, &self->context);
}

EMULATION_UNSEEN inline void thread_main() {
  acquire(&self->block->started);
  (*body)();
  Thread* const from = self;
  from->warp->barrier.leave();
  from->block->barrier.leave();
  release(&from->block->finished);
  if (&threads[from->next] == from) {  // the last one
    announce_switch(outside_fibre);
    setcontext(&outside);
  }
  predecessor->next = from->next;
  self = &threads[from->next];
  announce_switch(self->fibre);
  setcontext(&self->context);
}

EMULATION_UNSEEN inline void run_block(Block& block) {
  static std::vector<std::unique_ptr<char[]>> stacks;
  const unsigned n = n_threads;
  while (stacks.size() < n) stacks.emplace_back(new char[kStackBytes]);
  for (unsigned i = 0; i < n; ++i) {
    Thread& thread = threads[i];
    thread.next = reverse ? (i + n - 1) % n : (i + 1) % n;
    if (thread.fibre == nullptr) thread.fibre = new_fibre();  // costly: kept
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = stacks[i].get();
    thread.context.uc_stack.ss_size = kStackBytes;
    makecontext(&thread.context, thread_main, 0);
  }
  idle = 0;
  self = &threads[reverse ? n - 1 : 0];
  predecessor = &threads[reverse ? 0 : n - 1];
  outside_fibre = this_fibre();
  release(&block.started);
  announce_switch(self->fibre);
  swapcontext(&outside, &self->context);
  acquire(&block.finished);
}

EMULATION_UNSEEN inline void fill_with_nan(void* memory, std::size_t n_bytes) {
  for (std::size_t i = 0; i < n_bytes; ++i) static_cast<volatile unsigned char*>(memory)[i] = 0xff;
}

inline void run_grid(const char* kernel, const void* function, dim3 grid, unsigned n,
                     std::size_t shared_bytes, const std::function<void()>& kernel_with_arguments) {
  const std::uint64_t n_blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  if (n_blocks == 0) return;
  if (n == 0 || n > kMaxThreads || n % kLanes != 0)
    fail(kernel, "a block has a multiple of 32 threads, at most 1024");
  if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) fail(kernel, "grid too large");
  if (shared_bytes > kMaxSharedBytes) fail(kernel, "more than 64 KB of shared memory");
  launches.push_back({static_cast<const char*>(function) - __executable_start,
                      static_cast<std::int64_t>(shared_bytes)});
  body = &kernel_with_arguments;
  n_threads = n;
  std::vector<Warp> warps(n / kLanes);
  Block block{kernel, {}, grid, nullptr, {}, 0, 0};
  for (std::uint64_t k = 0; k < n_blocks; ++k) {
    const std::uint64_t b = reverse ? n_blocks - 1 - k : k;
    block.index = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                   static_cast<unsigned>(b / grid.x / grid.y)};
    const std::unique_ptr<void, void (*)(void*)> shared(std::malloc(shared_bytes), std::free);
    fill_with_nan(shared.get(), shared_bytes);
    for (const StaticArray& array : static_shared)
      fill_with_nan(__executable_start + array.start, array.n_bytes);
    block.shared = shared.get();
    block.barrier.reset(kernel, n);
    for (Warp& warp : warps) warp.barrier.reset(kernel, kLanes);
    for (unsigned i = 0; i < n; ++i) {
      threads[i].index = {i, 0, 0};
      threads[i].lane = i % kLanes;
      threads[i].warp = &warps[i / kLanes];
      threads[i].block = &block;
      threads[i].n_exchanges = 0;
    }
    run_block(block);
  }
}

// Keeps a launch in the graph; the function holds copies of the kernel's arguments.
inline void launch(const char* kernel, const void* function, dim3 grid, unsigned n,
                   std::size_t shared_bytes, cudaStream_t on,
                   const std::function<void()>& kernel_with_arguments) {
  if (on != stream) fail(kernel, "a launch on another stream than the call's");
  graph.push_back(
      [=] { run_grid(kernel, function, grid, n, shared_bytes, kernel_with_arguments); });
}

inline void* dynamic_shared_bytes() { return self->block->shared; }

// Every lane gives a value and gets that of lane `from`.
template <class T>
T exchange(unsigned mask, T value, unsigned from, int line) {
  static_assert(sizeof(T) <= 8, "at most 8 bytes");
  if (mask != 0xffffffffu) fail(self->block->kernel, "a shuffle with a partial mask", line);
  Warp& warp = *self->warp;
  auto& area = warp.exchange[self->n_exchanges++ % 2];
  std::memcpy(area[self->lane], &value, sizeof(T));
  warp.barrier.wait(line);
  std::memcpy(&value, area[from], sizeof(T));
  return value;
}

}  // namespace emulation

#include "emulation_language.h"
