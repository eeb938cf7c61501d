// The submodule `cuda` of the compiled core: the CUDA kernels under the names of their CPU twins.
// In place of n_threads they take a Stream, and they return when the work is enqueued.
//
// A part of host/bindings.cpp, since pybind11's headers take longer to compile than this.
#pragma once

#include "cuda/cuda_kernels.h"
#include "host/bindings.h"
#include "host/gil.h"

namespace lenetshift {
namespace cuda_bindings {
namespace {

// Where a call runs: a device's number, a stream of it, and allocate(n_bytes), which gives the
// address of memory for the call's workspace. The stream may use that until the work is done.
struct Stream {
  int device;
  Address handle;
  py::function allocate;
};

// Calls kernel(workspace, stream) with the device as the current one and without the GIL.
template <class Kernel>
void enqueue(const Stream& on, std::int64_t workspace_bytes, Kernel&& kernel) {
  Address workspace;
  if (workspace_bytes > 0) workspace = py::cast<Address>(on.allocate(workspace_bytes));
  const WithoutGil released;
  const cuda::OnDevice device(on.device);
  kernel(workspace.pointer, on.handle.pointer);
}

void c3_conv(const C3& c3, Address input, Address weight, Address bias, Address output,
             const Stream& on) {
  with_value_type(c3.value_bytes(), [&](auto value) {
    enqueue(on, 0, [&](void*, void* stream) {
      cuda::c3_conv<decltype(value)>(c3.shape(), input, weight, bias, output, stream);
    });
  });
}

void c3_conv_backward(const C3& c3, Address grad_output, Address input, Address weight,
                      Address grad_input, Address grad_weight, Address grad_bias,
                      const Stream& on) {
  with_value_type(c3.value_bytes(), [&](auto value) {
    using T = decltype(value);
    const C3Backward<T> arrays = {grad_output, input, weight, grad_input, grad_weight, grad_bias};
    enqueue(on, cuda::c3_conv_workspace(c3.shape(), c3.value_bytes()),
            [&](void* workspace, void* stream) {
              cuda::c3_conv_backward<T>(c3.shape(), arrays, workspace, stream);
            });
  });
}

void translate(const TranslateShape& shape, Address images, Address shifts, Address output,
               const Stream& on) {
  enqueue(on, 0, [&](void*, void* stream) {
    cuda::translate(shape, images.pointer, shifts, output.pointer, stream);
  });
}

void shift_each(const TranslateShape& shape, Address images, Address shifts, Address output,
                const Stream& on) {
  enqueue(on, 0, [&](void*, void* stream) {
    cuda::shift_each(shape, images.pointer, shifts, output.pointer, stream);
  });
}

void translate_backward(const TranslateShape& shape, Address grad_output, Address shifts,
                        Address grad_images, const Stream& on) {
  with_value_type(shape.value_bytes, [&](auto value) {
    enqueue(on, 0, [&](void*, void* stream) {
      cuda::translate_backward<decltype(value)>(shape, grad_output, shifts, grad_images, stream);
    });
  });
}

void predict_shifts_lenet5(const Lenet5& model, const ShiftedImages& job, const Stream& on) {
  enqueue(on, cuda::predict_shifts_lenet5_workspace(model.table, job.grid, job.n_images),
          [&](void* workspace, void* stream) {
            cuda::predict_shifts_lenet5(model.table, model.activation, model.parameters, job,
                                        workspace, stream);
          });
}

void train_epoch_lenet5(const Lenet5& model, const Epoch& job, const Stream& on) {
  enqueue(on, cuda::train_epoch_lenet5_workspace(model.table, job.batch_size),
          [&](void* workspace, void* stream) {
            cuda::train_epoch_lenet5(model.table, model.activation, model.parameters, job,
                                     workspace, stream);
          });
}

// The MLP and the pooled MLP.
template <auto kernel_workspace, auto kernel>
void predict_shifts_mlp(const Mlp& model, const ShiftedImages& job, const Stream& on) {
  enqueue(on, kernel_workspace(model.parameters.n_hidden, job.grid, job.n_images),
          [&](void* workspace, void* stream) {
            kernel(model.activation, model.parameters, job, workspace, stream);
          });
}
template <auto kernel_workspace, auto kernel>
void train_epoch_mlp(const Mlp& model, const Epoch& job, const Stream& on) {
  enqueue(on, kernel_workspace(model.parameters.n_hidden, job.batch_size),
          [&](void* workspace, void* stream) {
            kernel(model.activation, model.parameters, job, workspace, stream);
          });
}

void bind(py::module_& m) {
  using py::arg;
  py::class_<Stream>(m, "Stream")
      .def(py::init<int, Address, py::function>(), arg("device"), arg("handle"), arg("allocate"));

  const auto on = arg("on");
  m.def("c3_conv", c3_conv, arg("c3"), arg("input"), arg("weight"), arg("bias"), arg("output"), on);
  m.def("c3_conv_backward", c3_conv_backward, arg("c3"), arg("grad_output"), arg("input"),
        arg("weight"), arg("grad_input"), arg("grad_weight"), arg("grad_bias"), on,
        "Gradients whose address is 0 are not computed.");
  m.def("translate", translate, arg("shape"), arg("images"), arg("shifts"), arg("output"), on);
  m.def("shift_each", shift_each, arg("shape"), arg("images"), arg("shifts"), arg("output"), on);
  m.def("translate_backward", translate_backward, arg("shape"), arg("grad_output"), arg("shifts"),
        arg("grad_images"), on);

  const auto model = arg("model"), job = arg("job");
  m.def("predict_shifts_lenet5", predict_shifts_lenet5, model, job, on);
  m.def("predict_shifts_mlp",
        predict_shifts_mlp<cuda::predict_shifts_mlp_workspace, cuda::predict_shifts_mlp>, model,
        job, on);
  m.def("predict_shifts_pooled_mlp",
        predict_shifts_mlp<cuda::predict_shifts_pooled_mlp_workspace,
                           cuda::predict_shifts_pooled_mlp>,
        model, job, on);
  m.def("train_epoch_lenet5", train_epoch_lenet5, model, job, on);
  m.def("train_epoch_mlp", train_epoch_mlp<cuda::train_epoch_mlp_workspace, cuda::train_epoch_mlp>,
        model, job, on);
  m.def("train_epoch_pooled_mlp",
        train_epoch_mlp<cuda::train_epoch_pooled_mlp_workspace, cuda::train_epoch_pooled_mlp>,
        model, job, on);
}

}  // namespace
}  // namespace cuda_bindings
}  // namespace lenetshift
