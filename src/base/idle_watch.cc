#include "base/idle_watch.h"

#include <chrono>
#include <thread>

#include "base/thread_pool.h"

namespace zhiyin {
namespace {

// Counted, not timed: a process that was stopped meanwhile has not been idle.
constexpr int kLooks = 4;
constexpr std::chrono::milliseconds kBetween{5};

}  // namespace

void IdleWatch::wait(const std::function<bool()>& patient) {
  uint64_t seen = ThreadPool::loops();
  for (int quiet = 0; seen != idle_at_ && patient();) {
    std::this_thread::sleep_for(kBetween);
    const uint64_t now = ThreadPool::loops();
    quiet = now == seen ? quiet + 1 : 0;
    seen = now;
    if (quiet == kLooks) idle_at_ = now;
  }
}

}  // namespace zhiyin
