// Functions of the core that only tests and benchmarks call: they set the ISA and run two of its
// building blocks.
//
// Included by host/bindings.cpp: to compile pybind11's headers once more would take longer than
// this file.
#pragma once

#include "host/bindings.h"
#include "host/call.h"
#include "host/dispatch.h"

namespace lenetshift {

inline void bind_for_tests(py::module_& m) {
  using py::arg;
  m.def("set_isa", set_implementation, arg("name"));
  m.def(
      "lanes", [] { return current_implementation().kernels->lanes; },
      "The number of float32 values in a vector.");
  m.def(
      "tanh",
      [](Address x, Address y, std::int64_t n) {
        call(1, [&](const Kernels& k, Execution) { return k.tanh(x, y, n), true; });
      },
      arg("x"), arg("y"), arg("n"));
  m.def(
      "multiply_adds",
      [](std::int64_t n_rounds, int n_threads) {
        double n_done = 0;
        call(n_threads, [&](const Kernels& k, Execution execution) {
          n_done = k.multiply_adds(n_rounds, execution.n_threads);
          return true;
        });
        return n_done;
      },
      arg("n_rounds"), arg("n_threads"), "Returns the number of multiply-adds.");
}

}  // namespace lenetshift
