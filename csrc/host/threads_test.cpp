#include "host/threads.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

using namespace lenetshift;

TEST_CASE("run_on_threads calls the body once for each thread") {
  for (int n_threads : {1, 2, 3, 8, 33, 2}) {
    std::vector<std::atomic<int>> calls(n_threads);
    run_on_threads(n_threads, [&](int thread) { ++calls[thread]; });
    for (int thread = 0; thread < n_threads; ++thread) CHECK(calls[thread] == 1);
  }
}

TEST_CASE("run_on_threads: thread 0 is the caller") {
  std::thread::id first;
  run_on_threads(4, [&](int thread) {
    if (thread == 0) first = std::this_thread::get_id();
  });
  CHECK((first == std::this_thread::get_id()));
}

TEST_CASE("run_on_threads: what the threads wrote is seen after it, in thousands of short jobs") {
  std::vector<int> values(4);
  int wrong = 0;
  for (int job = 1; job <= 5000; ++job) {
    run_on_threads(4, [&](int thread) { values[thread] = job; });
    for (int value : values) wrong += value != job;
  }
  CHECK(wrong == 0);
}

TEST_CASE("run_on_threads: calls from several threads at once each get all their threads") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) {
        std::vector<int> calls(3);
        run_on_threads(3, [&](int thread) { ++calls[thread]; });
        wrong += calls != std::vector<int>{1, 1, 1};
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("run_on_threads within run_on_threads runs every thread of both") {
  std::atomic<int> inner{0};
  run_on_threads(2, [&](int) { run_on_threads(2, [&](int) { ++inner; }); });
  CHECK(inner == 4);
}

TEST_CASE("Barrier: no thread is a stage ahead of another") {
  constexpr int n_threads = 4, n_stages = 2000;
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
    run_on_threads(4, [&](int) {
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
