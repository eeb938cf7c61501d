// Ctrl-C during a kernel: how its threads learn that they must stop.
#pragma once

#include "kernels.h"

namespace lenetshift {
namespace {

// For threads that take one piece after the other and do not wait for each other.
class Stop {
 public:
  explicit Stop(const Execution& execution) : execution_(execution) {}

  // Whether a thread must stop. Thread 0, the calling thread, asks should_stop; the others read its
  // answer. Call it between pieces that take from about ten microseconds to some milliseconds.
  bool requested(int thread) {
    if (thread == 0 && !raised() && execution_.should_stop())
      __atomic_store_n(&raised_, true, __ATOMIC_RELAXED);
    return raised();
  }
  bool raised() const { return __atomic_load_n(&raised_, __ATOMIC_RELAXED); }

 private:
  const Execution& execution_;
  bool raised_ = false;
};

// For threads that meet at barriers, as in training: thread 0 asks whether to stop once in each
// step, before the step's first barrier; the others read the answer after that barrier. The answer
// is kept as the number of the step, not as a bool: thread 0 may already ask for the next step
// while another thread still reads the answer for this one.
class StopSign {
 public:
  void ask(const Execution& execution, std::int64_t step) {
    if (execution.should_stop()) __atomic_store_n(&step_, step, __ATOMIC_RELAXED);
  }
  bool stops_at(std::int64_t step) const {
    return __atomic_load_n(&step_, __ATOMIC_RELAXED) == step;
  }
  bool raised() const { return step_ >= 0; }

 private:
  std::int64_t step_ = -1;
};

}  // namespace
}  // namespace lenetshift
