// The submodule `cuda` of the compiled core: the CUDA kernels under the names of their CPU twins.
// In place of n_threads they take the device's number and the stream's address; an empty workspace
// may be null. They return when the work is enqueued.
#include "../bindings.h"
#include "cuda_kernels.h"

namespace py = pybind11;

namespace lenetshift {
namespace {

// Calls f(stream) with the device as the current one and without the GIL.
template <class F>
void enqueue(int device, Address stream, F&& f) {
  py::gil_scoped_release release;
  const cuda::OnDevice on(device);
  f(at<void>(stream));
}

template <class T>
void c3_conv(const C3Shape& shape, Address input, Address weight, Address bias, Address output,
             void* stream) {
  cuda::c3_conv<T>(shape, at<T>(input), at<T>(weight), at<T>(bias), at<T>(output), stream);
}

template <class T>
C3Backward<T> c3_backward(const std::vector<Address>& a) {
  return {at<T>(a[0]), at<T>(a[1]), at<T>(a[2]), at<T>(a[3]), at<T>(a[4]), at<T>(a[5])};
}

void bind_c3_conv(py::module_& m) {
  using Table = std::vector<std::int64_t>;
  m.def("c3_conv_workspace", [](std::int64_t, int, int, int, const Table&, int) { return 0; });
  m.def("c3_conv", [](std::int64_t n_images, int n_inputs, int height, int width,
                      const Table& table, int value_bytes, Address input, Address weight,
                      Address bias, Address output, Address, int device, Address stream) {
    const C3Shape shape = c3_shape(n_images, n_inputs, height, width, table);
    enqueue(device, stream, [&](void* s) {
      (value_bytes == 4 ? c3_conv<float> : c3_conv<double>)(shape, input, weight, bias, output, s);
    });
  });
  m.def("c3_conv_backward_workspace", [](std::int64_t n_images, int n_inputs, int height,
                                         int width, const Table& table, int value_bytes) {
    return cuda::c3_conv_workspace(c3_shape(n_images, n_inputs, height, width, table),
                                   value_bytes);
  });
  m.def("c3_conv_backward",
        [](std::int64_t n_images, int n_inputs, int height, int width, const Table& table,
           int value_bytes, Address grad_output, Address input, Address weight,
           Address grad_input, Address grad_weight, Address grad_bias, Address workspace,
           int device, Address stream) {
          const C3Shape shape = c3_shape(n_images, n_inputs, height, width, table);
          const std::vector<Address> arrays = {grad_output, input,       weight,
                                               grad_input,  grad_weight, grad_bias};
          enqueue(device, stream, [&](void* s) {
            if (value_bytes == 4)
              cuda::c3_conv_backward(shape, c3_backward<float>(arrays), at<void>(workspace), s);
            else
              cuda::c3_conv_backward(shape, c3_backward<double>(arrays), at<void>(workspace), s);
          });
        });
}

void bind_translate(py::module_& m) {
  m.def("translate", [](std::int64_t n_images, std::int64_t n_shifts, std::int64_t n_planes,
                        int height, int width, int value_bytes, Address images, Address shifts,
                        Address output, int device, Address stream) {
    enqueue(device, stream, [&](void* s) {
      cuda::translate({n_images, n_shifts, n_planes, height, width, value_bytes},
                      at<void>(images), at<std::int64_t>(shifts), at<void>(output), s);
    });
  });
  m.def("translate_backward",
        [](std::int64_t n_images, std::int64_t n_shifts, std::int64_t n_planes, int height,
           int width, int value_bytes, Address grad_output, Address shifts, Address grad_images,
           int device, Address stream) {
          const TranslateShape shape{n_images, n_shifts, n_planes, height, width, value_bytes};
          enqueue(device, stream, [&](void* s) {
            if (value_bytes == 4)
              cuda::translate_backward(shape, at<float>(grad_output), at<std::int64_t>(shifts),
                                       at<float>(grad_images), s);
            else
              cuda::translate_backward(shape, at<double>(grad_output), at<std::int64_t>(shifts),
                                       at<double>(grad_images), s);
          });
        });
}

void bind_predict_shifts(py::module_& m) {
  m.def("predict_shifts_lenet5_workspace",
        [](const std::string& form, Range dx, Range dy, std::int64_t n_images) {
          return cuda::predict_shifts_lenet5_workspace(form_of(form), grid_of(dx, dy), n_images);
        });
  m.def("predict_shifts_lenet5",
        [](const std::string& form, const std::string& activation,
           const std::vector<Address>& parameters, Address images, std::int64_t n_images, Range dx,
           Range dy, Address predictions, Address logits, Address workspace, int device,
           Address stream) {
          enqueue(device, stream, [&](void* s) {
            cuda::predict_shifts_lenet5(form_of(form), activation_of(activation),
                                        lenet5_parameters(parameters),
                                        {at<std::uint8_t>(images), n_images, grid_of(dx, dy),
                                         at<std::uint8_t>(predictions), at<float>(logits)},
                                        at<void>(workspace), s);
          });
        });
  const auto bind_mlp = [&m](const std::string& name, auto workspace_kernel, auto kernel) {
    m.def((name + "_workspace").c_str(),
          [workspace_kernel](int n_hidden, Range dx, Range dy, std::int64_t n_images) {
            return workspace_kernel(n_hidden, grid_of(dx, dy), n_images);
          });
    m.def(name.c_str(), [kernel](const std::string& activation,
                                 const std::vector<Address>& parameters, int n_hidden,
                                 Address images, std::int64_t n_images, Range dx, Range dy,
                                 Address predictions, Address logits, Address workspace,
                                 int device, Address stream) {
      enqueue(device, stream, [&](void* s) {
        kernel(activation_of(activation), mlp_parameters(parameters, n_hidden),
               {at<std::uint8_t>(images), n_images, grid_of(dx, dy),
                at<std::uint8_t>(predictions), at<float>(logits)},
               at<void>(workspace), s);
      });
    });
  };
  bind_mlp("predict_shifts_mlp", &cuda::predict_shifts_mlp_workspace, &cuda::predict_shifts_mlp);
  bind_mlp("predict_shifts_pooled_mlp", &cuda::predict_shifts_pooled_mlp_workspace,
           &cuda::predict_shifts_pooled_mlp);
}

void bind_train_epoch(py::module_& m) {
  m.def("train_epoch_lenet5_workspace", [](const std::string& form, int batch_size) {
    return cuda::train_epoch_lenet5_workspace(form_of(form), batch_size);
  });
  m.def("train_epoch_lenet5",
        [](const std::string& form, const std::string& activation,
           const std::vector<Address>& parameters, Address images, Address labels,
           Address permutation, std::int64_t n_images, int batch_size, float learning_rate,
           Address losses, Address workspace, int device, Address stream) {
          enqueue(device, stream, [&](void* s) {
            cuda::train_epoch_lenet5(
                form_of(form), activation_of(activation), lenet5_parameters(parameters),
                {at<std::uint8_t>(images), at<std::int64_t>(labels), at<std::int64_t>(permutation),
                 n_images, batch_size, learning_rate, at<float>(losses)},
                at<void>(workspace), s);
          });
        });
  const auto bind_mlp = [&m](const std::string& name, auto workspace_kernel, auto kernel) {
    m.def((name + "_workspace").c_str(), [workspace_kernel](int n_hidden, int batch_size) {
      return workspace_kernel(n_hidden, batch_size);
    });
    m.def(name.c_str(), [kernel](const std::string& activation,
                                 const std::vector<Address>& parameters, int n_hidden,
                                 Address images, Address labels, Address permutation,
                                 std::int64_t n_images, int batch_size, float learning_rate,
                                 Address losses, Address workspace, int device, Address stream) {
      enqueue(device, stream, [&](void* s) {
        kernel(activation_of(activation), mlp_parameters(parameters, n_hidden),
               {at<std::uint8_t>(images), at<std::int64_t>(labels), at<std::int64_t>(permutation),
                n_images, batch_size, learning_rate, at<float>(losses)},
               at<void>(workspace), s);
      });
    });
  };
  bind_mlp("train_epoch_mlp", &cuda::train_epoch_mlp_workspace, &cuda::train_epoch_mlp);
  bind_mlp("train_epoch_pooled_mlp", &cuda::train_epoch_pooled_mlp_workspace,
           &cuda::train_epoch_pooled_mlp);
}

}  // namespace

void bind_cuda(py::module_& m) {
  py::module_ submodule = m.def_submodule("cuda", "The CUDA kernels.");
  bind_c3_conv(submodule);
  bind_translate(submodule);
  bind_predict_shifts(submodule);
  bind_train_epoch(submodule);
}

}  // namespace lenetshift
