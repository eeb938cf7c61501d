// How an evaluation goes through its images. It takes them in chunks, so that memory does not grow
// with their number. It sorts each chunk, so that images with ink in the same places are
// neighbours. The threads take pieces of the sorted chunk one after the other.
//
// Each model chooses the sort key (cpu/lenet5/predict.h, cpu/perceptron/). The order changes no
// answer, only the time: what neighbours share is computed once.
#pragma once

#include <cstdint>

#include "host/threads.h"
#include "kernels.h"

namespace lenetshift {

// Sorts ascending.
void sort_keys(std::uint64_t* keys, int n);

// What follows is inline, so each file gets its own copy (see cpu/simd/vec.h for why).
namespace {

constexpr int kChunkBits = 13;
constexpr int kChunk = 1 << kChunkBits;  // images

// A key holds the value that its image is sorted by and, in the low bits, the image's number in the
// chunk.
inline int number_of(std::uint64_t key) { return static_cast<int>(key % kChunk); }
inline std::uint64_t sorted_by(std::uint64_t key) { return key >> kChunkBits; }

// Some images of the chunk that begins at image `first`: those of keys [n].
struct Piece {
  std::int64_t first;
  const std::uint64_t* keys;
  int n;
};

// Writes keys [n], n <= kChunk, sorted by by(image), a value of at most 51 bits.
template <class By>
void order_images(int n, int n_threads, std::uint64_t* keys, By&& by) {
  run_on_threads(n_threads, [&](int thread) {
    const Share share = share_of(n, thread, n_threads);
    for (std::int64_t i = share.first; i < share.stop; ++i)
      keys[i] = static_cast<std::uint64_t>(by(static_cast<int>(i))) << kChunkBits |
                static_cast<std::uint64_t>(i);
  });
  sort_keys(keys, n);
}

// Shares n pieces among the threads. Each calls worker(thread, next, stopped), which takes one
// piece after the other from next() until that returns a negative number, and may call stopped() in
// between. Returns false if stopped.
template <class Worker>
bool run_pieces(int n, Execution execution, Worker&& worker) {
  WorkQueue queue(n);
  run_on_threads(execution.n_threads, [&](int thread) {
    worker(
        thread, [&] { return static_cast<int>(queue.next()); },
        [&] {
          if (thread == 0 && execution.should_stop()) queue.stop();
          return queue.stopped();
        });
  });
  return !queue.stopped();
}

// Calls f(first image, number of images) for the chunks of n images until a call returns false.
template <class F>
bool for_chunks(std::int64_t n, F&& f) {
  for (std::int64_t first = 0; first < n; first += kChunk)
    if (!f(first, static_cast<int>(n - first < kChunk ? n - first : kChunk))) return false;
  return true;
}

}  // namespace
}  // namespace lenetshift
