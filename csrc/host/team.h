// Which threads a call of the core has.
#pragma once

namespace lenetshift {

// The threads of one call: the caller's own, and workers of the pool (host/threads.h).
//
// Calls from several threads at once take turns, so that no core is asked for twice. While a call
// waits, `should_stop` is asked every 20 ms; it may be null.
//
// A call has fewer threads than it wants
// - beyond kMostPerCore for each core: they would only wait for each other;
// - where the system starts no more of them: it has those that there are;
// - in the midst of another call, within ForeignCode on the same thread, or where it waits for a
// call
//   that is held up there: it has its own thread alone.
//
// No result depends on the number of threads, so this costs nothing but time.
class Team {
 public:
  static constexpr int kMostPerCore = 8;

  Team(int n_wanted, bool (*should_stop)());
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // 0 where should_stop said so before the turn came.
  int n_threads() const { return n_threads_; }

 private:
  int n_threads_;
  bool has_turn_ = false;
  int outer_size_;  // threads of the call in the midst of which this one began
};

// While it lives, the calling thread runs code of others in the midst of a call: Python's signal
// handlers. They may call the core again, or wait for another thread that does: neither may wait
// for the turn, which would not come.
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
