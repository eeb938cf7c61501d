// Ctrl-C in the midst of a kernel: how its threads learn that they are to stop.
#pragma once

#include "kernels.h"

namespace lenetshift {
namespace {

// For threads that take piece after piece and do not wait for each other.
class Stop {
 public:
  explicit Stop(const Execution& execution) : execution_(execution) {}

  // Whether a thread is to take no further piece: the calling thread, 0, asks, the others look. To
  // be asked between pieces of some ten microseconds to some milliseconds.
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

// For threads that meet at barriers, as in training: thread 0 asks whether to stop, once a step and
// before the step's first barrier; the others look after that barrier. The number of the step is
// kept, not a yes: thread 0 may already ask for the next step while another thread still looks at
// this one's answer.
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
