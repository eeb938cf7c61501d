// Calls of c3_conv whose tensors need nothing but its kernel, from their check to their result, in
// one step: in Python, the checks and conversions take longer than the kernel for one image.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "host/bindings.h"
#include "host/tensors.h"

namespace lenetshift {

void c3_conv(const C3& c3, Address input, Address weight, Address bias, Address output,
             int n_threads);
void c3_conv_backward(const C3& c3, Address grad_output, Address input, Address weight,
                      Address grad_input, Address grad_weight, Address grad_bias, int n_threads);

// Both calls return None, and have done nothing, unless all tensors are on the CPU, contiguous and
// of float32 or of float64, and fit each other and the table: lenetshift/ops/c3_conv.py then does
// it, or says what is wrong.
class SmallCalls {
 public:
  SmallCalls(py::handle exchange_api, py::object get_num_threads)
      : reader_(exchange_api), get_num_threads_(std::move(get_num_threads)) {}

  py::object conv(py::handle input, py::handle weight, py::handle bias, py::handle table) const {
    CpuArray x, w, b;
    std::vector<std::int64_t> masks;
    if (!read(input, weight, table, x, w, masks) || !reader_.read(bias, b)) return py::none();
    const std::int64_t n_outputs = masks.size();
    if (!b.has(x.float_bytes(), {n_outputs})) return py::none();
    const Output y = output(input, {x.size(0), n_outputs, x.size(2) - 4, x.size(3) - 4});
    c3_conv(shape_of(x, std::move(masks)), x.address(), w.address(), b.address(), y.address,
            n_threads());
    return y.tensor;
  }

  py::object conv_backward(py::handle grad_output, py::handle input, py::handle weight,
                           py::handle table, const std::array<bool, 3>& wanted) const {
    CpuArray upstream, x, w;
    std::vector<std::int64_t> masks;
    if (!read(input, weight, table, x, w, masks) || !reader_.read(grad_output, upstream))
      return py::none();
    const std::int64_t n_outputs = masks.size();
    if (!upstream.has(x.float_bytes(), {x.size(0), n_outputs, x.size(2) - 4, x.size(3) - 4}))
      return py::none();
    const Output grad_input =
        wanted[0] ? output(input, {x.size(0), x.size(1), x.size(2), x.size(3)}) : unwanted(input);
    const Output grad_weight = wanted[1] ? output(input, {w.size(0), 5, 5}) : unwanted(input);
    const Output grad_bias = wanted[2] ? output(input, {n_outputs}) : unwanted(input);
    c3_conv_backward(shape_of(x, std::move(masks)), upstream.address(), x.address(), w.address(),
                     grad_input.address, grad_weight.address, grad_bias.address, n_threads());
    return py::make_tuple(grad_input.tensor, grad_weight.tensor, grad_bias.tensor);
  }

 private:
  struct Output {
    py::object tensor;
    Address address;  // null for what is not wanted
  };

  TensorReader reader_;
  py::object get_num_threads_;

  int n_threads() const { return get_num_threads_().cast<int>(); }

  Output output(py::handle like, std::initializer_list<std::int64_t> sizes) const {
    const py::object tensor = new_empty(like, sizes);
    CpuArray array;
    if (!reader_.read(tensor, array))
      throw std::runtime_error("new_empty: expected a contiguous tensor on the CPU");
    return {tensor, array.address()};
  }
  Output unwanted(py::handle like) const { return {new_empty(like, {0}), {}}; }

  static C3 shape_of(const CpuArray& x, std::vector<std::int64_t> masks) {
    return C3(x.size(0), static_cast<int>(x.size(1)), x.size(2), x.size(3), std::move(masks),
              x.float_bytes());
  }

  // False unless the table is one of the input's maps and the weight has its connections.
  bool read(py::handle input, py::handle weight, py::handle table, CpuArray& x, CpuArray& w,
            std::vector<std::int64_t>& masks) const {
    constexpr int kMaxInputs = 62;  // lenetshift/c3_table.py
    if (!reader_.read(input, x) || x.float_bytes() == 0 || x.n_dimensions() != 4) return false;
    if (x.size(1) > kMaxInputs || x.size(2) < 5 || x.size(3) < 5) return false;
    if (!PyList_Check(table.ptr()) && !PyTuple_Check(table.ptr())) return false;
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(table.ptr());
    PyObject* const* const items = PySequence_Fast_ITEMS(table.ptr());
    masks.reserve(n);
    int n_connections = 0;
    for (Py_ssize_t i = 0; i < n; ++i) {
      const long long mask = PyLong_Check(items[i]) ? PyLong_AsLongLong(items[i]) : 0;
      if (mask == -1) PyErr_Clear();
      if (mask <= 0 || mask >> x.size(1) != 0) return false;
      n_connections += __builtin_popcountll(mask);
      masks.push_back(mask);
    }
    return n > 0 && reader_.read(weight, w) && w.has(x.float_bytes(), {n_connections, 5, 5});
  }
};

// What torch calls for an op, with the dispatch keys of the call. If they are those of ordinary
// tensors and no tangent is computed, `kernel(*inputs)`, or `with_gradient(*inputs)` if a gradient
// by one of the first n_tensors inputs may be wanted; if not, or if `kernel` returns None,
// `otherwise(keys, *inputs)`.
//   is_grad_enabled   torch.is_grad_enabled
//   forward_ad        the module torch.autograd.forward_ad
class OrdinaryCall {
 public:
  OrdinaryCall(std::uint64_t keys, int n_tensors, py::object kernel, py::object with_gradient,
               py::object otherwise, py::object is_grad_enabled, py::object forward_ad)
      : keys_(keys),
        n_tensors_(n_tensors),
        kernel_(std::move(kernel)),
        with_gradient_(std::move(with_gradient)),
        otherwise_(std::move(otherwise)),
        is_grad_enabled_(std::move(is_grad_enabled)),
        forward_ad_(std::move(forward_ad)) {}

  py::object operator()(py::handle keys, const py::args& inputs) const {
    if (is_ordinary(keys) && !computes_tangents()) {
      if (wants_gradient(inputs)) return with_gradient_(*inputs);
      py::object result = checked(PyObject_Call(kernel_.ptr(), inputs.ptr(), nullptr));
      if (!result.is_none()) return result;
    }
    return otherwise_(keys, *inputs);
  }

 private:
  std::uint64_t keys_;
  int n_tensors_;
  py::object kernel_, with_gradient_, otherwise_, is_grad_enabled_, forward_ad_;

  static py::object checked(PyObject* result) {
    if (result == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
  }
  bool is_ordinary(py::handle keys) const {
    static PyObject* const name = PyUnicode_InternFromString("raw_repr");
    return checked(PyObject_CallMethodNoArgs(keys.ptr(), name)).cast<std::uint64_t>() == keys_;
  }
  bool computes_tangents() const {
    static PyObject* const level = PyUnicode_InternFromString("_current_level");
    return checked(PyObject_GetAttr(forward_ad_.ptr(), level)).cast<int>() >= 0;
  }
  bool wants_gradient(const py::args& inputs) const {
    static PyObject* const requires_grad = PyUnicode_InternFromString("requires_grad");
    if (checked(PyObject_CallNoArgs(is_grad_enabled_.ptr())).ptr() != Py_True) return false;
    for (int i = 0; i < n_tensors_; ++i) {
      PyObject* const input = PyTuple_GET_ITEM(inputs.ptr(), i);
      if (input != Py_None && checked(PyObject_GetAttr(input, requires_grad)).ptr() == Py_True)
        return true;
    }
    return false;
  }
};

inline void bind_small_calls(py::module_& m) {
  using py::arg;
  py::class_<SmallCalls>(m, "SmallCalls")
      .def(py::init<py::handle, py::object>(), arg("exchange_api"), arg("get_num_threads"))
      .def("c3_conv", &SmallCalls::conv)
      .def("c3_conv_backward", &SmallCalls::conv_backward);
  m.def(
      "ordinary_call",
      [](std::uint64_t keys, int n_tensors, py::object kernel, py::object with_gradient,
         py::object otherwise, py::object is_grad_enabled, py::object forward_ad) {
        return py::cpp_function(OrdinaryCall(keys, n_tensors, std::move(kernel),
                                             std::move(with_gradient), std::move(otherwise),
                                             std::move(is_grad_enabled), std::move(forward_ad)));
      },
      arg("keys"), arg("n_tensors"), arg("kernel"), arg("with_gradient"), arg("otherwise"),
      arg("is_grad_enabled"), arg("forward_ad"));
}

}  // namespace lenetshift
