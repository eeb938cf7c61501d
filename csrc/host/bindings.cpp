// The compiled core as a Python module. It takes addresses and sizes, and computes nothing:
// lenetshift/ops/ checks every argument first. Only the calls of host/small_calls.h take tensors,
// which they check. The GIL is released during every call.
#include "host/bindings.h"

#include "host/bindings_for_tests.h"
#include "host/call.h"
#include "host/dispatch.h"
#include "host/small_calls.h"

#if defined(LENETSHIFT_HAS_CUDA)
#include "cuda/host/bindings_cuda.h"
#endif

namespace lenetshift {

extern const char* const kSourcesSha256;  // cmake/sources_sha256.cmake

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

namespace {

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

// Calls a kernel for windows that are found in tables, with its workspace.
template <class T, class Job>
void call_indirect(int n_threads, const Job& job,
                   std::int64_t (*IndirectKernels<T>::*workspace)(const Job&, int n_threads),
                   bool (*IndirectKernels<T>::*run)(const Job&, void* workspace, Execution)) {
  const auto kernels = [](const Kernels& k) -> const IndirectKernels<T>& {
    if constexpr (sizeof(T) == 4)
      return k.indirect_f32;
    else
      return k.indirect_f64;
  };
  call(
      n_threads, [&](const Kernels& k, int n) { return (kernels(k).*workspace)(job, n); },
      [&](const Kernels& k, void* memory, Execution execution) {
        return (kernels(k).*run)(job, memory, execution);
      });
}

template <class T>
void indirect_conv(const IndirectWindows<T>& windows, Address weight, Address bias, int n_outputs,
                   std::pair<T, T> clamp, Address output, int n_threads) {
  using Kernels = IndirectKernels<T>;
  const IndirectConv<T> conv = {windows, weight, bias, n_outputs, {clamp.first, clamp.second},
                                output};
  call_indirect(n_threads, conv, &Kernels::conv_workspace, &Kernels::conv);
}

template <class T>
void indirect_depthwise(const IndirectWindows<T>& windows, Address weight, Address bias,
                        std::pair<T, T> clamp, Address output, int n_threads) {
  using Kernels = IndirectKernels<T>;
  const IndirectConv<T> conv = {
      windows, weight, bias, windows.n_channels, {clamp.first, clamp.second}, output};
  call_indirect(n_threads, conv, &Kernels::depthwise_workspace, &Kernels::depthwise);
}

template <class T>
void indirect_pool(const IndirectWindows<T>& windows, Join join, Address output, int n_threads) {
  using Kernels = IndirectKernels<T>;
  const IndirectPool<T> pool = {windows, join, output};
  call_indirect(n_threads, pool, &Kernels::pool_workspace, &Kernels::pool);
}

// The type of the windows decides which of the two overloads of a name is called.
template <class T>
void bind_indirect(py::module_& m) {
  using py::arg;
  m.def("indirect_conv", indirect_conv<T>, arg("windows"), arg("weight"), arg("bias"),
        arg("n_outputs"), arg("clamp"), arg("output"), arg("n_threads"));
  m.def("indirect_depthwise", indirect_depthwise<T>, arg("windows"), arg("weight"), arg("bias"),
        arg("clamp"), arg("output"), arg("n_threads"));
  m.def("indirect_pool", indirect_pool<T>, arg("windows"), arg("join"), arg("output"),
        arg("n_threads"));
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
  bind_indirect<float>(m);
  bind_indirect<double>(m);

  bind_fused_ops<FusedKernel, int>(
      m, "n_threads", [](auto kernel, const auto& model, const auto& job, int n_threads) {
        call(
            n_threads,
            [&](const Kernels& k, int n) { return (k.fused.*kernel).workspace(model, job, n); },
            [&](const Kernels& k, void* workspace, Execution execution) {
              return (k.fused.*kernel).run(model, job, workspace, execution);
            });
      });
}

void bind_machine(py::module_& m) {
  m.def("isa", [] { return current_implementation().name; }, "The instruction set in use.");
  m.def(
      "isas",
      [] {
        std::vector<std::pair<const char*, bool>> all;
        for (const Implementation& i : implementations()) all.emplace_back(i.name, i.supported());
        return all;
      },
      "The instruction sets of this build: (name, whether this machine supports it).");
}

}  // namespace
}  // namespace lenetshift

PYBIND11_MODULE(_core, m) {
  m.doc() = "lenetshift's compiled kernels; call them through lenetshift.ops.";
  m.attr("__version__") = LENETSHIFT_VERSION;
  m.attr("sources_sha256") = lenetshift::kSourcesSha256;
  lenetshift::bind_structs(m);
  lenetshift::bind_kernels(m);
  lenetshift::bind_small_calls(m);
  lenetshift::bind_machine(m);
  lenetshift::bind_for_tests(m);
#if defined(LENETSHIFT_HAS_CUDA)
  m.attr("has_cuda") = true;
  py::module_ cuda = m.def_submodule("cuda", "The CUDA kernels.");
  lenetshift::cuda_bindings::bind(cuda);
#else
  m.attr("has_cuda") = false;
#endif
}
