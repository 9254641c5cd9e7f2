// How many threads: cores, not hyper-threads, and no more than a container is granted.
#include "base/cpu_features.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "harness/paths.h"

namespace zhiyin {
namespace {

void put(const std::string& folder, const std::string& name, const std::string& text) {
  std::filesystem::create_directories(folder);
  write_file(folder + "/" + name, text);
}

TEST(PhysicalCores, HyperThreadsShareOne) {
  const testing::TemporaryFolder sys;
  // Two packages of two cores of two threads.
  const char* siblings[] = {"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"};
  for (int cpu = 0; cpu < 8; ++cpu) {
    put(sys / ("cpu" + std::to_string(cpu) + "/topology"), "core_cpus_list",
        std::string(siblings[cpu]) + "\n");
  }
  EXPECT_EQ(distinct_cores(sys.path(), {0, 1, 2, 3, 4, 5, 6, 7}), 4);
  EXPECT_EQ(distinct_cores(sys.path(), {0, 4}), 1);
  EXPECT_EQ(distinct_cores(sys.path(), {0, 5}), 2);
  EXPECT_EQ(distinct_cores(sys.path(), {8, 9}), 2) << "nothing is known of these";
}

TEST(PhysicalCores, OlderKernelsNameSiblingsOtherwise) {
  const testing::TemporaryFolder sys;
  for (int cpu = 0; cpu < 2; ++cpu) {
    put(sys / ("cpu" + std::to_string(cpu) + "/topology"), "thread_siblings_list", "0-1\n");
  }
  EXPECT_EQ(distinct_cores(sys.path(), {0, 1}), 1);
}

TEST(PhysicalCores, QuotasOfAllGroupsAboveCount) {
  const testing::TemporaryFolder root;
  put(root / "a/b/c", "cpu.max", "max 100000\n");
  EXPECT_GT(granted_cpus(root.path(), "/a/b/c"), 100000);
  put(root / "a/b", "cpu.max", "250000 100000\n");
  EXPECT_EQ(granted_cpus(root.path(), "/a/b/c"), 3);
  put(root / "a", "cpu.max", "200000 100000\n");
  EXPECT_EQ(granted_cpus(root.path(), "/a/b/c"), 2);
  put(root.path(), "cpu.max", "50000 100000\n");
  EXPECT_EQ(granted_cpus(root.path(), "/a/b/c"), 1);
  EXPECT_EQ(granted_cpus(root.path(), "/"), 1);
  EXPECT_EQ(granted_cpus(root / "a", "/"), 2);
}

TEST(PhysicalCores, QuotasOfVersionOne) {
  const testing::TemporaryFolder root;
  put(root / "docker", "cpu.cfs_quota_us", "-1\n");
  put(root / "docker", "cpu.cfs_period_us", "100000\n");
  EXPECT_GT(granted_cpus(root.path(), "/docker"), 100000);
  write_file(root / "docker/cpu.cfs_quota_us", "400000\n");
  EXPECT_EQ(granted_cpus(root.path(), "/docker"), 4);
}

TEST(PhysicalCores, AtLeastOne) { EXPECT_GE(physical_cores(), 1); }

}  // namespace
}  // namespace zhiyin
