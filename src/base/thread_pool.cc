#include "base/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <thread>
#include <utility>
#include <vector>

#include "base/cpu_features.h"

namespace zhiyin {
namespace {

// About 30 µs of spinning: longer than the gap between two operations of a forward pass.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

thread_local bool inside_loop = false;
std::atomic<uint64_t> loops_of_all{0};

}  // namespace

struct ThreadPool::Workers {
  std::vector<std::thread> threads;
  std::mutex one_loop;  // held by the thread whose loop runs

  std::mutex parking;
  std::condition_variable wake;
  std::atomic<int> parked{0};

  std::atomic<uint64_t> generation{0};
  std::atomic<bool> stop{false};
  Loop loop;
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int> running{0};
  std::mutex failing;
  std::exception_ptr failure;

  void work() {
    inside_loop = true;
    const Loop mine = loop;
    try {
      for (;;) {
        const int64_t begin = next.fetch_add(mine.grain, std::memory_order_relaxed);
        if (begin >= mine.n) break;
        mine.call(mine.body, begin, std::min(begin + mine.grain, mine.n));
      }
    } catch (...) {
      next.store(mine.n, std::memory_order_relaxed);
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
    }
    inside_loop = false;
  }

  void worker() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && generation.load(std::memory_order_acquire) == seen; ++i)
        pause();
      if (generation.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(parking);
        parked.fetch_add(1);
        wake.wait(lock, [&] { return generation.load() != seen; });
        parked.fetch_sub(1);
      }
      seen = generation.load(std::memory_order_acquire);
      if (stop.load()) return;
      work();
      running.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void start_generation() {
    generation.fetch_add(1);
    if (parked.load() > 0) {
      const std::lock_guard lock(parking);
      wake.notify_all();
    }
  }
};

ThreadPool::ThreadPool(int threads)
    : threads_(threads > 0 ? threads : physical_cores()), workers_(std::make_unique<Workers>()) {
  for (int i = 1; i < threads_; ++i) {
    workers_->threads.emplace_back([w = workers_.get()] { w->worker(); });
  }
}

ThreadPool::~ThreadPool() {
  workers_->stop.store(true);
  workers_->start_generation();
  for (std::thread& thread : workers_->threads) thread.join();
}

uint64_t ThreadPool::loops() { return loops_of_all.load(std::memory_order_relaxed); }

void ThreadPool::run(const Loop& loop) {
  Workers& w = *workers_;
  loops_of_all.fetch_add(1, std::memory_order_relaxed);
  if (inside_loop || !w.one_loop.try_lock()) {
    for (int64_t begin = 0; begin < loop.n; begin += loop.grain) {
      loop.call(loop.body, begin, std::min(begin + loop.grain, loop.n));
    }
    return;
  }
  const std::lock_guard lock(w.one_loop, std::adopt_lock);
  w.loop = loop;
  w.next.store(0, std::memory_order_relaxed);
  w.running.store(threads_ - 1, std::memory_order_relaxed);
  w.start_generation();
  w.work();
  for (int i = 0; w.running.load(std::memory_order_acquire) > 0; ++i) {
    // Another process may hold a worker's core; then waiting hot only delays it.
    if (i < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (w.failure) {
    std::rethrow_exception(std::exchange(w.failure, nullptr));
  }
}

}  // namespace zhiyin
