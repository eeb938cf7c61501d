// The submodule `cuda` of the compiled core: the CUDA kernels under the names of their CPU twins.
// In place of n_threads they take the device's number and the stream's address; an empty workspace
// may be null. They return when the work is enqueued.
//
// A part of host/bindings.cpp, since pybind11's headers take longer to compile than this.
#pragma once

#include "cuda/cuda_kernels.h"
#include "host/bindings.h"

namespace lenetshift {
namespace cuda_bindings {
namespace {

// Takes the last two arguments, then calls f(stream) with that device as the current one and
// without the GIL.
template <class F>
py::object enqueue(Arguments& a, F&& f) {
  const int device = a.integer();
  void* const stream = a.array<void>();
  a.end();
  {
    py::gil_scoped_release release;
    const cuda::OnDevice on(device);
    f(stream);
  }
  return py::none();
}

py::object c3_conv_workspace(Arguments& a) {
  const C3Arguments c3(a);
  a.end();
  return py::int_(0);
}
py::object c3_conv_backward_workspace(Arguments& a) {
  const C3Arguments c3(a);
  a.end();
  return py::int_(cuda::c3_conv_workspace(c3.shape(), c3.value_bytes));
}

template <class T>
py::object c3_conv_of(const C3Shape& shape, Arguments& a) {
  const T *const input = a.array<T>(), *const weight = a.array<T>(), *const bias = a.array<T>();
  T* const output = a.array<T>();
  a.array<void>();  // the workspace, of no bytes
  return enqueue(a, [&](void* s) { cuda::c3_conv<T>(shape, input, weight, bias, output, s); });
}
py::object c3_conv(Arguments& a) {
  const C3Arguments c3(a);
  return (c3.value_bytes == 4 ? c3_conv_of<float> : c3_conv_of<double>)(c3.shape(), a);
}

template <class T>
py::object c3_conv_backward_of(const C3Shape& shape, Arguments& a) {
  const C3Backward<T> arrays = c3_backward<T>(a);
  void* const workspace = a.array<void>();
  return enqueue(a, [&](void* s) { cuda::c3_conv_backward<T>(shape, arrays, workspace, s); });
}
py::object c3_conv_backward(Arguments& a) {
  const C3Arguments c3(a);
  return (c3.value_bytes == 4 ? c3_conv_backward_of<float> : c3_conv_backward_of<double>)(
      c3.shape(), a);
}

py::object translate(Arguments& a) {
  const TranslateShape shape = translate_shape(a);
  const void* const images = a.array<void>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  void* const output = a.array<void>();
  return enqueue(a, [&](void* s) { cuda::translate(shape, images, shifts, output, s); });
}

template <class T>
py::object translate_backward_of(const TranslateShape& shape, Arguments& a) {
  const T* const grad_output = a.array<T>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  T* const grad_images = a.array<T>();
  return enqueue(a, [&](void* s) {
    cuda::translate_backward<T>(shape, grad_output, shifts, grad_images, s);
  });
}
py::object translate_backward(Arguments& a) {
  const TranslateShape shape = translate_shape(a);
  return (shape.value_bytes == 4 ? translate_backward_of<float> : translate_backward_of<double>)(
      shape, a);
}

// A fused kernel: its model, its job, the workspace.
template <class Model, class Job, class Kernel>
py::object run_fused(Arguments& a, Model (*model_of)(Arguments&), Job (*job_of)(Arguments&),
                     Kernel kernel) {
  const Model model = model_of(a);
  const Job job = job_of(a);
  void* const workspace = a.array<void>();
  return enqueue(a, [&](void* s) { model.call(kernel, job, workspace, s); });
}

py::object predict_shifts_lenet5(Arguments& a) {
  return run_fused(a, lenet5_model, shifted_images, cuda::predict_shifts_lenet5);
}
py::object predict_shifts_mlp(Arguments& a) {
  return run_fused(a, mlp_model, shifted_images, cuda::predict_shifts_mlp);
}
py::object predict_shifts_pooled_mlp(Arguments& a) {
  return run_fused(a, mlp_model, shifted_images, cuda::predict_shifts_pooled_mlp);
}
py::object train_epoch_lenet5(Arguments& a) {
  return run_fused(a, lenet5_model, epoch, cuda::train_epoch_lenet5);
}
py::object train_epoch_mlp(Arguments& a) {
  return run_fused(a, mlp_model, epoch, cuda::train_epoch_mlp);
}
py::object train_epoch_pooled_mlp(Arguments& a) {
  return run_fused(a, mlp_model, epoch, cuda::train_epoch_pooled_mlp);
}

py::object predict_shifts_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const ShiftGrid grid = a.grid();
  const std::int64_t n_images = a.number();
  a.end();
  return py::int_(cuda::predict_shifts_lenet5_workspace(form, grid, n_images));
}
py::object train_epoch_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const int batch_size = a.integer();
  a.end();
  return py::int_(cuda::train_epoch_lenet5_workspace(form, batch_size));
}
template <std::int64_t (*bytes)(int, ShiftGrid, std::int64_t)>
py::object predict_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer();
  const ShiftGrid grid = a.grid();
  const std::int64_t n_images = a.number();
  a.end();
  return py::int_(bytes(n_hidden, grid, n_images));
}
template <std::int64_t (*bytes)(int, int)>
py::object train_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer(), batch_size = a.integer();
  a.end();
  return py::int_(bytes(n_hidden, batch_size));
}

constexpr Bound kKernels[] = {
    {"c3_conv", c3_conv},
    {"c3_conv_workspace", c3_conv_workspace},
    {"c3_conv_backward", c3_conv_backward},
    {"c3_conv_backward_workspace", c3_conv_backward_workspace},
    {"translate", translate},
    {"translate_backward", translate_backward},
    {"predict_shifts_lenet5", predict_shifts_lenet5},
    {"predict_shifts_lenet5_workspace", predict_shifts_lenet5_workspace},
    {"predict_shifts_mlp", predict_shifts_mlp},
    {"predict_shifts_mlp_workspace", predict_mlp_workspace<cuda::predict_shifts_mlp_workspace>},
    {"predict_shifts_pooled_mlp", predict_shifts_pooled_mlp},
    {"predict_shifts_pooled_mlp_workspace",
     predict_mlp_workspace<cuda::predict_shifts_pooled_mlp_workspace>},
    {"train_epoch_lenet5", train_epoch_lenet5},
    {"train_epoch_lenet5_workspace", train_epoch_lenet5_workspace},
    {"train_epoch_mlp", train_epoch_mlp},
    {"train_epoch_mlp_workspace", train_mlp_workspace<cuda::train_epoch_mlp_workspace>},
    {"train_epoch_pooled_mlp", train_epoch_pooled_mlp},
    {"train_epoch_pooled_mlp_workspace",
     train_mlp_workspace<cuda::train_epoch_pooled_mlp_workspace>},
};

}  // namespace
}  // namespace cuda_bindings
}  // namespace lenetshift
