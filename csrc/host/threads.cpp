#include "host/threads.h"

#include <pthread.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "host/team.h"

namespace lenetshift {
namespace {

using std::chrono::microseconds;
using Clock = std::chrono::steady_clock;

// How a thread waits for its next job or at a barrier.
//
// First it spins: the other threads finish a stage of a training step at about the same time, and a
// spinning thread sees that at once. It spins for 50 us: with 5 us, an epoch took 7 % longer for
// the MLP on two cores and up to 40 % longer for LeNet-5, because a thread that yields may be away
// for long. (If both threads must share one core, it is the other way round: a c3_conv of 64 images
// takes 203 us, and 115 us with 5 us of spinning.)
//
// Then it yields. If other threads want the core, they get it, above all the thread that it waits
// for. If none does, it is still awake when its turn comes, after some tens of microseconds of
// Python. To wake a sleeping thread takes longer than that, above all if the core has gone idle and
// on a virtual machine.
//
// Finally it sleeps: what has not come by now may take long, and until then other threads can use
// the core and its power. With more threads than cores it sleeps at once: with a thousand threads,
// yielding would pass the core round all those that have nothing to do.
constexpr microseconds kSpin{50}, kAwake{200};

// How often a call that waits for its turn checks whether to stop.
constexpr std::chrono::milliseconds kRound{20};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Like std::atomic::wait() of C++20, except that sleep_while() may return early.
#if defined(__linux__)
void sleep_while(std::uint32_t* word, std::uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake_all(std::uint32_t* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}
#else
// All words share one condition: a thread that is woken for another word goes back to sleep. Like
// the pool, it is never destroyed.
struct Sleep {
  std::mutex mutex;
  std::condition_variable changed;
};
Sleep& sleepers() {
  static Sleep* const sleep = new Sleep;
  return *sleep;
}
void sleep_while(std::uint32_t* word, std::uint32_t value) {
  std::unique_lock<std::mutex> lock(sleepers().mutex);
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) sleepers().changed.wait(lock);
}
void wake_all(std::uint32_t*) {
  const std::lock_guard<std::mutex> lock(sleepers().mutex);
  sleepers().changed.notify_all();
}
#endif

// The number of cores that the calling thread may use.
int n_cores() {
#if defined(__linux__)
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
#endif
  return std::max(1u, std::thread::hardware_concurrency());  // more than a cpu_set_t holds
}

// The name is shown in top and in debuggers.
void name_this_thread(const char* name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

// Each worker has its own number that sends it to work, so that a job wakes only the workers that
// take part in it. It has its own cache line, because the worker spins on it.
struct alignas(64) Worker {
  Event job;
};

struct Pool {
  std::mutex mutex;  // guards the next four
  std::condition_variable free;
  bool taken = false;      // some call has its turn
  unsigned n_foreign = 0;  // how often such a call has entered ForeignCode
  unsigned foreign = 0;    // n_foreign while a call is in it, otherwise 0

  // The rest belongs to the call whose turn it is.
  std::deque<Worker> workers;  // those that were started; they stay until the process ends
  bool crowd = false;          // it has more threads than there are cores
  void (*body)(void*, int) = nullptr;
  void* context = nullptr;
  int n_running = 0;  // workers that have not finished this job
  Event finished;     // changes when none is left

  // Starts workers until there are n or the system starts no more; returns how many of the n there
  // are.
  int start(int n) {
    while (static_cast<int>(workers.size()) < n) {
      const int thread = static_cast<int>(workers.size()) + 1;
      workers.emplace_back();
      try {
        std::thread(&Pool::work, this, std::ref(workers.back()), thread).detach();
      } catch (const std::exception&) {  // no more threads, or no memory for one
        workers.pop_back();
        return static_cast<int>(workers.size());
      }
    }
    return n;
  }

  void work(Worker& self, int thread) {
    name_this_thread("lenetshift");
    bool in_crowd = false;
    for (std::uint32_t seen = 0;;) {
      self.job.wait_while(seen, in_crowd);
      seen = self.job.value();
      in_crowd = crowd;
      body(context, thread);
      if (__atomic_sub_fetch(&n_running, 1, __ATOMIC_ACQ_REL) == 0)
        finished.set(finished.value() + 1);
    }
  }

  void run(int n_threads, void (*new_body)(void*, int), void* new_context) {
    body = new_body;
    context = new_context;
    n_running = n_threads - 1;
    const std::uint32_t before = finished.value();
    for (int i = 0; i < n_threads - 1; ++i) workers[i].job.set(workers[i].job.value() + 1);
    body(context, 0);
    finished.wait_while(before, crowd);
  }
};

// Never destroyed: its detached threads sleep in it until the process ends.
Pool* pool = nullptr;

// Of the calling thread:
thread_local bool has_turn = false;
thread_local int team_size = 1;  // of the innermost Team

Pool& the_pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    pool = new Pool;
    // A forked child has none of its parent's threads: it starts with its own pool.
    pthread_atfork(nullptr, nullptr, [] {
      pool = new Pool;
      has_turn = false;
      team_size = 1;
    });
  });
  return *pool;
}

}  // namespace

Team::Team(int n_wanted, bool (*should_stop)()) : n_threads_(1), outer_size_(team_size) {
  const int cores = n_wanted > 1 ? n_cores() : 1;
  n_wanted = std::min(n_wanted, kMostPerCore * cores);
  unsigned foreign = 0;  // of the last round
  while (n_wanted > 1 && !has_turn) {
    Pool& p = the_pool();  // looked up in each round: should_stop may fork
    std::unique_lock<std::mutex> lock(p.mutex);
    if (p.free.wait_for(lock, kRound, [&] { return !p.taken; })) {
      n_threads_ = 1 + p.start(n_wanted - 1);
      p.crowd = n_threads_ > cores;
      p.taken = has_turn_ = has_turn = n_threads_ > 1;
      break;
    }
    // Every call of should_stop is ForeignCode, but only a signal handler lasts for a whole round.
    if (p.foreign != 0 && p.foreign == foreign) break;
    foreign = p.foreign;
    lock.unlock();
    if (should_stop != nullptr && should_stop()) {
      n_threads_ = 0;
      break;
    }
  }
  team_size = std::max(n_threads_, 1);
}

Team::~Team() {
  team_size = outer_size_;
  if (!has_turn_ || !has_turn) return;  // the latter in a forked child, which has another pool
  has_turn = false;
  {
    std::lock_guard<std::mutex> lock(pool->mutex);
    pool->taken = false;
  }
  pool->free.notify_one();
}

ForeignCode::ForeignCode() {
  if (!has_turn) return;
  std::lock_guard<std::mutex> lock(pool->mutex);
  if (pool->foreign != 0) return;
  pool->foreign = ++pool->n_foreign;
  outermost_ = true;
}

ForeignCode::~ForeignCode() {
  if (!outermost_ || !has_turn) return;
  std::lock_guard<std::mutex> lock(pool->mutex);
  pool->foreign = 0;
}

void run_body_on_threads(int n_threads, void (*body)(void* context, int thread), void* context) {
  if (n_threads > team_size)
    throw std::logic_error("run_on_threads: got " + std::to_string(n_threads) +
                           " threads, expected at most the Team's " + std::to_string(team_size));
  if (n_threads <= 1)
    body(context, 0);
  else
    pool->run(n_threads, body, context);
}

std::uint32_t Event::value() const { return __atomic_load_n(&value_, __ATOMIC_ACQUIRE); }

void Event::wait_while(std::uint32_t value, bool crowd) {
  if (!crowd) {
    const Clock::time_point start = Clock::now();
    for (Clock::duration waited{}; waited < kAwake; waited = Clock::now() - start) {
      if (waited > kSpin) std::this_thread::yield();
      for (int i = 0; i < 16; ++i, pause())
        if (this->value() != value) return;
    }
  }
  // Sequential consistency, so that either the sleeper sees the new value or set() sees the
  // sleeper.
  __atomic_fetch_add(&sleepers_, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&value_, __ATOMIC_SEQ_CST) == value) sleep_while(&value_, value);
  __atomic_fetch_sub(&sleepers_, 1, __ATOMIC_RELAXED);
}

void Event::set(std::uint32_t value) {
  __atomic_store_n(&value_, value, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&sleepers_, __ATOMIC_SEQ_CST) > 0) wake_all(&value_);
}

Barrier::Barrier(int n_threads) : n_threads_(n_threads), crowd_(pool != nullptr && pool->crowd) {}

void Barrier::wait() {
  if (n_threads_ == 1) return;
  const std::uint32_t generation = generation_.value();
  if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == n_threads_) {
    __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
    generation_.set(generation + 1);
  } else {
    generation_.wait_while(generation, crowd_);
  }
}

}  // namespace lenetshift
