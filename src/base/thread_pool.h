// Threads that wait for short loops. Between loops a worker spins for some microseconds, since the
// next operation of a forward pass follows at once, and then parks.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>

namespace zhiyin {

class ThreadPool {
 public:
  // threads counts the caller; 1 means no worker. 0: one thread a physical core.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // How many loops of all pools of this process several threads have begun to share so far.
  static uint64_t loops();

  // Calls body(begin, end) over [0, n) in chunks of `grain`, and returns when all are done. A
  // thread takes chunks that follow one another from a part of its own, and then those of others
  // that they have not come to. Which thread runs a chunk is open, what a chunk covers is not, so
  // results do not depend on the number of threads. With one chunk, inside another loop of the same
  // pool, or while another thread uses the pool, it runs on the caller. The first exception of a
  // body is thrown again here.
  template <typename Body>
  void parallel_for(int64_t n, int64_t grain, Body&& body) {
    loop_over(n, grain, false, body);
  }

  // The same for work that is faster in one piece and whose results do not depend on how it is cut:
  // a thread takes half of what is left of its part at a time, in multiples of grain.
  template <typename Body>
  void parallel_pieces(int64_t n, int64_t grain, Body&& body) {
    loop_over(n, grain, true, body);
  }

 private:
  struct Loop {
    int64_t n = 0;
    int64_t grain = 1;
    bool halves = false;
    void* body = nullptr;
    void (*call)(void*, int64_t, int64_t) = nullptr;
  };
  struct Workers;

  template <typename Body>
  void loop_over(int64_t n, int64_t grain, bool halves, Body& body) {
    if (n <= 0) return;
    if (n <= grain || threads_ == 1) {
      body(int64_t{0}, n);
      return;
    }
    using BodyType = std::remove_reference_t<Body>;
    run({n, grain, halves, const_cast<void*>(static_cast<const void*>(&body)),
         [](void* b, int64_t begin, int64_t end) { (*static_cast<BodyType*>(b))(begin, end); }});
  }

  void run(const Loop& loop);

  int threads_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace zhiyin
