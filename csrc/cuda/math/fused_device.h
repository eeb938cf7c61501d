// What the fused kernels share: the workspace, loads of four values, activations, argmax; the
// pooled MLP's sizes.
#pragma once

#include "cuda/cuda_kernels.h"
#include "cuda/device.h"
#include "tanh_digits.h"

namespace lenetshift {
namespace cuda {
namespace {

__host__ __device__ constexpr int clamp(int x, int low, int high) {
  return x < low ? low : x > high ? high : x;
}

// Hands out the parts of a workspace, one after the other; if start is null, it only counts their
// bytes.
class Workspace {
 public:
  explicit Workspace(void* start) : start_(static_cast<char*>(start)) {}
  template <class T>
  T* take(std::int64_t n) {
    char* const address = start_ == nullptr ? nullptr : start_ + bytes_;
    bytes_ += round_up(n * static_cast<std::int64_t>(sizeof(T)), 256);
    return reinterpret_cast<T*>(address);
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  char* start_;
  std::int64_t bytes_ = 0;
};

// The fused kernel that constructs a Memory(workspace, model, job) and calls run with it.
template <auto run, class Model, class Job, class Memory>
constexpr FusedKernel<Model, Job> fused_kernel_of(void (*)(const Model&, const Job&, const Memory&,
                                                           cudaStream_t)) {
  return {[](const Model& model, const Job& job) {
            Workspace workspace(nullptr);
            (void)Memory(workspace, model, job);
            return workspace.bytes();
          },
          [](const Model& model, const Job& job, void* start, void* stream) {
            Workspace workspace(start);
            run(model, job, Memory(workspace, model, job), static_cast<cudaStream_t>(stream));
          }};
}
template <auto run>
constexpr auto fused_kernel = fused_kernel_of<run>(run);

// The pooled MLP sees means of 4 x 4 pixels.
constexpr int kPool = 4, kPooled = kImageSize / kPool;

// The bytes of the values that an evaluation keeps at once; they decide how many images a chunk
// has.
constexpr std::int64_t kChunkBytes = std::int64_t{256} << 20;

__device__ inline float4 load4(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ inline void store4(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
__device__ inline void load4_to(const float* p, float* target) {
  const float4 v = load4(p);
  target[0] = v.x, target[1] = v.y, target[2] = v.z, target[3] = v.w;
}

// tanh(x) = x p(x^2) / q(x^2) (tanh_digits.h), as in the CPU kernels: a third of tanhf's
// instructions. Its relative error is under 5e-7; the division adds two ulp.
__device__ inline float rational_tanh(float x) {
  x = x > kTanhLimit ? kTanhLimit : x;  // written this way, NaN stays NaN
  x = x < -kTanhLimit ? -kTanhLimit : x;
  const float z = x * x;
  float p = fmaf(kTanhP3, z, kTanhP2);
  p = fmaf(p, z, kTanhP1);
  p = fmaf(p, z, 1.0f);
  float q = fmaf(kTanhQ4, z, kTanhQ3);
  q = fmaf(q, z, kTanhQ2);
  q = fmaf(q, z, kTanhQ1);
  q = fmaf(q, z, 1.0f);
  return __fdividef(x * p, q);
}

// The activation is known only at run time: all threads take the same branch, which is cheap
// compared with the products, while a second copy of each kernel would double nvcc's time.
struct Act {
  Activation kind;
  __device__ float value(float x) const {
    return kind == Activation::tanh ? rational_tanh(x) : x < 0.0f ? 0.0f : x;
  }
  // In place, with one branch for all.
  template <int n, int m>
  __device__ void apply(float (&values)[n][m]) const {
    if (kind == Activation::tanh) {
#pragma unroll
      for (int i = 0; i < n * m; ++i) values[i / m][i % m] = rational_tanh(values[i / m][i % m]);
    } else {
#pragma unroll
      for (int i = 0; i < n * m; ++i) {
        float& x = values[i / m][i % m];
        x = x < 0.0f ? 0.0f : x;
      }
    }
  }
  // d value(x) / dx, from y = value(x).
  __device__ float slope(float y) const {
    return kind == Activation::tanh ? 1.0f - y * y : y > 0.0f ? 1.0f : 0.0f;
  }
};

// Used instead of Act if a layer has no activation.
struct Linear {
  __device__ float value(float x) const { return x; }
  __device__ float slope(float) const { return 1.0f; }
};

// The index of the largest of ten logits, a stride apart. As in torch.argmax the first of equal
// ones wins, and the first NaN wins over everything.
__device__ inline int argmax(const float* logits, int stride) {
  float best = logits[0];
  int index = 0;
  for (int c = 1; c < kClasses; ++c) {
    const float value = logits[c * stride];
    if (!(value <= best) && best == best) best = value, index = c;
  }
  return index;
}

// A thread's elements of an array [maps][rows][columns], every kThreads-th; it divides only at the
// start.
struct Elements {
  int map, row, column;

  __device__ Elements(int rows, int columns) : rows_(rows), columns_(columns) {
    split(static_cast<int>(threadIdx.x), map, row, column);
    split(kThreads, step_map_, step_row_, step_column_);
  }
  __device__ void next() {
    column += step_column_, row += step_row_, map += step_map_;
    if (column >= columns_) column -= columns_, ++row;
    if (row >= rows_) row -= rows_, ++map;
  }

 private:
  int rows_, columns_, step_map_, step_row_, step_column_;

  __device__ void split(int i, int& p, int& r, int& c) const {
    c = i % columns_;
    r = i / columns_ % rows_;
    p = i / columns_ / rows_;
  }
};

}  // namespace
}  // namespace cuda
}  // namespace lenetshift
