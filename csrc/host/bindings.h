// What the bindings for CPU and CUDA share: the structs of kernels.h as Python classes, and the
// fused ops. Arrays are tensors or addresses, as Tensor.data_ptr() gives them; 0 is null.
#pragma once

#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"

namespace py = pybind11;

namespace lenetshift {

// In Python an integer, or a tensor, whose data_ptr() is called: the caller keeps the tensor. In
// C++ it converts to any pointer.
struct Address {
  void* pointer = nullptr;

  template <class T>
  operator T*() const {
    return static_cast<T*>(pointer);
  }
};

}  // namespace lenetshift

template <>
struct py::detail::type_caster<lenetshift::Address> {
  PYBIND11_TYPE_CASTER(lenetshift::Address, const_name("int | Tensor"));
  bool load(handle source, bool) {
    if (PyLong_Check(source.ptr())) return take(source);
    static PyObject* const data_ptr = PyUnicode_InternFromString("data_ptr");
    const object address =
        reinterpret_steal<object>(PyObject_CallMethodNoArgs(source.ptr(), data_ptr));
    if (!address) PyErr_Clear();
    return address && take(address);
  }

 private:
  bool take(handle number) {
    value.pointer = reinterpret_cast<void*>(PyLong_AsSize_t(number.ptr()));
    if (!PyErr_Occurred()) return true;
    PyErr_Clear();
    return false;
  }
};

namespace lenetshift {

// C3Shape with its table, and whether the values are float or double.
class C3 {
 public:
  C3(std::int64_t n_images, int n_inputs, std::int64_t height, std::int64_t width,
     std::vector<std::int64_t> table, int value_bytes)
      : table_(std::move(table)),
        shape_{n_images, n_inputs, static_cast<int>(table_.size()), height, width, table_.data()},
        value_bytes_(value_bytes) {}
  C3(const C3&) = delete;  // shape_ points into table_
  C3& operator=(const C3&) = delete;

  const C3Shape& shape() const { return shape_; }
  int value_bytes() const { return value_bytes_; }

 private:
  const std::vector<std::int64_t> table_;
  const C3Shape shape_;
  const int value_bytes_;
};

// Calls f(float{}) or f(double{}), whichever has value_bytes bytes.
template <class F>
auto with_value_type(int value_bytes, F&& f) {
  if (value_bytes == sizeof(float)) return f(float{});
  if (value_bytes == sizeof(double)) return f(double{});
  throw std::invalid_argument("value_bytes: got " + std::to_string(value_bytes) +
                              ", expected 4 or 8");
}

template <class T>
void bind_windows(py::module_& m, const char* name) {
  using py::arg;
  py::class_<IndirectWindows<T>>(m, name).def(
      py::init([](Address input, std::int64_t n_images, std::int64_t height, std::int64_t width,
                  int n_channels, Address rows, std::int64_t out_height, int kernel_height,
                  Address columns, std::int64_t out_width, int kernel_width) {
        return IndirectWindows<T>{input,      n_images,      height,  width,     n_channels,  rows,
                                  out_height, kernel_height, columns, out_width, kernel_width};
      }),
      arg("input"), arg("n_images"), arg("height"), arg("width"), arg("n_channels"), arg("rows"),
      arg("out_height"), arg("kernel_height"), arg("columns"), arg("out_width"),
      arg("kernel_width"));
}

inline void bind_structs(py::module_& m) {
  using py::arg;
  using Range = std::pair<int, int>;  // first, stop

  // Not py::enum_: its templates alone take two seconds to compile.
  py::native_enum<C3Table>(m, "C3Table", "enum.Enum")
      .value("sparse", C3Table::sparse)
      .value("dense", C3Table::dense)
      .finalize();
  py::native_enum<Activation>(m, "Activation", "enum.Enum")
      .value("tanh", Activation::tanh)
      .value("relu", Activation::relu)
      .finalize();

  py::native_enum<Join>(m, "Join", "enum.Enum")
      .value("largest", Join::largest)
      .value("sum", Join::sum)
      .finalize();

  py::class_<C3>(m, "C3").def(
      py::init<std::int64_t, int, std::int64_t, std::int64_t, std::vector<std::int64_t>, int>(),
      arg("n_images"), arg("n_inputs"), arg("height"), arg("width"), arg("table"),
      arg("value_bytes"));
  py::class_<TranslateShape>(m, "TranslateShape")
      .def(py::init<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, int>(),
           arg("n_images"), arg("n_shifts"), arg("n_channels"), arg("height"), arg("width"),
           arg("value_bytes"));
  py::class_<Lenet5>(m, "Lenet5")
      .def(py::init([](C3Table table, Activation activation, Address c1_weight, Address c1_bias,
                       Address c3_weight, Address c3_bias, Address c5_weight, Address c5_bias,
                       Address f6_weight, Address f6_bias, Address output_weight,
                       Address output_bias) {
             return Lenet5{table,
                           activation,
                           {{c1_weight, c1_bias},
                            {c3_weight, c3_bias},
                            {c5_weight, c5_bias},
                            {f6_weight, f6_bias},
                            {output_weight, output_bias}}};
           }),
           arg("table"), arg("activation"), arg("c1_weight"), arg("c1_bias"), arg("c3_weight"),
           arg("c3_bias"), arg("c5_weight"), arg("c5_bias"), arg("f6_weight"), arg("f6_bias"),
           arg("output_weight"), arg("output_bias"));
  py::class_<Mlp>(m, "Mlp").def(
      py::init([](int n_hidden, Activation activation, Address hidden_weight, Address hidden_bias,
                  Address output_weight, Address output_bias) {
        return Mlp{activation,
                   {{hidden_weight, hidden_bias}, {output_weight, output_bias}, n_hidden}};
      }),
      arg("n_hidden"), arg("activation"), arg("hidden_weight"), arg("hidden_bias"),
      arg("output_weight"), arg("output_bias"));
  py::class_<ShiftedImages>(m, "ShiftedImages")
      .def(py::init([](Address images, std::int64_t n_images, Range dx, Range dy,
                       Address predictions, Address logits) {
             const ShiftGrid grid = {dx.first, dx.second - dx.first, dy.first,
                                     dy.second - dy.first};
             return ShiftedImages{images, n_images, grid, predictions, logits};
           }),
           arg("images"), arg("n_images"), arg("dx"), arg("dy"), arg("predictions"), arg("logits"));
  bind_windows<float>(m, "IndirectWindowsF32");
  bind_windows<double>(m, "IndirectWindowsF64");
  py::class_<Epoch>(m, "Epoch")
      .def(py::init([](Address images, Address labels, Address permutation, std::int64_t n_images,
                       int batch_size, float learning_rate, Address losses) {
             return Epoch{images, labels, permutation, n_images, batch_size, learning_rate, losses};
           }),
           arg("images"), arg("labels"), arg("permutation"), arg("n_images"), arg("batch_size"),
           arg("learning_rate"), arg("losses"));
}

// Binds the fused ops. Each takes a model, a job and where to run: n_threads, or a card's stream.
//   run(kernel, model, job, where)      kernel: the op's member of FusedKernels<Kernel>
template <template <class Model, class Job> class Kernel, class Where, class Run>
struct FusedOps {
  py::module_& m;
  const py::arg where;
  const Run run;

  void bind() const {
    using Kernels = FusedKernels<Kernel>;
    bind("predict_shifts_lenet5", &Kernels::predict_shifts_lenet5);
    bind("predict_shifts_mlp", &Kernels::predict_shifts_mlp);
    bind("predict_shifts_pooled_mlp", &Kernels::predict_shifts_pooled_mlp);
    bind("train_epoch_lenet5", &Kernels::train_epoch_lenet5);
    bind("train_epoch_mlp", &Kernels::train_epoch_mlp);
    bind("train_epoch_pooled_mlp", &Kernels::train_epoch_pooled_mlp);
  }
  template <class Model, class Job>
  void bind(const char* name, Kernel<Model, Job> FusedKernels<Kernel>::* kernel) const {
    m.def(
        name,
        [kernel, run = run](const Model& model, const Job& job, Where where) {
          run(kernel, model, job, where);
        },
        py::arg("model"), py::arg("job"), where);
  }
};
template <template <class Model, class Job> class Kernel, class Where, class Run>
void bind_fused_ops(py::module_& m, const char* where, Run run) {
  FusedOps<Kernel, Where, Run>{m, py::arg(where), run}.bind();
}

}  // namespace lenetshift
