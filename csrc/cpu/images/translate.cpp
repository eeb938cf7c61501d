// The ops translate, with its gradient, and shift_each. A move computes nothing: it copies the part
// of each row that stays.
#include <cstring>

#include "host/stop.h"
#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {
namespace {

// The part of a row (or column) of n pixels that stays inside the frame when moved by d:
// target pixels first ... first + length - 1 come from source pixels first - d ...
struct Overlap {
  std::int64_t first, length;
};
Overlap overlap(std::int64_t d, std::int64_t n) {
  if (d >= n || d <= -n) return {0, 0};
  return {d > 0 ? d : 0, n - (d > 0 ? d : -d)};
}

// One image of n_channels moved by shift (dx, dy): both [n_channels, height, width].
void move_image(const TranslateShape& s, const char* image, const std::int64_t* shift,
                char* target) {
  const std::int64_t row = s.width * s.value_bytes;
  const std::int64_t channel = row * s.height;
  const Overlap x = overlap(shift[0], s.width), y = overlap(shift[1], s.height);
  std::memset(target, 0, s.n_channels * channel);
  if (x.length == 0 || y.length == 0) return;
  const std::int64_t back = shift[1] * row + shift[0] * s.value_bytes;
  for (std::int64_t p = 0; p < s.n_channels; ++p)
    for (std::int64_t r = y.first; r < y.first + y.length; ++r) {
      const std::int64_t at = p * channel + r * row + x.first * s.value_bytes;
      std::memcpy(target + at, image + at - back, x.length * s.value_bytes);
    }
}

std::int64_t image_bytes(const TranslateShape& s) {
  return s.n_channels * s.height * s.width * s.value_bytes;
}

// Calls move(i) for i = 0 ... n - 1, images of `bytes` bytes, over the threads. Returns false if
// stopped.
template <class Move>
bool for_images(std::int64_t n, std::int64_t bytes, const Execution& execution, Move&& move) {
  constexpr std::int64_t kBytesBetweenQuestions = 1 << 16;
  const std::int64_t between = bytes < kBytesBetweenQuestions ? kBytesBetweenQuestions / bytes : 1;
  Stop stop(execution);
  run_on_threads(execution.n_threads, [&](int thread) {
    const Share share = share_of(n, thread, execution.n_threads);
    for (std::int64_t i = share.first; i < share.stop; ++i) {
      if ((i - share.first) % between == 0 && stop.requested(thread)) return;
      move(i);
    }
  });
  return !stop.raised();
}

}  // namespace

bool translate(const TranslateShape& s, const void* images, const std::int64_t* shifts,
               void* output, Execution execution) {
  const char* const from = static_cast<const char*>(images);
  char* const to = static_cast<char*>(output);
  const std::int64_t bytes = image_bytes(s);
  if (bytes == 0) return true;  // no pixels, and perhaps no memory to set to 0
  return for_images(s.n_images * s.n_shifts, bytes, execution, [&](std::int64_t i) {
    move_image(s, from + i / s.n_shifts * bytes, shifts + 2 * (i % s.n_shifts), to + i * bytes);
  });
}

bool shift_each(const TranslateShape& s, const void* images, const std::int64_t* shifts,
                void* output, Execution execution) {
  const char* const from = static_cast<const char*>(images);
  char* const to = static_cast<char*>(output);
  const std::int64_t bytes = image_bytes(s);
  if (bytes == 0) return true;  // no pixels, and perhaps no memory to set to 0
  return for_images(s.n_images, bytes, execution, [&](std::int64_t i) {
    move_image(s, from + i * bytes, shifts + 2 * i, to + i * bytes);
  });
}

template <class T>
bool translate_backward(const TranslateShape& s, const T* grad_output, const std::int64_t* shifts,
                        T* grad_images, Execution execution) {
  const std::int64_t channel = s.height * s.width;
  if (s.n_channels * channel == 0) return true;
  Stop stop(execution);
  run_on_threads(execution.n_threads, [&](int thread) {
    const Share share = share_of(s.n_images, thread, execution.n_threads);
    for (std::int64_t n = share.first; n < share.stop; ++n) {
      T* const sums = grad_images + n * s.n_channels * channel;
      std::memset(sums, 0, s.n_channels * channel * sizeof(T));
      for (std::int64_t shift = 0; shift < s.n_shifts; ++shift) {
        if (shift % 64 == 0 && stop.requested(thread)) return;
        const T* const grad = grad_output + (n * s.n_shifts + shift) * s.n_channels * channel;
        const Overlap x = overlap(shifts[2 * shift], s.width);
        const Overlap y = overlap(shifts[2 * shift + 1], s.height);
        if (x.length == 0 || y.length == 0) continue;
        const std::int64_t back = shifts[2 * shift + 1] * s.width + shifts[2 * shift];
        for (std::int64_t p = 0; p < s.n_channels; ++p)
          for (std::int64_t r = y.first; r < y.first + y.length; ++r) {
            const std::int64_t at = p * channel + r * s.width + x.first;
            for (std::int64_t i = 0; i < x.length; ++i) sums[at - back + i] += grad[at + i];
          }
      }
    }
  });
  return !stop.raised();
}

template bool translate_backward(const TranslateShape&, const float*, const std::int64_t*, float*,
                                 Execution);
template bool translate_backward(const TranslateShape&, const double*, const std::int64_t*, double*,
                                 Execution);

}  // namespace lenetshift
