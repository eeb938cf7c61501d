// Release of the interpreter's lock (GIL) during a call, also for threads that outlive the
// interpreter.
//
// A daemon thread may still be inside a call when Python shuts down. If it then asks for the GIL,
// Python up to 3.13 ends the thread by unwinding its stack, which aborts the process when it meets
// a destructor. Such a thread has nothing left to do. Here it sleeps until the process ends, as
// Python itself lets it do from 3.14 on.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace lenetshift {

inline bool interpreter_ends() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

[[noreturn]] inline void sleep_until_the_process_ends() {
  for (;;) ::pause();
}

// Calls take(), which takes the GIL.
template <class Take>
void take_gil(Take&& take) {
  if (interpreter_ends()) sleep_until_the_process_ends();
#if defined(__GLIBCXX__)
  try {
    take();
  } catch (const abi::__forced_unwind&) {  // the interpreter ended while we waited for the lock
    sleep_until_the_process_ends();
  }
#else
  take();
#endif
}

// Releases the GIL for its lifetime.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    take_gil([this] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// Within a WithoutGil, holds the GIL for its lifetime.
class WithGil {
 public:
  WithGil() {
    take_gil([this] { state_ = PyGILState_Ensure(); });
  }
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace lenetshift
