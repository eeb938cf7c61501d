// The threads of a call of the core.
#pragma once

namespace lenetshift {

// The threads of one call: the caller's thread and workers of the pool (host/threads.h).
//
// Simultaneous calls from several threads take turns, so that they do not compete for the cores. A
// waiting call calls `should_stop` every 20 ms; it may be null.
//
// A call gets fewer threads than it wants
// - if it wants more than kMostPerCore for each core: more would only wait for each other;
// - if the system starts no more threads: it gets those that exist;
// - if it runs within another call, in ForeignCode on the same thread, or waits for a call that
//   is held up in ForeignCode: it gets only its own thread.
//
// No result depends on the number of threads, so this costs only time.
class Team {
 public:
  static constexpr int kMostPerCore = 8;

  Team(int n_wanted, bool (*should_stop)());
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // 0 if should_stop returned true before the call's turn came.
  int n_threads() const { return n_threads_; }

 private:
  int n_threads_;
  bool has_turn_ = false;
  int outer_size_;  // threads of the call within which this one began
};

// During its lifetime the calling thread runs foreign code within a call: Python's signal handlers.
// They may call the core again, or wait for another thread that does. Neither call may wait for its
// turn, which would not come.
class ForeignCode {
 public:
  ForeignCode();
  ~ForeignCode();
  ForeignCode(const ForeignCode&) = delete;
  ForeignCode& operator=(const ForeignCode&) = delete;

 private:
  bool outermost_ = false;
};

}  // namespace lenetshift
