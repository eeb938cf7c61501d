// The device on which a scope's work runs.
#include "cuda_kernels.h"
#include "device.h"

namespace lenetshift {
namespace cuda {

OnDevice::OnDevice(int device) : device_(device) {
  check(cudaGetDevice(&before_), "OnDevice");
  if (before_ != device_) check(cudaSetDevice(device_), "OnDevice");
}

OnDevice::~OnDevice() {
  if (before_ != device_) cudaSetDevice(before_);  // it was the current one: this does not fail
}

}  // namespace cuda
}  // namespace lenetshift
