#include "host/image_order.h"

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

#include "host/team.h"

using namespace lenetshift;

namespace {

Execution of(const Team& team, bool (*should_stop)()) { return {team.n_threads(), should_stop}; }

}  // namespace

TEST_CASE("order_images sorts by by(image), and equal images by their number") {
  for (int n : {0, 1, 2, 1000, kChunk})
    for (int n_wanted : {1, 3}) {
      const Team team(n_wanted, nullptr);
      std::vector<std::uint64_t> keys(n);
      const auto by = [](int i) { return static_cast<std::uint64_t>(i * 7919 % 13) << 47; };
      order_images(n, team.n_threads(), keys.data(), by);
      std::vector<bool> seen(n);
      bool right = true;
      for (int i = 0; i < n; ++i) {
        const int number = number_of(keys[i]);
        right = right && !seen[number] && sorted_by(keys[i]) == by(number);
        seen[number] = true;
        right = right && (i == 0 || keys[i - 1] < keys[i]);
      }
      CHECK(right);
    }
}

TEST_CASE("for_chunks covers all images in order, whole chunks first") {
  for (std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{kChunk},
                         std::int64_t{kChunk} + 1, std::int64_t{5} * kChunk - 1}) {
    std::int64_t next = 0;
    CHECK(for_chunks(n, [&](std::int64_t first, int size) {
      CHECK(first == next);
      CHECK((size == kChunk || first + size == n));
      next += size;
      return true;
    }));
    CHECK(next == n);
  }
}

TEST_CASE("for_chunks ends with the first chunk that returns false") {
  int calls = 0;
  CHECK_FALSE(for_chunks(3 * kChunk, [&](std::int64_t, int) { return ++calls < 2; }));
  CHECK(calls == 2);
}

TEST_CASE("run_pieces gives every piece to one worker") {
  std::vector<std::atomic<int>> taken(100);
  const Team team(2, nullptr);
  CHECK(run_pieces(100, of(team, [] { return false; }), [&](int, auto&& next, auto&&) {
    for (int i; (i = next()) >= 0;) ++taken[i];
  }));
  for (const std::atomic<int>& times : taken) CHECK(times == 1);
}

TEST_CASE("run_pieces stops all workers when should_stop returns true") {
  const Team team(2, nullptr);
  std::atomic<int> taken{0};
  CHECK_FALSE(
      run_pieces(1 << 20, of(team, [] { return true; }), [&](int, auto&& next, auto&& stopped) {
        while (next() >= 0 && !stopped()) ++taken;
      }));
  CHECK(taken < 1 << 20);
}
