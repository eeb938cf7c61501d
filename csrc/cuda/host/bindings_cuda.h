// The submodule `cuda` of the compiled core: the CUDA kernels under the names of their CPU twins.
// They take a Stream instead of n_threads, and return when the work is enqueued.
//
// Included by host/bindings.cpp: to compile pybind11's headers once more would take longer than
// this file.
#pragma once

#include "cuda/cuda_kernels.h"
#include "host/bindings.h"
#include "host/gil.h"

namespace lenetshift {
namespace cuda_bindings {
namespace {

// Where a call runs: the number of a device, one of its streams, and allocate(n_bytes), which
// returns a tensor for the call's workspace. It is freed when the work is enqueued, while the
// kernel may still run: the next user of its memory uses it on the same stream, and therefore
// later.
struct Stream {
  int device;
  Address handle;
  py::function allocate;
};

// Calls kernel(workspace, stream) with the device as the current one and without the GIL.
template <class Kernel>
void enqueue(const Stream& on, std::int64_t workspace_bytes, Kernel&& kernel) {
  py::object memory;
  Address workspace;
  if (workspace_bytes > 0) {
    memory = on.allocate(workspace_bytes);
    workspace = py::cast<Address>(memory);
  }
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

FusedKernels<cuda::FusedKernel> fused_kernels() {
  FusedKernels<cuda::FusedKernel> k = {};
  k.predict_shifts_lenet5 = cuda::predict_shifts_lenet5;
  k.predict_shifts_mlp = cuda::predict_shifts_mlp;
  k.predict_shifts_pooled_mlp = cuda::predict_shifts_pooled_mlp;
  k.train_epoch_lenet5 = cuda::train_epoch_lenet5;
  k.train_epoch_mlp = cuda::train_epoch_mlp;
  k.train_epoch_pooled_mlp = cuda::train_epoch_pooled_mlp;
  return k;
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

  bind_fused_ops<cuda::FusedKernel, const Stream&>(
      m, "on", [](auto member, const auto& model, const auto& job, const Stream& stream) {
        const auto kernel = fused_kernels().*member;
        enqueue(stream, kernel.workspace(model, job),
                [&](void* workspace, void* handle) { kernel.run(model, job, workspace, handle); });
      });
}

}  // namespace
}  // namespace cuda_bindings
}  // namespace lenetshift
