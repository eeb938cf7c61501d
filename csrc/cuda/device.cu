// Calls of the CUDA runtime, with their errors as exceptions.
#include "cuda/device.h"

#include <stdexcept>
#include <string>

#include "cuda/cuda_kernels.h"

namespace lenetshift {
namespace cuda {
namespace {

// Throws std::runtime_error: `what`, and CUDA's message.
void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorName(error) + ": " +
                             cudaGetErrorString(error));
}

}  // namespace

void launch_kernel(const char* name, const void* kernel, dim3 grid, unsigned n_threads,
                   std::size_t shared_bytes, cudaStream_t stream, void** arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  // More than 48 KB must be requested. This is done for every launch, because a request is valid
  // only for the kernel on one device, and it costs less than the launch.
  if (shared_bytes > (48 << 10))
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          name);
  check(cudaLaunchKernel(kernel, grid, dim3(n_threads), arguments, shared_bytes, stream), name);
}

OnDevice::OnDevice(int device) : device_(device) {
  check(cudaGetDevice(&before_), "OnDevice");
  if (before_ != device_) check(cudaSetDevice(device_), "OnDevice");
}

OnDevice::~OnDevice() {
  if (before_ != device_) cudaSetDevice(before_);  // it was the current one: this does not fail
}

}  // namespace cuda
}  // namespace lenetshift
