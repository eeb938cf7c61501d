// From logits to answers: the argmax of ten logits for as many patterns as a vector has lanes, and
// its place in the predictions. A pattern is one image under one shift; its number is
// (image * n_dy + row of dy) * n_dx + column of dx, the index into predictions.
#pragma once

#include "cpu/simd/vec.h"
#include "kernels.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

// The index of the largest of ten logits in each lane. As in torch.argmax the first of equal ones
// wins, and the first NaN wins over everything.
inline ivec argmax(const vec* logits) {
  vec best = logits[0];
  ivec index = {};
  for (int c = 1; c < kClasses; ++c) {
    const ivec better = ~(logits[c] <= best) & (best == best);
    best = better ? logits[c] : best;
    index = better ? ivec{} + c : index;
  }
  return index;
}

// Writes the answers of the first n_lanes lanes: logits vec [10]; the pattern in lane l has the
// number first[l] + offset. With images in the lanes, first[l] = image of lane l * n_dy * n_dx, and
// offset is the shift; with consecutive patterns in the lanes, first[l] = l.
inline void write_answers(const vec* logits, const std::int64_t* first, std::int64_t offset,
                          int n_lanes, const ShiftedImages& job) {
  const ivec index = argmax(logits);
  for (int l = 0; l < n_lanes; ++l)
    job.predictions[first[l] + offset] = static_cast<std::uint8_t>(index[l]);
  if (job.logits == nullptr) return;
  float values[kClasses][kLanes];
  for (int c = 0; c < kClasses; ++c) store(values[c], logits[c]);
  for (int l = 0; l < n_lanes; ++l) {
    float* const target = job.logits + (first[l] + offset) * kClasses;
    for (int c = 0; c < kClasses; ++c) target[c] = values[c][l];
  }
}

// Where a lane group's answers go: lane l's image starts at first[l] in the predictions; the
// group's shift (dx_last - f, dy_last - e) adds offset - f - e * stride.
struct Answers {
  const ShiftedImages* job;
  std::int64_t first[kLanes];
  int n_lanes;
  std::int64_t offset, stride;
};

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
