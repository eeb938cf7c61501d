// Calls of the CUDA runtime, with their errors as exceptions.
#include "device.h"

#include <stdexcept>
#include <string>

#include "cuda_kernels.h"

namespace lenetshift {
namespace cuda {

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorName(error) + ": " +
                             cudaGetErrorString(error));
}

void launch_kernel(const char* name, const void* kernel, dim3 grid, dim3 block,
                   std::size_t shared_bytes, cudaStream_t stream, void** arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  // More than 48 KB has to be asked for. Each time: it is a property of the kernel on one device,
  // and costs less than the launch.
  if (shared_bytes > (48 << 10))
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          name);
  check(cudaLaunchKernel(kernel, grid, block, arguments, shared_bytes, stream), name);
}

void clear(void* memory, std::size_t n_bytes, cudaStream_t stream) {
  check(cudaMemsetAsync(memory, 0, n_bytes, stream), "clear");
}

std::size_t max_shared_bytes() {
  int device = 0, n_bytes = 0;
  check(cudaGetDevice(&device), "max_shared_bytes");
  check(cudaDeviceGetAttribute(&n_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "max_shared_bytes");
  return static_cast<std::size_t>(n_bytes);
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
