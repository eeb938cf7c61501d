// The core's own threads: a pool that lives as long as the process, so that the core needs no
// OpenMP runtime besides torch's. No standard library here, because files compiled for one ISA
// include this file.
//
// A call of the core has a Team (host/team.h), which says how many threads there are: no
// run_on_threads() and no Barrier of the call may use more.
#pragma once

#include <cstdint>

namespace lenetshift {

// Calls body(context, thread) for thread = 0 ... n_threads - 1, each on its own thread, where
// thread 0 is the caller, and returns when all have returned. The body must not throw. Throws
// std::logic_error if n_threads is more than the caller's Team has.
void run_body_on_threads(int n_threads, void (*body)(void* context, int thread), void* context);

// A number that one thread changes and others wait for. They spin, then yield, then sleep:
// threads.cpp says why.
class Event {
 public:
  std::uint32_t value() const;
  // Returns once the value has changed. In a crowd (more threads than cores) it sleeps at once.
  void wait_while(std::uint32_t value, bool crowd);
  // A thread that has waited sees everything that was written before.
  void set(std::uint32_t value);

 private:
  std::uint32_t value_ = 0;
  std::uint32_t sleepers_ = 0;
};

// All n_threads threads wait for each other; used between the stages of a training step.
class Barrier {
 public:
  explicit Barrier(int n_threads);
  void wait();

 private:
  int n_threads_;
  bool crowd_;
  int arrived_ = 0;
  Event generation_;
};

// What follows is inline, so each file gets its own copy (see cpu/simd/vec.h for why).
namespace {

template <class Body>
void run_on_threads(int n_threads, Body&& body) {
  run_body_on_threads(
      n_threads, [](void* context, int thread) { (*static_cast<Body*>(context))(thread); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Hands out 0 ... n - 1, each once, to whichever thread asks next.
class WorkQueue {
 public:
  explicit WorkQueue(std::int64_t n) : n_(n) {}
  // The next piece, or -1 when none is left or stop() was called.
  std::int64_t next() {
    const std::int64_t i = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED);
    return i < n_ && !stopped() ? i : -1;
  }
  void stop() { __atomic_store_n(&stopped_, true, __ATOMIC_RELAXED); }
  bool stopped() const { return __atomic_load_n(&stopped_, __ATOMIC_RELAXED); }

 private:
  std::int64_t n_;
  std::int64_t next_ = 0;
  bool stopped_ = false;
};

// The contiguous share of n pieces that belongs to one of n_threads threads.
struct Share {
  std::int64_t first, stop;
};
inline Share share_of(std::int64_t n, int thread, int n_threads) {
  return {n * thread / n_threads, n * (thread + 1) / n_threads};
}

}  // namespace
}  // namespace lenetshift
