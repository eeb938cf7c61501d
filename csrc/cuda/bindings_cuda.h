// The submodule `cuda` of the compiled core: the CUDA kernels under the names of their CPU twins.
// In place of n_threads they take the device's number and the stream's address; an empty workspace
// may be null. They return when the work is enqueued.
//
// A part of bindings.cpp, since pybind11's headers take longer to compile than this. All functions
// have one C++ signature and take their arguments off a list: pybind11 makes its templates anew for
// each.
#pragma once

#include "../bindings.h"
#include "cuda_kernels.h"

namespace py = pybind11;

namespace lenetshift {
namespace cuda_bindings {
namespace {

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
    return at<T>(next().cast<Address>());
  }
  std::vector<Address> arrays() { return next().cast<std::vector<Address>>(); }
  std::vector<std::int64_t> table() { return next().cast<std::vector<std::int64_t>>(); }
  ShiftGrid grid() {
    const Range dx = next().cast<Range>();
    return grid_of(dx, next().cast<Range>());
  }
  C3Form form() { return form_of(text()); }
  Activation activation() { return activation_of(text()); }

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

// Takes the last two arguments, then calls f(stream) with that device as the current one and
// without the GIL.
template <class F>
void enqueue(Arguments& a, F&& f) {
  const int device = a.integer();
  void* const stream = a.array<void>();
  a.end();
  py::gil_scoped_release release;
  const cuda::OnDevice on(device);
  f(stream);
}

// c3_conv: n_images, n_inputs, height, width, table, value_bytes.
struct C3Arguments {
  std::int64_t n_images;
  int n_inputs, height, width;
  std::vector<std::int64_t> table;
  int value_bytes;

  explicit C3Arguments(Arguments& a)
      : n_images(a.number()), n_inputs(a.integer()), height(a.integer()), width(a.integer()),
        table(a.table()), value_bytes(a.integer()) {}
  C3Shape shape() const { return c3_shape(n_images, n_inputs, height, width, table); }
};

std::int64_t c3_conv_workspace(Arguments& a) { return C3Arguments(a), a.end(), 0; }

std::int64_t c3_conv_backward_workspace(Arguments& a) {
  const C3Arguments c3(a);
  a.end();
  return cuda::c3_conv_workspace(c3.shape(), c3.value_bytes);
}

template <class T>
void c3_conv_of(const C3Shape& shape, Arguments& a) {
  const T *const input = a.array<T>(), *const weight = a.array<T>(), *const bias = a.array<T>();
  T* const output = a.array<T>();
  a.array<void>();  // the workspace, of no bytes
  enqueue(a, [&](void* s) { cuda::c3_conv<T>(shape, input, weight, bias, output, s); });
}

template <class T>
void c3_conv_backward_of(const C3Shape& shape, Arguments& a) {
  const C3Backward<T> arrays{a.array<T>(), a.array<T>(), a.array<T>(),
                             a.array<T>(), a.array<T>(), a.array<T>()};
  void* const workspace = a.array<void>();
  enqueue(a, [&](void* s) { cuda::c3_conv_backward<T>(shape, arrays, workspace, s); });
}

void c3_conv(Arguments& a) {
  const C3Arguments c3(a);
  (c3.value_bytes == 4 ? c3_conv_of<float> : c3_conv_of<double>)(c3.shape(), a);
}
void c3_conv_backward(Arguments& a) {
  const C3Arguments c3(a);
  (c3.value_bytes == 4 ? c3_conv_backward_of<float> : c3_conv_backward_of<double>)(c3.shape(), a);
}

TranslateShape translate_shape(Arguments& a) {
  return {a.number(), a.number(), a.number(), a.integer(), a.integer(), a.integer()};
}

void translate(Arguments& a) {
  const TranslateShape shape = translate_shape(a);
  const void* const images = a.array<void>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  void* const output = a.array<void>();
  enqueue(a, [&](void* s) { cuda::translate(shape, images, shifts, output, s); });
}

template <class T>
void translate_backward_of(const TranslateShape& shape, Arguments& a) {
  const T* const grad_output = a.array<T>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  T* const grad_images = a.array<T>();
  enqueue(a, [&](void* s) {
    cuda::translate_backward<T>(shape, grad_output, shifts, grad_images, s);
  });
}
void translate_backward(Arguments& a) {
  const TranslateShape shape = translate_shape(a);
  (shape.value_bytes == 4 ? translate_backward_of<float> : translate_backward_of<double>)(shape, a);
}

// images, n_images, dx, dy, predictions, logits
ShiftedImages shifted_images(Arguments& a) {
  return {a.array<std::uint8_t>(), a.number(), a.grid(), a.array<std::uint8_t>(),
          a.array<float>()};
}

// images, labels, permutation, n_images, batch_size, learning_rate, losses
Epoch epoch(Arguments& a) {
  return {a.array<std::uint8_t>(), a.array<std::int64_t>(), a.array<std::int64_t>(),
          a.number(), a.integer(), a.real(), a.array<float>()};
}

std::int64_t predict_shifts_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const ShiftGrid grid = a.grid();
  const std::int64_t n_images = a.number();
  a.end();
  return cuda::predict_shifts_lenet5_workspace(form, grid, n_images);
}

std::int64_t train_epoch_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const int batch_size = a.integer();
  a.end();
  return cuda::train_epoch_lenet5_workspace(form, batch_size);
}

// What job is: the two arguments that say it, and the kernel.
template <class Job>
void run_lenet5(Arguments& a, Job (*job_of)(Arguments&),
                void (*kernel)(C3Form, Activation, const Lenet5Parameters&, const Job&, void*,
                               void*)) {
  const C3Form form = a.form();
  const Activation activation = a.activation();
  const Lenet5Parameters parameters = lenet5_parameters(a.arrays());
  const Job job = job_of(a);
  void* const workspace = a.array<void>();
  enqueue(a, [&](void* s) { kernel(form, activation, parameters, job, workspace, s); });
}
void predict_shifts_lenet5(Arguments& a) {
  run_lenet5(a, shifted_images, cuda::predict_shifts_lenet5);
}
void train_epoch_lenet5(Arguments& a) { run_lenet5(a, epoch, cuda::train_epoch_lenet5); }

template <class Job>
void run_mlp(Arguments& a, Job (*job_of)(Arguments&),
             void (*kernel)(Activation, const MlpParameters&, const Job&, void*, void*)) {
  const Activation activation = a.activation();
  const std::vector<Address> addresses = a.arrays();
  const MlpParameters parameters = mlp_parameters(addresses, a.integer());
  const Job job = job_of(a);
  void* const workspace = a.array<void>();
  enqueue(a, [&](void* s) { kernel(activation, parameters, job, workspace, s); });
}
void predict_shifts_mlp(Arguments& a) { run_mlp(a, shifted_images, cuda::predict_shifts_mlp); }
void predict_shifts_pooled_mlp(Arguments& a) {
  run_mlp(a, shifted_images, cuda::predict_shifts_pooled_mlp);
}
void train_epoch_mlp(Arguments& a) { run_mlp(a, epoch, cuda::train_epoch_mlp); }
void train_epoch_pooled_mlp(Arguments& a) { run_mlp(a, epoch, cuda::train_epoch_pooled_mlp); }

template <std::int64_t (*bytes)(int, ShiftGrid, std::int64_t)>
std::int64_t predict_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer();
  const ShiftGrid grid = a.grid();
  const std::int64_t n_images = a.number();
  a.end();
  return bytes(n_hidden, grid, n_images);
}
template <std::int64_t (*bytes)(int, int)>
std::int64_t train_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer(), batch_size = a.integer();
  a.end();
  return bytes(n_hidden, batch_size);
}

struct Bound {
  const char* name;
  void (*kernel)(Arguments&);
  std::int64_t (*workspace)(Arguments&);  // null where it takes none
};

constexpr Bound kBound[] = {
    {"c3_conv", c3_conv, c3_conv_workspace},
    {"c3_conv_backward", c3_conv_backward, c3_conv_backward_workspace},
    {"translate", translate, nullptr},
    {"translate_backward", translate_backward, nullptr},
    {"predict_shifts_lenet5", predict_shifts_lenet5, predict_shifts_lenet5_workspace},
    {"predict_shifts_mlp", predict_shifts_mlp,
     predict_mlp_workspace<cuda::predict_shifts_mlp_workspace>},
    {"predict_shifts_pooled_mlp", predict_shifts_pooled_mlp,
     predict_mlp_workspace<cuda::predict_shifts_pooled_mlp_workspace>},
    {"train_epoch_lenet5", train_epoch_lenet5, train_epoch_lenet5_workspace},
    {"train_epoch_mlp", train_epoch_mlp, train_mlp_workspace<cuda::train_epoch_mlp_workspace>},
    {"train_epoch_pooled_mlp", train_epoch_pooled_mlp,
     train_mlp_workspace<cuda::train_epoch_pooled_mlp_workspace>},
};

void bind_all(py::module_& m) {
  py::module_ submodule = m.def_submodule("cuda", "The CUDA kernels.");
  for (const Bound& bound : kBound) {
    submodule.def(bound.name, [kernel = bound.kernel](const py::args& all) {
      Arguments a(all);
      kernel(a);
    });
    if (bound.workspace == nullptr) continue;
    submodule.def((std::string(bound.name) + "_workspace").c_str(),
                  [bytes = bound.workspace](const py::args& all) {
                    Arguments a(all);
                    return bytes(a);
                  });
  }
}

}  // namespace
}  // namespace cuda_bindings

// Adds the submodule `cuda`.
inline void bind_cuda(py::module_& m) { cuda_bindings::bind_all(m); }

}  // namespace lenetshift
