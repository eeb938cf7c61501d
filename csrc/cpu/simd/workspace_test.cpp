#include "cpu/simd/workspace.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

struct Own {
  double* sums;
  char* marks;
  Own(Workspace& workspace, int n)
      : sums(workspace.take<double>(n)), marks(workspace.take<char>(n)) {}
};

struct Memory {
  float* weights;
  ThreadParts<Own, int> threads;
  Memory(Workspace& workspace, int n, int n_threads)
      : weights(workspace.take<float>(n)), threads(workspace, n, n_threads) {}
};

// Writes a different number to every value of every part: parts that overlap, or reach beyond the
// measured size, lose some.
TEST_CASE("Workspace: parts are aligned, apart, and as large as was measured") {
  for (int n : {1, 15, 16, 17, 100})
    for (int n_threads : {1, 2, 5}) {
      const std::int64_t bytes = bytes_of<Memory>(n, n_threads);
      CHECK(bytes % Workspace::kAlignment == 0);
      std::vector<char> memory(bytes + 2 * Workspace::kAlignment, 77);
      char* start = memory.data();
      while (reinterpret_cast<std::uintptr_t>(start) % Workspace::kAlignment != 0) ++start;
      Workspace workspace(start);
      const Memory all(workspace, n, n_threads);
      CHECK(workspace.bytes() == bytes);
      const auto aligned = [](const void* p) {
        return reinterpret_cast<std::uintptr_t>(p) % Workspace::kAlignment == 0;
      };
      CHECK(aligned(all.weights));
      for (int i = 0; i < n; ++i) all.weights[i] = static_cast<float>(i);
      for (int t = 0; t < n_threads; ++t) {
        const Own own = all.threads.of(t);
        CHECK((aligned(own.sums) && aligned(own.marks)));
        for (int i = 0; i < n; ++i) own.sums[i] = 1000 * t + i, own.marks[i] = static_cast<char>(t);
      }
      bool right = true;
      for (int i = 0; i < n; ++i) right = right && all.weights[i] == static_cast<float>(i);
      for (int t = 0; t < n_threads; ++t) {
        const Own own = all.threads.of(t);
        for (int i = 0; i < n; ++i)
          right = right && own.sums[i] == 1000 * t + i && own.marks[i] == t;
      }
      CHECK(right);
      CHECK(start[bytes] == 77);
    }
}

TEST_CASE("Workspace: without memory parts are null and still counted") {
  Workspace workspace(nullptr);
  CHECK(workspace.take<float>(3) == nullptr);
  CHECK(workspace.bytes() == Workspace::kAlignment + kRedzone);
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
