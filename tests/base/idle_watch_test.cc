#include "base/idle_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/thread_pool.h"

namespace zhiyin {
namespace {

TEST(IdleWatch, ReturnsWhenNothingIsComputed) {
  IdleWatch watch;
  int looks = 0;
  watch.wait([&] { return ++looks < 1000; });
  EXPECT_GT(looks, 1);
  EXPECT_LT(looks, 1000);
  // Still idle: known at once.
  looks = 0;
  watch.wait([&] { return ++looks < 1000; });
  EXPECT_EQ(looks, 0);
  // Something began since.
  ThreadPool pool(2);
  pool.parallel_for(2, 1, [](int64_t, int64_t) {});
  watch.wait([&] { return ++looks < 1000; });
  EXPECT_GT(looks, 1);
}

TEST(IdleWatch, WaitsWhileAnyPoolWorksAsLongAsItIsPatient) {
  IdleWatch watch;
  ThreadPool pool(2);
  int looks = 0;
  // A loop between any two looks.
  watch.wait([&] {
    pool.parallel_for(2, 1, [](int64_t, int64_t) {});
    return ++looks < 50;
  });
  EXPECT_EQ(looks, 50);
}

}  // namespace
}  // namespace zhiyin
