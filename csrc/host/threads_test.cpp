#include "host/threads.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "host/team.h"

using namespace lenetshift;

TEST_CASE("run_on_threads calls the body once for each thread of the team") {
  for (int n_wanted : {1, 2, 3, 8, 2, 1000}) {
    const Team team(n_wanted, nullptr);
    CHECK(team.n_threads() >= 1);
    CHECK(team.n_threads() <= n_wanted);
    std::vector<std::atomic<int>> calls(team.n_threads());
    run_on_threads(team.n_threads(), [&](int thread) { ++calls[thread]; });
    for (const std::atomic<int>& times : calls) CHECK(times == 1);
  }
}

TEST_CASE("run_on_threads refuses more threads than the team has") {
  CHECK_THROWS_AS(run_on_threads(2, [](int) {}), std::logic_error);
  const Team team(2, nullptr);
  CHECK_THROWS_AS(run_on_threads(team.n_threads() + 1, [](int) {}), std::logic_error);
}

TEST_CASE("run_on_threads: thread 0 is the caller") {
  const Team team(4, nullptr);
  std::thread::id first;
  run_on_threads(team.n_threads(), [&](int thread) {
    if (thread == 0) first = std::this_thread::get_id();
  });
  CHECK((first == std::this_thread::get_id()));
}

TEST_CASE("run_on_threads: the caller sees what the threads wrote, in thousands of short jobs") {
  const Team team(4, nullptr);
  std::vector<int> values(team.n_threads());
  int wrong = 0;
  for (int job = 1; job <= 5000; ++job) {
    run_on_threads(team.n_threads(), [&](int thread) { values[thread] = job; });
    for (int value : values) wrong += value != job;
  }
  CHECK(wrong == 0);
}

TEST_CASE("simultaneous teams take turns, and each job gets all its threads") {
  std::atomic<int> wrong{0}, at_once{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) {
        const Team team(2, nullptr);
        if (team.n_threads() > 1) wrong += ++at_once != 1;
        std::vector<int> calls(team.n_threads());
        run_on_threads(team.n_threads(), [&](int thread) { ++calls[thread]; });
        for (int times : calls) wrong += times != 1;
        if (team.n_threads() > 1) --at_once;
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a team within another one has only its caller's thread") {
  const Team outer(2, nullptr);
  const Team inner(2, nullptr);
  CHECK(inner.n_threads() == 1);
  int calls = 0;
  run_on_threads(inner.n_threads(), [&](int) { ++calls; });
  CHECK(calls == 1);
}

TEST_CASE("a call that waits for its turn gives up when should_stop returns true") {
  std::atomic<bool> held{false}, release{false};
  std::thread other([&] {
    const Team team(2, nullptr);
    held = true;
    while (!release) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  const Team team(2, [] { return true; });
  CHECK(team.n_threads() == 0);
  release = true;
  other.join();
}

TEST_CASE("Barrier: no thread is a stage ahead of another") {
  constexpr int n_stages = 2000;
  const Team team(4, nullptr);
  const int n_threads = team.n_threads();
  Barrier barrier(n_threads);
  std::vector<int> stage(n_threads * 16);  // a cache line each
  std::atomic<int> wrong{0};
  run_on_threads(n_threads, [&](int thread) {
    for (int i = 1; i <= n_stages; ++i) {
      stage[thread * 16] = i;
      barrier.wait();
      for (int other = 0; other < n_threads; ++other) wrong += stage[other * 16] != i;
      barrier.wait();
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("WorkQueue hands out each piece once, to several threads") {
  for (std::int64_t n : {0, 1, 7, 10000}) {
    WorkQueue queue(n);
    std::vector<std::atomic<int>> taken(n + 1);
    const Team team(4, nullptr);
    run_on_threads(team.n_threads(), [&](int) {
      for (std::int64_t i; (i = queue.next()) >= 0;) ++taken[i];
    });
    bool once = taken[n] == 0;
    for (std::int64_t i = 0; i < n; ++i) once = once && taken[i] == 1;
    CHECK(once);
  }
}

TEST_CASE("WorkQueue hands out nothing after stop") {
  WorkQueue queue(10);
  CHECK(queue.next() == 0);
  queue.stop();
  CHECK(queue.stopped());
  CHECK(queue.next() == -1);
}

TEST_CASE("share_of cuts into contiguous shares that differ by at most one") {
  for (std::int64_t n : {0, 1, 5, 64, 1000003})
    for (int n_threads : {1, 2, 3, 64}) {
      std::int64_t next = 0, least = n, most = 0;
      for (int thread = 0; thread < n_threads; ++thread) {
        const Share share = share_of(n, thread, n_threads);
        CHECK(share.first == next);
        next = share.stop;
        least = std::min(least, share.stop - share.first);
        most = std::max(most, share.stop - share.first);
      }
      CHECK(next == n);
      CHECK(most - least <= 1);
    }
}
