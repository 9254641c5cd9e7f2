#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace zhiyin {
namespace {

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t n : {0, 1, 2, 63, 64, 65, 1000}) {
      for (int64_t grain : {1, 7, 64, 5000}) {
        std::vector<int> hits(static_cast<size_t>(n), 0);
        pool.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_TRUE(begin % grain == 0 && end <= n && begin < end);
          for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
        });
        EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), int64_t{0}), n);
        for (int hit : hits) ASSERT_EQ(hit, 1);
      }
    }
  }
}

// Pieces are cut as threads come, so what is said of them is that they begin and end at the grain.
TEST(ThreadPool, PiecesCoverEveryIndexOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (int64_t n : {0, 1, 2, 63, 64, 65, 1000}) {
      for (int64_t grain : {1, 7, 64, 5000}) {
        std::vector<int> hits(static_cast<size_t>(n), 0);
        pool.parallel_pieces(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_TRUE(begin % grain == 0 && (end % grain == 0 || end == n) && begin < end);
          for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
        });
        for (int hit : hits) ASSERT_EQ(hit, 1);
      }
    }
  }
}

// A thread that is held up keeps nothing from the others but the piece it is in.
TEST(ThreadPool, PiecesOfAThreadHeldUpAreTakenByOthers) {
  ThreadPool pool(2);
  std::atomic<int64_t> done{0};
  pool.parallel_pieces(64, 1, [&](int64_t begin, int64_t end) {
    // The first piece of the first part is 16 long; all else is done before it ends.
    if (begin == 0) {
      while (done.load() < 64 - end) std::this_thread::yield();
    }
    done += end - begin;
  });
  EXPECT_EQ(done.load(), 64);
}

// What one loop wrote, the next one reads: on other threads, right after and after a pause in which
// the workers park.
TEST(ThreadPool, LoopsFollowEachOther) {
  ThreadPool pool(3);
  std::vector<int64_t> values(257, 0), sums(257, 0);
  for (int64_t round = 1; round <= 200; ++round) {
    if (round % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.parallel_for(257, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
    pool.parallel_for(257, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        sums[static_cast<size_t>(i)] = values[static_cast<size_t>(256 - i)];
      }
    });
    for (int64_t i = 0; i < 257; ++i) ASSERT_EQ(sums[static_cast<size_t>(i)], round * (256 - i));
  }
}

TEST(ThreadPool, LoopInsideALoopRunsOnItsThread) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(12, 1, [&](int64_t begin, int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    pool.parallel_for(10, 1, [&](int64_t inner, int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      sum += begin * 10 + inner;
    });
  });
  EXPECT_EQ(sum.load(), 119 * 120 / 2);
}

TEST(ThreadPool, ManyThreadsMayShareIt) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        pool.parallel_for(100, 9, [&](int64_t begin, int64_t end) { sum += end - begin; });
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(sum.load(), 4 * 50 * 100);
}

TEST(ThreadPool, ThrowsOnTheCallerAndGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(pool.parallel_for(100, 1,
                                   [](int64_t begin, int64_t) {
                                     if (begin == 17) throw std::runtime_error("17");
                                   }),
                 std::runtime_error);
    std::atomic<int64_t> sum{0};
    pool.parallel_for(100, 3, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum.load(), 100);
  }
}

}  // namespace
}  // namespace zhiyin
