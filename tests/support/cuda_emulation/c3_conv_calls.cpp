// numbers: n_images, n_inputs, height, width. The table is the first array, int64.
#include "call.h"
#include "cuda/cuda_kernels.h"

using namespace lenetshift;

namespace {

C3Shape shape_of(Call& call) {
  return {call.number(0),
          static_cast<int>(call.number(1)),
          static_cast<int>(call.arrays[0].n_bytes / sizeof(std::int64_t)),
          call.number(2),
          call.number(3),
          call.host<std::int64_t>(0)};
}

// table, input, weight, bias, output
template <class T>
void c3_conv(Call& call) {
  cuda::c3_conv<T>(shape_of(call), call.array<T>(1), call.array<T>(2), call.array<T>(3),
                   call.array<T>(4), call.stream());
}

// table, grad_output, input, weight, grad_input, grad_weight, grad_bias
template <class T>
void c3_conv_backward(Call& call) {
  const C3Shape shape = shape_of(call);
  void* const workspace = call.workspace(cuda::c3_conv_workspace(shape, sizeof(T)));
  cuda::c3_conv_backward<T>(shape,
                            {call.array<T>(1), call.array<T>(2), call.array<T>(3), call.array<T>(4),
                             call.array<T>(5), call.array<T>(6)},
                            workspace, call.stream());
}

// table, the bytes of float64
const Register workspace("c3_conv_workspace", [](Call& call) {
  *call.host<std::int64_t>(1) = cuda::c3_conv_workspace(shape_of(call), sizeof(double));
});

const Register f32("c3_conv_float32", c3_conv<float>);
const Register f64("c3_conv_float64", c3_conv<double>);
const Register backward_f32("c3_conv_backward_float32", c3_conv_backward<float>);
const Register backward_f64("c3_conv_backward_float64", c3_conv_backward<double>);

}  // namespace
