// The compiled core as a Python module: addresses and sizes in, nothing computed here.
// lenetshift/ops/ checks every argument before it comes here. The GIL is released throughout.
#include "host/bindings.h"

#include <chrono>

#include "host/dispatch.h"

#if defined(LENETSHIFT_HAS_CUDA)
#include "cuda/host/bindings_cuda.h"
#endif

namespace lenetshift {
namespace {

const Kernels& kernels() { return *current_implementation().kernels; }

// Takes the last argument, n_threads, then calls run(n_threads) without the GIL.
template <class Run>
py::object run_on(Arguments& a, Run&& run) {
  const int n_threads = a.integer();
  a.end();
  {
    py::gil_scoped_release release;
    run(n_threads);
  }
  return py::none();
}

// Asks Python for pending signals (Ctrl-C) at most every 50 ms. The exception that a signal handler
// raises stays set and is thrown by run_interruptibly().
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
py::object run_interruptibly(Arguments& a, Run&& run) {
  bool finished;
  run_on(a, [&](int n_threads) { finished = run(Execution{n_threads, should_stop}); });
  if (!finished) throw py::error_already_set();
  return py::none();
}

py::object c3_conv_workspace(Arguments& a) {
  const C3Arguments c3(a);
  const int n_threads = a.integer();
  a.end();
  return py::int_(kernels().c3_conv_workspace(c3.shape(), c3.value_bytes, n_threads));
}

template <class T, class Kernel>
py::object c3_conv_of(const C3Shape& shape, Kernel kernel, Arguments& a) {
  const T *const input = a.array<T>(), *const weight = a.array<T>(), *const bias = a.array<T>();
  T* const output = a.array<T>();
  void* const workspace = a.array<void>();
  return run_on(a, [&](int n_threads) {
    kernel(shape, input, weight, bias, output, workspace, n_threads);
  });
}
py::object c3_conv(Arguments& a) {
  const C3Arguments c3(a);
  return c3.value_bytes == 4 ? c3_conv_of<float>(c3.shape(), kernels().c3_conv_f32, a)
                             : c3_conv_of<double>(c3.shape(), kernels().c3_conv_f64, a);
}

template <class T, class Kernel>
py::object c3_conv_backward_of(const C3Shape& shape, Kernel kernel, Arguments& a) {
  const C3Backward<T> arrays = c3_backward<T>(a);
  void* const workspace = a.array<void>();
  return run_on(a, [&](int n_threads) { kernel(shape, arrays, workspace, n_threads); });
}
py::object c3_conv_backward(Arguments& a) {
  const C3Arguments c3(a);
  return c3.value_bytes == 4
             ? c3_conv_backward_of<float>(c3.shape(), kernels().c3_conv_backward_f32, a)
             : c3_conv_backward_of<double>(c3.shape(), kernels().c3_conv_backward_f64, a);
}

py::object translate_images(Arguments& a) {
  const TranslateShape shape = translate_shape(a);
  const void* const images = a.array<void>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  void* const output = a.array<void>();
  return run_on(a, [&](int n_threads) { translate(shape, images, shifts, output, n_threads); });
}

template <class T>
py::object translate_backward_of(const TranslateShape& shape, Arguments& a) {
  const T* const grad_output = a.array<T>();
  const std::int64_t* const shifts = a.array<std::int64_t>();
  T* const grad_images = a.array<T>();
  return run_on(a, [&](int n_threads) {
    translate_backward<T>(shape, grad_output, shifts, grad_images, n_threads);
  });
}
py::object translate_images_backward(Arguments& a) {
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
  return run_interruptibly(
      a, [&](Execution execution) { return model.call(kernel, job, workspace, execution); });
}

py::object predict_shifts_lenet5(Arguments& a) {
  return run_fused(a, lenet5_model, shifted_images, kernels().predict_shifts_lenet5);
}
py::object predict_shifts_mlp(Arguments& a) {
  return run_fused(a, mlp_model, shifted_images, kernels().predict_shifts_mlp);
}
py::object predict_shifts_pooled_mlp(Arguments& a) {
  return run_fused(a, mlp_model, shifted_images, kernels().predict_shifts_pooled_mlp);
}
py::object train_epoch_lenet5(Arguments& a) {
  return run_fused(a, lenet5_model, epoch, kernels().train_epoch_lenet5);
}
py::object train_epoch_mlp(Arguments& a) {
  return run_fused(a, mlp_model, epoch, kernels().train_epoch_mlp);
}
py::object train_epoch_pooled_mlp(Arguments& a) {
  return run_fused(a, mlp_model, epoch, kernels().train_epoch_pooled_mlp);
}

py::object predict_shifts_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const ShiftGrid grid = a.grid();
  const int n_threads = a.integer();
  a.end();
  return py::int_(kernels().predict_shifts_lenet5_workspace(form, grid, n_threads));
}
py::object train_epoch_lenet5_workspace(Arguments& a) {
  const C3Form form = a.form();
  const int batch_size = a.integer(), n_threads = a.integer();
  a.end();
  return py::int_(kernels().train_epoch_lenet5_workspace(form, batch_size, n_threads));
}
template <std::int64_t (*Kernels::*kernel)(int, ShiftGrid, int)>
py::object predict_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer();
  const ShiftGrid grid = a.grid();
  const int n_threads = a.integer();
  a.end();
  return py::int_((kernels().*kernel)(n_hidden, grid, n_threads));
}
template <std::int64_t (*Kernels::*kernel)(int, int, int)>
py::object train_mlp_workspace(Arguments& a) {
  const int n_hidden = a.integer(), batch_size = a.integer(), n_threads = a.integer();
  a.end();
  return py::int_((kernels().*kernel)(n_hidden, batch_size, n_threads));
}

constexpr Bound kKernels[] = {
    {"c3_conv", c3_conv},
    {"c3_conv_workspace", c3_conv_workspace},
    {"c3_conv_backward", c3_conv_backward},
    {"c3_conv_backward_workspace", c3_conv_workspace},
    {"translate", translate_images},
    {"translate_backward", translate_images_backward},
    {"predict_shifts_lenet5", predict_shifts_lenet5},
    {"predict_shifts_lenet5_workspace", predict_shifts_lenet5_workspace},
    {"predict_shifts_mlp", predict_shifts_mlp},
    {"predict_shifts_mlp_workspace", predict_mlp_workspace<&Kernels::predict_shifts_mlp_workspace>},
    {"predict_shifts_pooled_mlp", predict_shifts_pooled_mlp},
    {"predict_shifts_pooled_mlp_workspace",
     predict_mlp_workspace<&Kernels::predict_shifts_pooled_mlp_workspace>},
    {"train_epoch_lenet5", train_epoch_lenet5},
    {"train_epoch_lenet5_workspace", train_epoch_lenet5_workspace},
    {"train_epoch_mlp", train_epoch_mlp},
    {"train_epoch_mlp_workspace", train_mlp_workspace<&Kernels::train_epoch_mlp_workspace>},
    {"train_epoch_pooled_mlp", train_epoch_pooled_mlp},
    {"train_epoch_pooled_mlp_workspace",
     train_mlp_workspace<&Kernels::train_epoch_pooled_mlp_workspace>},
};

// The name of the ISA in use.
py::object isa(Arguments& a) {
  a.end();
  return py::str(current_implementation().name);
}
py::object set_isa(Arguments& a) {
  set_implementation(a.text());
  a.end();
  return py::none();
}
// [(name, whether this machine supports it)]
py::object isas(Arguments& a) {
  a.end();
  py::list all;
  for (const Implementation& i : implementations())
    all.append(py::make_tuple(i.name, i.supported()));
  return all;
}
py::object lanes(Arguments& a) {
  a.end();
  return py::int_(kernels().lanes);
}
// x, y, n: y = tanh(x)
py::object tanh_array(Arguments& a) {
  const float* const x = a.array<float>();
  float* const y = a.array<float>();
  const std::int64_t n = a.number();
  a.end();
  {
    py::gil_scoped_release release;
    kernels().tanh(x, y, n);
  }
  return py::none();
}
// n_rounds, n_threads: how many multiply-adds it was
py::object multiply_adds(Arguments& a) {
  const std::int64_t n_rounds = a.number();
  double n;
  run_on(a, [&](int n_threads) { n = kernels().multiply_adds(n_rounds, n_threads); });
  return py::float_(n);
}

constexpr Bound kMachine[] = {
    {"isa", isa},     {"set_isa", set_isa},     {"isas", isas},
    {"lanes", lanes}, {"tanh", tanh_array}, {"multiply_adds", multiply_adds},
};

}  // namespace
}  // namespace lenetshift

PYBIND11_MODULE(_core, m) {
  m.doc() = "lenetshift's compiled kernels; call them through lenetshift.ops.";
  m.attr("__version__") = LENETSHIFT_VERSION;
  m.attr("bindings_sha256") = LENETSHIFT_BINDINGS_SHA256;
  lenetshift::bind(m, lenetshift::kKernels);
  lenetshift::bind(m, lenetshift::kMachine);
#if defined(LENETSHIFT_HAS_CUDA)
  m.attr("has_cuda") = true;
  py::module_ cuda = m.def_submodule("cuda", "The CUDA kernels.");
  lenetshift::bind(cuda, lenetshift::cuda_bindings::kKernels);
#else
  m.attr("has_cuda") = false;
#endif
}
