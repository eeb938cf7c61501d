// Reads and makes tensors of torch without its headers: through the C functions that DLPack 1.2
// gives to callers (dlpack.h, "DLPackExchangeAPI"), of which this file declares what it needs, and
// through the tensors' own methods. Older releases of torch do not have the functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "host/bindings.h"

namespace lenetshift {

namespace dlpack {

constexpr std::int32_t kCpu = 1;
constexpr std::uint8_t kFloat = 2;

struct Device {
  std::int32_t type, id;
};
struct DataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  std::int32_t n_dimensions;
  DataType dtype;
  std::int64_t* sizes;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct ExchangeApi {
  std::uint32_t major, minor;
  const void* previous;
  void (*allocate)();
  void (*from_python)();
  void (*to_python)();
  int (*view_of_python)(void* object, Tensor* out);  // 0, or -1 with an exception set; may be null
  void (*current_stream)();
};

}  // namespace dlpack

// A tensor on the CPU whose values are contiguous, of at most four dimensions.
class CpuArray {
 public:
  static constexpr int kMostDimensions = 4;

  CpuArray() = default;
  explicit CpuArray(const dlpack::Tensor& t)
      : address_{static_cast<char*>(t.data) + t.byte_offset},
        dtype_(t.dtype),
        n_dimensions_(t.n_dimensions) {
    std::copy(t.sizes, t.sizes + n_dimensions_, sizes_);
  }

  Address address() const { return address_; }
  int n_dimensions() const { return n_dimensions_; }
  std::int64_t size(int dimension) const { return sizes_[dimension]; }
  // 4 for float32, 8 for float64, 0 for any other dtype.
  int float_bytes() const {
    const bool is_float = dtype_.code == dlpack::kFloat && dtype_.lanes == 1;
    return is_float && (dtype_.bits == 32 || dtype_.bits == 64) ? dtype_.bits / 8 : 0;
  }
  bool has(int bytes, std::initializer_list<std::int64_t> sizes) const {
    return float_bytes() == bytes &&
           std::equal(sizes.begin(), sizes.end(), sizes_, sizes_ + n_dimensions_);
  }

 private:
  Address address_;
  dlpack::DataType dtype_ = {};
  int n_dimensions_ = 0;
  std::int64_t sizes_[kMostDimensions] = {};
};

inline bool is_contiguous(const dlpack::Tensor& t) {
  std::int64_t stride = 1;
  bool contiguous = true;
  for (int i = t.n_dimensions - 1; i >= 0; --i) {
    if (t.sizes[i] == 0) return true;
    if (t.sizes[i] != 1 && t.strides[i] != stride) contiguous = false;
    stride *= t.sizes[i];
  }
  return contiguous;
}

class TensorReader {
 public:
  // Of torch.Tensor.__dlpack_c_exchange_api__; of None or of another version it reads nothing.
  explicit TensorReader(py::handle exchange_api) {
    if (!PyCapsule_IsValid(exchange_api.ptr(), "dlpack_exchange_api")) return;
    const auto* api = static_cast<const dlpack::ExchangeApi*>(
        PyCapsule_GetPointer(exchange_api.ptr(), "dlpack_exchange_api"));
    if (api->major == 1) view_ = api->view_of_python;
  }

  // False for anything else than a tensor that a CpuArray can be.
  bool read(py::handle tensor, CpuArray& array) const {
    dlpack::Tensor view;
    if (view_ == nullptr) return false;
    if (view_(tensor.ptr(), &view) != 0) {
      PyErr_Clear();
      return false;
    }
    if (view.device.type != dlpack::kCpu || view.n_dimensions > CpuArray::kMostDimensions ||
        !is_contiguous(view))
      return false;
    array = CpuArray(view);
    return true;
  }

 private:
  int (*view_)(void*, dlpack::Tensor*) = nullptr;
};

// tensor.new_empty(*sizes), with at most CpuArray::kMostDimensions sizes.
inline py::object new_empty(py::handle tensor, std::initializer_list<std::int64_t> sizes) {
  static PyObject* const name = PyUnicode_InternFromString("new_empty");
  py::object numbers[CpuArray::kMostDimensions];
  PyObject* arguments[1 + CpuArray::kMostDimensions] = {tensor.ptr()};
  int n = 0;
  for (const std::int64_t size : sizes) {
    numbers[n] = py::int_(size);
    arguments[n + 1] = numbers[n].ptr();
    ++n;
  }
  PyObject* const made = PyObject_VectorcallMethod(name, arguments, n + 1, nullptr);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

}  // namespace lenetshift
