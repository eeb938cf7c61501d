// Ctrl-C in the midst of a kernel whose threads take piece after piece.
#pragma once

#include "kernels.h"

namespace lenetshift {
namespace {

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

}  // namespace
}  // namespace lenetshift
