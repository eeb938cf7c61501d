// How a binding calls a kernel: without the GIL, on threads, with a workspace, and so that Ctrl-C
// stops it.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <stdexcept>
#include <string>

#include "host/dispatch.h"
#include "host/gil.h"
#include "host/kept_memory.h"
#include "host/team.h"
#include "kernels.h"

namespace lenetshift {

// Asks Python for pending signals (Ctrl-C) at most every 50 ms. The exception that a signal handler
// raises stays set, and call() throws it.
inline bool should_stop() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point asked = Clock::now();
  const Clock::time_point now = Clock::now();
  if (now - asked < std::chrono::milliseconds(50)) return false;
  asked = now;
  if (interpreter_ends()) return true;  // this is a daemon thread
  const WithGil gil;
  const ForeignCode handlers;
  return PyErr_CheckSignals() != 0;
}

// Everything that a call does besides running its kernel. The instruction set and the number of
// threads are looked up once, so a change during the call has no effect on it. The size of the
// workspace depends on both.
//   workspace(kernels, n_threads)           returns its bytes
//   run(kernels, workspace, execution)      returns false if stopped
template <class Workspace, class Run>
void call(int n_threads, Workspace&& workspace, Run&& run) {
  if (n_threads < 1)
    throw std::invalid_argument("n_threads: got " + std::to_string(n_threads) +
                                ", expected 1 or more");
  bool finished = false;
  {
    const WithoutGil released;
    const Kernels& kernels = *current_implementation().kernels;
    const Team team(n_threads, should_stop);
    if (team.n_threads() > 0) {
      const KeptMemory memory(workspace(kernels, team.n_threads()));
      finished = run(kernels, memory.address(), Execution{team.n_threads(), should_stop});
    }
  }
  if (!finished) throw pybind11::error_already_set();
}

// For a kernel that takes no workspace.
template <class Run>
void call(int n_threads, Run&& run) {
  call(
      n_threads, [](const Kernels&, int) { return 0; },
      [&](const Kernels& kernels, void*, Execution execution) { return run(kernels, execution); });
}

}  // namespace lenetshift
