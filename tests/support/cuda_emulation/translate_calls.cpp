// numbers: n_images, n_shifts, n_channels, height, width, value_bytes.
#include "call.h"
#include "cuda/cuda_kernels.h"

using namespace lenetshift;

namespace {

TranslateShape shape_of(const Call& call) {
  return {call.number(0), call.number(1), call.number(2),
          call.number(3), call.number(4), static_cast<int>(call.number(5))};
}

// images, shifts, output
const Register forward("translate", [](Call& call) {
  cuda::translate(shape_of(call), call.array<char>(0), call.array<std::int64_t>(1),
                  call.array<char>(2), call.stream());
});

// images, shifts, output
const Register each("shift_each", [](Call& call) {
  cuda::shift_each(shape_of(call), call.array<char>(0), call.array<std::int64_t>(1),
                   call.array<char>(2), call.stream());
});

// grad_output, shifts, grad_images
template <class T>
void backward(Call& call) {
  cuda::translate_backward<T>(shape_of(call), call.array<T>(0), call.array<std::int64_t>(1),
                              call.array<T>(2), call.stream());
}
const Register backward_f32("translate_backward_float32", backward<float>);
const Register backward_f64("translate_backward_float64", backward<double>);

}  // namespace
