// The compiled core as a Python module: addresses and sizes in, nothing computed here.
// lenetshift/ops/ checks every argument before it comes here. The GIL is released throughout.
#include "host/bindings.h"

#include <chrono>

#include "host/dispatch.h"
#include "host/gil.h"
#include "host/kept_memory.h"
#include "host/team.h"

#if defined(LENETSHIFT_HAS_CUDA)
#include "cuda/host/bindings_cuda.h"
#endif

namespace lenetshift {

extern const char* const kSourcesSha256;  // cmake/sources_sha256.cmake

namespace {

// Asks Python for pending signals (Ctrl-C) at most every 50 ms. The exception that a signal handler
// raises stays set, and call() throws it.
bool should_stop() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point asked = Clock::now();
  const Clock::time_point now = Clock::now();
  if (now - asked < std::chrono::milliseconds(50)) return false;
  asked = now;
  if (interpreter_ends()) return true;  // and this is a daemon thread
  const WithGil gil;
  const ForeignCode handlers;
  return PyErr_CheckSignals() != 0;
}

// Everything about a call but its kernel. The instruction set is looked up once, whoever changes it
// meanwhile; so is the number of threads. Both say how large the workspace is.
//   workspace(kernels, n_threads)           its bytes
//   run(kernels, workspace, execution)      false when stopped
template <class Workspace, class Run>
void call(int n_threads, Workspace&& workspace, Run&& run) {
  if (n_threads < 1)
    throw std::invalid_argument("n_threads: got " + std::to_string(n_threads) +
                                ", expected 1 or more");
  bool finished = false;
  {
    const WithoutGil released;
    const Kernels& kernels = *current_implementation().kernels;
    const Team team(n_threads, should_stop);
    if (team.n_threads() > 0) {
      const KeptMemory memory(workspace(kernels, team.n_threads()));
      finished = run(kernels, memory.address(), Execution{team.n_threads(), should_stop});
    }
  }
  if (!finished) throw py::error_already_set();
}

// Of a kernel that takes no workspace.
template <class Run>
void call(int n_threads, Run&& run) {
  call(
      n_threads, [](const Kernels&, int) { return 0; },
      [&](const Kernels& kernels, void*, Execution execution) { return run(kernels, execution); });
}

void c3_conv(const C3& c3, Address input, Address weight, Address bias, Address output,
             int n_threads) {
  with_value_type(c3.value_bytes(), [&](auto value) {
    using T = decltype(value);
    call(
        n_threads,
        [&](const Kernels& k, int n) {
          return k.c3_conv_workspace(c3.shape(), c3.value_bytes(), n);
        },
        [&](const Kernels& k, void* workspace, Execution execution) {
          const auto kernel = [&] {
            if constexpr (sizeof(T) == 4)
              return k.c3_conv_f32;
            else
              return k.c3_conv_f64;
          }();
          return kernel(c3.shape(), input, weight, bias, output, workspace, execution);
        });
  });
}

void c3_conv_backward(const C3& c3, Address grad_output, Address input, Address weight,
                      Address grad_input, Address grad_weight, Address grad_bias, int n_threads) {
  with_value_type(c3.value_bytes(), [&](auto value) {
    using T = decltype(value);
    const C3Backward<T> arrays = {grad_output, input, weight, grad_input, grad_weight, grad_bias};
    call(
        n_threads,
        [&](const Kernels& k, int n) {
          return k.c3_conv_backward_workspace(c3.shape(), c3.value_bytes(), n);
        },
        [&](const Kernels& k, void* workspace, Execution execution) {
          const auto kernel = [&] {
            if constexpr (sizeof(T) == 4)
              return k.c3_conv_backward_f32;
            else
              return k.c3_conv_backward_f64;
          }();
          return kernel(c3.shape(), arrays, workspace, execution);
        });
  });
}

void translate_images(const TranslateShape& shape, Address images, Address shifts, Address output,
                      int n_threads) {
  call(n_threads, [&](const Kernels&, Execution execution) {
    return translate(shape, images.pointer, shifts, output.pointer, execution);
  });
}

void shift_each_image(const TranslateShape& shape, Address images, Address shifts, Address output,
                      int n_threads) {
  call(n_threads, [&](const Kernels&, Execution execution) {
    return shift_each(shape, images.pointer, shifts, output.pointer, execution);
  });
}

void translate_images_backward(const TranslateShape& shape, Address grad_output, Address shifts,
                               Address grad_images, int n_threads) {
  with_value_type(shape.value_bytes, [&](auto value) {
    call(n_threads, [&](const Kernels&, Execution execution) {
      return translate_backward<decltype(value)>(shape, grad_output, shifts, grad_images,
                                                 execution);
    });
  });
}

void predict_shifts_lenet5(const Lenet5& model, const ShiftedImages& job, int n_threads) {
  call(
      n_threads,
      [&](const Kernels& k, int n) {
        return k.predict_shifts_lenet5_workspace(model.table, job.grid, n);
      },
      [&](const Kernels& k, void* workspace, Execution execution) {
        return k.predict_shifts_lenet5(model.table, model.activation, model.parameters, job,
                                       workspace, execution);
      });
}

void train_epoch_lenet5(const Lenet5& model, const Epoch& job, int n_threads) {
  call(
      n_threads,
      [&](const Kernels& k, int n) {
        return k.train_epoch_lenet5_workspace(model.table, job.batch_size, n);
      },
      [&](const Kernels& k, void* workspace, Execution execution) {
        return k.train_epoch_lenet5(model.table, model.activation, model.parameters, job, workspace,
                                    execution);
      });
}

// The MLP and the pooled MLP.
template <auto kernel_workspace, auto kernel>
void predict_shifts_mlp(const Mlp& model, const ShiftedImages& job, int n_threads) {
  call(
      n_threads,
      [&](const Kernels& k, int n) {
        return (k.*kernel_workspace)(model.parameters.n_hidden, job.grid, n);
      },
      [&](const Kernels& k, void* workspace, Execution execution) {
        return (k.*kernel)(model.activation, model.parameters, job, workspace, execution);
      });
}
template <auto kernel_workspace, auto kernel>
void train_epoch_mlp(const Mlp& model, const Epoch& job, int n_threads) {
  call(
      n_threads,
      [&](const Kernels& k, int n) {
        return (k.*kernel_workspace)(model.parameters.n_hidden, job.batch_size, n);
      },
      [&](const Kernels& k, void* workspace, Execution execution) {
        return (k.*kernel)(model.activation, model.parameters, job, workspace, execution);
      });
}

void bind_kernels(py::module_& m) {
  using py::arg;
  m.def("c3_conv", c3_conv, arg("c3"), arg("input"), arg("weight"), arg("bias"), arg("output"),
        arg("n_threads"));
  m.def("c3_conv_backward", c3_conv_backward, arg("c3"), arg("grad_output"), arg("input"),
        arg("weight"), arg("grad_input"), arg("grad_weight"), arg("grad_bias"), arg("n_threads"),
        "Gradients whose address is 0 are not computed.");
  m.def("translate", translate_images, arg("shape"), arg("images"), arg("shifts"), arg("output"),
        arg("n_threads"));
  m.def("shift_each", shift_each_image, arg("shape"), arg("images"), arg("shifts"), arg("output"),
        arg("n_threads"));
  m.def("translate_backward", translate_images_backward, arg("shape"), arg("grad_output"),
        arg("shifts"), arg("grad_images"), arg("n_threads"));

  const auto model = arg("model"), job = arg("job"), n_threads = arg("n_threads");
  m.def("predict_shifts_lenet5", predict_shifts_lenet5, model, job, n_threads);
  m.def("predict_shifts_mlp",
        predict_shifts_mlp<&Kernels::predict_shifts_mlp_workspace, &Kernels::predict_shifts_mlp>,
        model, job, n_threads);
  m.def("predict_shifts_pooled_mlp",
        predict_shifts_mlp<&Kernels::predict_shifts_pooled_mlp_workspace,
                           &Kernels::predict_shifts_pooled_mlp>,
        model, job, n_threads);
  m.def("train_epoch_lenet5", train_epoch_lenet5, model, job, n_threads);
  m.def("train_epoch_mlp",
        train_epoch_mlp<&Kernels::train_epoch_mlp_workspace, &Kernels::train_epoch_mlp>, model, job,
        n_threads);
  m.def(
      "train_epoch_pooled_mlp",
      train_epoch_mlp<&Kernels::train_epoch_pooled_mlp_workspace, &Kernels::train_epoch_pooled_mlp>,
      model, job, n_threads);
}

void bind_machine(py::module_& m) {
  using py::arg;
  m.def("isa", [] { return current_implementation().name; }, "The instruction set in use.");
  m.def("set_isa", set_implementation, arg("name"));
  m.def(
      "isas",
      [] {
        std::vector<std::pair<const char*, bool>> all;
        for (const Implementation& i : implementations()) all.emplace_back(i.name, i.supported());
        return all;
      },
      "Of this build: (name, whether this machine supports it).");
  m.def(
      "lanes", [] { return current_implementation().kernels->lanes; },
      "float32 values in a vector.");
  m.def(
      "tanh",
      [](Address x, Address y, std::int64_t n) {
        call(1, [&](const Kernels& k, Execution) { return k.tanh(x, y, n), true; });
      },
      arg("x"), arg("y"), arg("n"));
  m.def(
      "multiply_adds",
      [](std::int64_t n_rounds, int n_threads) {
        double n_done = 0;
        call(n_threads, [&](const Kernels& k, Execution execution) {
          n_done = k.multiply_adds(n_rounds, execution.n_threads);
          return true;
        });
        return n_done;
      },
      arg("n_rounds"), arg("n_threads"), "How many multiply-adds it was.");
}

}  // namespace
}  // namespace lenetshift

PYBIND11_MODULE(_core, m) {
  m.doc() = "lenetshift's compiled kernels; call them through lenetshift.ops.";
  m.attr("__version__") = LENETSHIFT_VERSION;
  m.attr("sources_sha256") = lenetshift::kSourcesSha256;
  lenetshift::bind_structs(m);
  lenetshift::bind_kernels(m);
  lenetshift::bind_machine(m);
#if defined(LENETSHIFT_HAS_CUDA)
  m.attr("has_cuda") = true;
  py::module_ cuda = m.def_submodule("cuda", "The CUDA kernels.");
  lenetshift::cuda_bindings::bind(cuda);
#else
  m.attr("has_cuda") = false;
#endif
}
