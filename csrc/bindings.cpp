// The compiled core as a Python module: addresses and sizes in, nothing computed here.
// lenetshift/ops/ checks every argument before it comes here. The GIL is released throughout.
#include "bindings.h"

#include <chrono>

#include "dispatch.h"

#if defined(LENETSHIFT_HAS_CUDA)
#include "cuda/bindings_cuda.h"
#endif

namespace py = pybind11;
using namespace lenetshift;

namespace {

const Kernels& kernels() { return *current_implementation().kernels; }

// Asks Python for pending signals (Ctrl-C) at most every 50 ms. The exception that a signal handler
// raises stays set and is thrown by finish().
bool should_stop() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point asked = Clock::now();
  const Clock::time_point now = Clock::now();
  if (now - asked < std::chrono::milliseconds(50)) return false;
  asked = now;
  py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

template <class Run>
void run_interruptibly(int n_threads, Run&& run) {
  bool finished;
  {
    py::gil_scoped_release release;
    finished = run(Execution{n_threads, should_stop});
  }
  if (!finished) throw py::error_already_set();
}

void bind_c3_conv(py::module_& m) {
  for (const char* name : {"c3_conv_workspace", "c3_conv_backward_workspace"})
    m.def(name, [](std::int64_t n_images, int n_inputs, int height, int width,
                   const std::vector<std::int64_t>& table, int value_bytes, int n_threads) {
      return kernels().c3_conv_workspace(c3_shape(n_images, n_inputs, height, width, table),
                                         value_bytes, n_threads);
    });
  m.def("c3_conv", [](std::int64_t n_images, int n_inputs, int height, int width,
                      const std::vector<std::int64_t>& table, int value_bytes, Address input,
                      Address weight, Address bias, Address output, Address workspace,
                      int n_threads) {
    const C3Shape shape = c3_shape(n_images, n_inputs, height, width, table);
    py::gil_scoped_release release;
    if (value_bytes == 4)
      kernels().c3_conv_f32(shape, at<float>(input), at<float>(weight), at<float>(bias),
                            at<float>(output), at<void>(workspace), n_threads);
    else
      kernels().c3_conv_f64(shape, at<double>(input), at<double>(weight), at<double>(bias),
                            at<double>(output), at<void>(workspace), n_threads);
  });
  m.def("c3_conv_backward",
        [](std::int64_t n_images, int n_inputs, int height, int width,
           const std::vector<std::int64_t>& table, int value_bytes, Address grad_output,
           Address input, Address weight, Address grad_input, Address grad_weight,
           Address grad_bias, Address workspace, int n_threads) {
          const C3Shape shape = c3_shape(n_images, n_inputs, height, width, table);
          py::gil_scoped_release release;
          if (value_bytes == 4)
            kernels().c3_conv_backward_f32(
                shape,
                {at<float>(grad_output), at<float>(input), at<float>(weight),
                 at<float>(grad_input), at<float>(grad_weight), at<float>(grad_bias)},
                at<void>(workspace), n_threads);
          else
            kernels().c3_conv_backward_f64(
                shape,
                {at<double>(grad_output), at<double>(input), at<double>(weight),
                 at<double>(grad_input), at<double>(grad_weight), at<double>(grad_bias)},
                at<void>(workspace), n_threads);
        });
}

void bind_translate(py::module_& m) {
  m.def("translate", [](std::int64_t n_images, std::int64_t n_shifts, std::int64_t n_planes,
                        int height, int width, int value_bytes, Address images, Address shifts,
                        Address output, int n_threads) {
    py::gil_scoped_release release;
    translate({n_images, n_shifts, n_planes, height, width, value_bytes}, at<void>(images),
              at<std::int64_t>(shifts), at<void>(output), n_threads);
  });
  m.def("translate_backward",
        [](std::int64_t n_images, std::int64_t n_shifts, std::int64_t n_planes, int height,
           int width, int value_bytes, Address grad_output, Address shifts, Address grad_images,
           int n_threads) {
          const TranslateShape shape{n_images, n_shifts, n_planes, height, width, value_bytes};
          py::gil_scoped_release release;
          if (value_bytes == 4)
            translate_backward(shape, at<float>(grad_output), at<std::int64_t>(shifts),
                               at<float>(grad_images), n_threads);
          else
            translate_backward(shape, at<double>(grad_output), at<std::int64_t>(shifts),
                               at<double>(grad_images), n_threads);
        });
}

void bind_predict_shifts(py::module_& m) {
  m.def("predict_shifts_lenet5_workspace",
        [](const std::string& form, Range dx, Range dy, int n_threads) {
          return kernels().predict_shifts_lenet5_workspace(form_of(form), grid_of(dx, dy),
                                                           n_threads);
        });
  m.def("predict_shifts_lenet5",
        [](const std::string& form, const std::string& activation,
           const std::vector<Address>& parameters, Address images, std::int64_t n_images, Range dx,
           Range dy, Address predictions, Address logits, Address workspace, int n_threads) {
          run_interruptibly(n_threads, [&](Execution execution) {
            return kernels().predict_shifts_lenet5(
                form_of(form), activation_of(activation), lenet5_parameters(parameters),
                {at<std::uint8_t>(images), n_images, grid_of(dx, dy),
                 at<std::uint8_t>(predictions), at<float>(logits)},
                at<void>(workspace), execution);
          });
        });
  const auto bind_mlp = [&m](const std::string& name, auto workspace_kernel, auto kernel) {
    m.def((name + "_workspace").c_str(),
          [workspace_kernel](int n_hidden, Range dx, Range dy, int n_threads) {
            return (kernels().*workspace_kernel)(n_hidden, grid_of(dx, dy), n_threads);
          });
    m.def(name.c_str(),
          [kernel](const std::string& activation, const std::vector<Address>& parameters,
                   int n_hidden, Address images, std::int64_t n_images, Range dx, Range dy,
                   Address predictions, Address logits, Address workspace, int n_threads) {
            run_interruptibly(n_threads, [&](Execution execution) {
              return (kernels().*kernel)(activation_of(activation),
                                         mlp_parameters(parameters, n_hidden),
                                         {at<std::uint8_t>(images), n_images, grid_of(dx, dy),
                                          at<std::uint8_t>(predictions), at<float>(logits)},
                                         at<void>(workspace), execution);
            });
          });
  };
  bind_mlp("predict_shifts_mlp", &Kernels::predict_shifts_mlp_workspace,
           &Kernels::predict_shifts_mlp);
  bind_mlp("predict_shifts_pooled_mlp", &Kernels::predict_shifts_pooled_mlp_workspace,
           &Kernels::predict_shifts_pooled_mlp);
}

void bind_train_epoch(py::module_& m) {
  m.def("train_epoch_lenet5_workspace", [](const std::string& form, int batch_size,
                                           int n_threads) {
    return kernels().train_epoch_lenet5_workspace(form_of(form), batch_size, n_threads);
  });
  m.def("train_epoch_lenet5",
        [](const std::string& form, const std::string& activation,
           const std::vector<Address>& parameters, Address images, Address labels,
           Address permutation, std::int64_t n_images, int batch_size, float learning_rate,
           Address losses, Address workspace, int n_threads) {
          run_interruptibly(n_threads, [&](Execution execution) {
            return kernels().train_epoch_lenet5(
                form_of(form), activation_of(activation), lenet5_parameters(parameters),
                {at<std::uint8_t>(images), at<std::int64_t>(labels), at<std::int64_t>(permutation),
                 n_images, batch_size, learning_rate, at<float>(losses)},
                at<void>(workspace), execution);
          });
        });
  const auto bind_mlp = [&m](const std::string& name, auto workspace_kernel, auto kernel) {
    m.def((name + "_workspace").c_str(),
          [workspace_kernel](int n_hidden, int batch_size, int n_threads) {
            return (kernels().*workspace_kernel)(n_hidden, batch_size, n_threads);
          });
    m.def(name.c_str(),
          [kernel](const std::string& activation, const std::vector<Address>& parameters,
                   int n_hidden, Address images, Address labels, Address permutation,
                   std::int64_t n_images, int batch_size, float learning_rate, Address losses,
                   Address workspace, int n_threads) {
            run_interruptibly(n_threads, [&](Execution execution) {
              return (kernels().*kernel)(
                  activation_of(activation), mlp_parameters(parameters, n_hidden),
                  {at<std::uint8_t>(images), at<std::int64_t>(labels),
                   at<std::int64_t>(permutation), n_images, batch_size, learning_rate,
                   at<float>(losses)},
                  at<void>(workspace), execution);
            });
          });
  };
  bind_mlp("train_epoch_mlp", &Kernels::train_epoch_mlp_workspace, &Kernels::train_epoch_mlp);
  bind_mlp("train_epoch_pooled_mlp", &Kernels::train_epoch_pooled_mlp_workspace,
           &Kernels::train_epoch_pooled_mlp);
}

void bind_machine(py::module_& m) {
  m.def("isa", [] { return std::string(current_implementation().name); });
  m.def("set_isa", &set_implementation);
  m.def("isas", [] {
    std::vector<std::pair<std::string, bool>> names;
    for (const Implementation& i : implementations()) names.emplace_back(i.name, i.supported());
    return names;
  });
  m.def("lanes", [] { return kernels().lanes; });
  m.def("tanh", [](Address x, Address y, std::int64_t n) {
    py::gil_scoped_release release;
    kernels().tanh(at<float>(x), at<float>(y), n);
  });
  m.def("multiply_adds", [](std::int64_t n_rounds, int n_threads) {
    py::gil_scoped_release release;
    return kernels().multiply_adds(n_rounds, n_threads);
  });
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "lenetshift's compiled kernels; call them through lenetshift.ops.";
  m.attr("__version__") = LENETSHIFT_VERSION;
  bind_c3_conv(m);
  bind_translate(m);
  bind_predict_shifts(m);
  bind_train_epoch(m);
  bind_machine(m);
#if defined(LENETSHIFT_HAS_CUDA)
  m.attr("has_cuda") = true;
  bind_cuda(m);
#else
  m.attr("has_cuda") = false;
#endif
}
