// How Python's arguments become the structs of kernels.h, for CPU and CUDA.
//
// All bound functions have one C++ signature and take their arguments off a list: pybind11 would
// make its templates anew for each signature, and the build would take seconds more.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels.h"

namespace py = pybind11;

namespace lenetshift {

// A call's arguments, taken in their order (as the initialisers within braces are).
class Arguments {
 public:
  explicit Arguments(const py::args& all) : all_(all) {}

  std::int64_t number() { return next().cast<std::int64_t>(); }
  int integer() { return next().cast<int>(); }
  float real() { return next().cast<float>(); }
  std::string text() { return next().cast<std::string>(); }
  template <class T>
  T* array() {
    return reinterpret_cast<T*>(next().cast<std::uintptr_t>());
  }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> all;
    for (const py::handle one : next()) all.push_back(one.cast<std::int64_t>());
    return all;
  }
  // dx, dy: each (first, stop).
  ShiftGrid grid() {
    const std::vector<std::int64_t> dx = numbers(), dy = numbers();
    const auto n = [](const std::vector<std::int64_t>& r) { return r.at(1) - r.at(0); };
    return {static_cast<int>(dx.at(0)), static_cast<int>(n(dx)), static_cast<int>(dy.at(0)),
            static_cast<int>(n(dy))};
  }
  // "sparse" or "dense"
  C3Form form() { return text() == "sparse" ? C3Form::sparse : C3Form::dense; }
  // "tanh" or "relu"
  Activation activation() { return text() == "tanh" ? Activation::tanh : Activation::relu; }

  void end() const {
    if (i_ != all_.size())
      throw py::type_error("got " + std::to_string(all_.size()) + " arguments, expected " +
                           std::to_string(i_));
  }

 private:
  const py::args& all_;
  std::size_t i_ = 0;

  py::object next() {
    if (i_ == all_.size()) throw py::type_error("got too few arguments");
    return all_[i_++];
  }
};

struct Bound {
  const char* name;
  py::object (*function)(Arguments&);
};

template <std::size_t n>
void bind(py::module_& m, const Bound (&functions)[n]) {
  for (const Bound& bound : functions)
    m.def(bound.name, [function = bound.function](const py::args& all) {
      Arguments a(all);
      return function(a);
    });
}

// c3_conv: n_images, n_inputs, height, width, table, value_bytes.
struct C3Arguments {
  std::int64_t n_images;
  int n_inputs, height, width;
  std::vector<std::int64_t> table;
  int value_bytes;

  explicit C3Arguments(Arguments& a)
      : n_images(a.number()), n_inputs(a.integer()), height(a.integer()), width(a.integer()),
        table(a.numbers()), value_bytes(a.integer()) {}
  C3Shape shape() const {
    return {n_images, n_inputs, static_cast<int>(table.size()), height, width, table.data()};
  }
};

// c3_conv_backward: grad_output, input, weight, grad_input, grad_weight, grad_bias.
template <class T>
C3Backward<T> c3_backward(Arguments& a) {
  return {a.array<T>(), a.array<T>(), a.array<T>(), a.array<T>(), a.array<T>(), a.array<T>()};
}

// translate: n_images, n_shifts, n_planes, height, width, value_bytes.
inline TranslateShape translate_shape(Arguments& a) {
  return {a.number(), a.number(), a.number(), a.integer(), a.integer(), a.integer()};
}

// The fused kernels' model: form, activation, parameters.
struct Lenet5Model {
  C3Form form;
  Activation activation;
  Lenet5Parameters parameters;

  template <class Kernel, class... Rest>
  auto call(Kernel kernel, const Rest&... rest) const {
    return kernel(form, activation, parameters, rest...);
  }
};
// The fused kernels' model: activation, parameters, n_hidden.
struct MlpModel {
  Activation activation;
  MlpParameters parameters;

  template <class Kernel, class... Rest>
  auto call(Kernel kernel, const Rest&... rest) const {
    return kernel(activation, parameters, rest...);
  }
};

inline Layer layer_at(const std::vector<std::int64_t>& addresses, int i) {
  return {reinterpret_cast<const float*>(addresses.at(2 * i)),
          reinterpret_cast<const float*>(addresses.at(2 * i + 1))};
}
inline Lenet5Model lenet5_model(Arguments& a) {
  const C3Form form = a.form();
  const Activation activation = a.activation();
  const std::vector<std::int64_t> p = a.numbers();
  return {form, activation,
          {layer_at(p, 0), layer_at(p, 1), layer_at(p, 2), layer_at(p, 3), layer_at(p, 4)}};
}
inline MlpModel mlp_model(Arguments& a) {
  const Activation activation = a.activation();
  const std::vector<std::int64_t> p = a.numbers();
  return {activation, {layer_at(p, 0), layer_at(p, 1), a.integer()}};
}

// The fused kernels' job: images, n_images, dx, dy, predictions, logits.
inline ShiftedImages shifted_images(Arguments& a) {
  return {a.array<std::uint8_t>(), a.number(), a.grid(), a.array<std::uint8_t>(),
          a.array<float>()};
}
// The fused kernels' job: images, labels, permutation, n_images, batch_size, learning_rate, losses.
inline Epoch epoch(Arguments& a) {
  return {a.array<std::uint8_t>(), a.array<std::int64_t>(), a.array<std::int64_t>(),
          a.number(), a.integer(), a.real(), a.array<float>()};
}

}  // namespace lenetshift
