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

// What the threads of a loop share lies on cache lines by what is written together: a line goes
// from one core to another for each thread that writes to it, and a short loop is over after a few
// such journeys.
struct ThreadPool::Workers {
  // Chunks of the loop that a thread takes first, and that others take when theirs are done.
  struct alignas(64) Part {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  explicit Workers(int count) : parts(static_cast<size_t>(count)) {}

  std::vector<std::thread> threads;
  std::vector<Part> parts;  // one a thread
  std::mutex one_loop;      // held by the thread whose loop runs

  std::mutex parking;
  std::condition_variable wake;
  std::atomic<int> parked{0};
  std::atomic<bool> stop{false};
  std::mutex failing;
  std::exception_ptr failure;

  alignas(64) std::atomic<uint64_t> generation{0};
  Loop loop;
  alignas(64) std::atomic<int> running{0};

  void start(const Loop& next_loop) {
    const int64_t chunks = (next_loop.n + next_loop.grain - 1) / next_loop.grain;
    const auto count = static_cast<int64_t>(parts.size());
    for (int64_t p = 0; p < count; ++p) {
      Part& part = parts[static_cast<size_t>(p)];
      part.next.store(chunks * p / count, std::memory_order_relaxed);
      part.end = chunks * (p + 1) / count;
    }
    running.store(static_cast<int>(count) - 1, std::memory_order_relaxed);
    loop = next_loop;
    start_generation();
  }

  void work(size_t thread) {
    inside_loop = true;
    const Loop mine = loop;
    try {
      for (size_t i = 0; i < parts.size(); ++i) work_on(parts[(thread + i) % parts.size()], mine);
    } catch (...) {
      for (Part& part : parts) part.next.store(part.end, std::memory_order_relaxed);
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
    }
    inside_loop = false;
  }

  static void work_on(Part& part, const Loop& loop) {
    for (;;) {
      // Looking first leaves the line where it is when nothing is left.
      const int64_t left = part.end - part.next.load(std::memory_order_relaxed);
      if (left <= 0) return;
      const int64_t count = loop.halves ? (left + 1) / 2 : 1;
      const int64_t first = part.next.fetch_add(count, std::memory_order_relaxed);
      const int64_t end = std::min(first + count, part.end);
      if (first >= end) return;
      loop.call(loop.body, first * loop.grain, std::min(end * loop.grain, loop.n));
    }
  }

  void worker(size_t thread) {
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
      work(thread);
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
    : threads_(threads > 0 ? threads : physical_cores()),
      workers_(std::make_unique<Workers>(threads_)) {
  for (int i = 1; i < threads_; ++i) {
    workers_->threads.emplace_back([w = workers_.get(), i] { w->worker(static_cast<size_t>(i)); });
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
  w.start(loop);
  w.work(0);
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
