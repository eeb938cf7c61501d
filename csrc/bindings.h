// How Python's addresses, tuples and names become the structs of kernels.h, for both bindings files.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"

namespace lenetshift {

using Address = std::uintptr_t;
using Range = std::pair<int, int>;  // [first, stop)

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

inline ShiftGrid grid_of(Range dx, Range dy) {
  return {dx.first, dx.second - dx.first, dy.first, dy.second - dy.first};
}

inline Layer layer_at(const std::vector<Address>& parameters, int i) {
  return {at<const float>(parameters.at(2 * i)), at<const float>(parameters.at(2 * i + 1))};
}
inline Lenet5Parameters lenet5_parameters(const std::vector<Address>& p) {
  return {layer_at(p, 0), layer_at(p, 1), layer_at(p, 2), layer_at(p, 3), layer_at(p, 4)};
}
inline MlpParameters mlp_parameters(const std::vector<Address>& p, int n_hidden) {
  return {layer_at(p, 0), layer_at(p, 1), n_hidden};
}

inline C3Shape c3_shape(std::int64_t n_images, int n_inputs, int height, int width,
                        const std::vector<std::int64_t>& table) {
  return {n_images, n_inputs, static_cast<int>(table.size()), height, width, table.data()};
}

// A model's fused kernels. `form` is "sparse" or "dense" for the LeNets' C3.
inline C3Form form_of(const std::string& form) {
  return form == "sparse" ? C3Form::sparse : C3Form::dense;
}
inline Activation activation_of(const std::string& activation) {
  return activation == "tanh" ? Activation::tanh : Activation::relu;
}

}  // namespace lenetshift
