// The contract of the CUDA kernels, in the words of kernels.h: the same structs and shapes, with
// addresses on the card. No CUDA header is needed to include this.
//
// Everything is enqueued on `stream` (a cudaStream_t of the current device), and nothing waits.
// `workspace` is memory of the card, 256-byte aligned, of at least as many bytes as the workspace
// function returns; later work on the same stream may reuse it. A launch that fails throws
// std::runtime_error with a message of one line.
#pragma once

#include "kernels.h"

namespace lenetshift {
namespace cuda {

// C3Shape::table is on the host, everything else on the card. Only c3_conv_backward needs the
// workspace.
std::int64_t c3_conv_workspace(const C3Shape&, int value_bytes);
template <class T>
void c3_conv(const C3Shape&, const T* input, const T* weight, const T* bias, T* output,
             void* stream);
template <class T>
void c3_conv_backward(const C3Shape&, const C3Backward<T>&, void* workspace, void* stream);

void translate(const TranslateShape&, const void* images, const std::int64_t* shifts, void* output,
               void* stream);
void shift_each(const TranslateShape&, const void* images, const std::int64_t* shifts, void* output,
                void* stream);
template <class T>
void translate_backward(const TranslateShape&, const T* grad_output, const std::int64_t* shifts,
                        T* grad_images, void* stream);

// A kernel that runs a job on a whole model.
template <class Model, class Job>
struct FusedKernel {
  std::int64_t (*workspace)(const Model&, const Job&);
  void (*run)(const Model&, const Job&, void* workspace, void* stream);
};

extern const FusedKernel<Lenet5, ShiftedImages> predict_shifts_lenet5;
extern const FusedKernel<Mlp, ShiftedImages> predict_shifts_mlp, predict_shifts_pooled_mlp;
// The parameters are updated in place: the pointers of Layer are written through. Labels and
// permutation must be in range: nothing checks them on the card.
extern const FusedKernel<Lenet5, Epoch> train_epoch_lenet5;
extern const FusedKernel<Mlp, Epoch> train_epoch_mlp, train_epoch_pooled_mlp;

// Makes a device the current one while the object lives.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int device_, before_ = 0;
};

}  // namespace cuda
}  // namespace lenetshift
