#include "host/threads.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace lenetshift {
namespace {

// An op that follows at once finds its threads awake: they spin for some tens of microseconds, then
// offer their core to others for about as long, and only then sleep.
constexpr int kSpins = 2000, kYields = 100;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

struct Pool {
  std::mutex caller;  // one caller at a time
  std::mutex mutex;   // guards what follows
  std::condition_variable wake;
  void (*body)(void*, int) = nullptr;
  void* context = nullptr;
  int n_workers = 0;           // threads started, beside the callers
  int n_wanted = 0;            // of them, how many take part in this job
  std::uint64_t job = 0;       // counts jobs
  int running = 0;             // workers that have not finished this job

  void work(int thread) {
    std::uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins + kYields && __atomic_load_n(&job, __ATOMIC_ACQUIRE) == seen; ++i)
        i < kSpins ? pause() : std::this_thread::yield();
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return job != seen; });
        seen = job;
        if (thread > n_wanted) continue;
      }
      body(context, thread);
      __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    }
  }

  void run(int n_threads, void (*new_body)(void*, int), void* new_context) {
    std::lock_guard<std::mutex> turn(caller);
    {
      std::lock_guard<std::mutex> lock(mutex);
      for (; n_workers < n_threads - 1; ++n_workers)
        std::thread(&Pool::work, this, n_workers + 1).detach();
      body = new_body;
      context = new_context;
      n_wanted = n_threads - 1;
      running = n_wanted;
      __atomic_store_n(&job, job + 1, __ATOMIC_RELEASE);
    }
    wake.notify_all();
    new_body(new_context, 0);
    for (int i = 0; __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0; ++i)
      i < kSpins ? pause() : std::this_thread::yield();
  }
};

// Never destroyed: its detached threads sleep in it until the process ends.
Pool* pool = nullptr;

Pool& the_pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    pool = new Pool;
    // A forked child has none of its parent's threads: it starts with a pool of its own.
    pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
  });
  return *pool;
}

}  // namespace

void run_body_on_threads(int n_threads, void (*body)(void* context, int thread), void* context) {
  if (n_threads <= 1)
    body(context, 0);
  else
    the_pool().run(n_threads, body, context);
}

Barrier::Barrier(int n_threads) : n_threads_(n_threads) {}

void Barrier::wait() {
  if (n_threads_ == 1) return;
  const int generation = __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == n_threads_) {
    __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&generation_, generation + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int i = 0; __atomic_load_n(&generation_, __ATOMIC_ACQUIRE) == generation; ++i)
    i < kSpins ? pause() : std::this_thread::yield();
}

}  // namespace lenetshift
