#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/mmap_file.h"
#include "harness/paths.h"

namespace zhiyin {
namespace {

size_t files_in(const std::string& folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return static_cast<ErrorCode>(0);
}

TEST(File, ReadsWhatWasWritten) {
  const testing::TemporaryFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file(folder / "f", bytes);
  EXPECT_EQ(read_file(folder / "f"), bytes);
  EXPECT_TRUE(file_exists(folder / "f"));
  EXPECT_FALSE(file_exists(folder.path()));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(File, NamesWhatCannotBeRead) {
  const testing::TemporaryFolder folder;
  write_file(folder / "f", "12345");
  EXPECT_EQ(code_of([&] { read_file(folder / "none"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(folder.path()); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(folder / "f", 4); }), ErrorCode::kFailed);
  EXPECT_EQ(code_of([&] { write_file(folder / "no/folder", "x"); }), ErrorCode::kFailed);
  EXPECT_EQ(code_of([&] { MmapFile{folder / "none"}; }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { MmapFile{folder.path()}; }), ErrorCode::kNotFound);
}

TEST(File, WithoutCommitTheOldFileStays) {
  const testing::TemporaryFolder folder;
  write_file(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new and longer");
  }
  EXPECT_EQ(read_file(folder / "f"), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(File, FinishedFilesAppearOnlyWithTheirCommit) {
  const testing::TemporaryFolder folder;
  write_file(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new");
    file.finish();
    EXPECT_EQ(read_file(folder / "f"), "old");
    EXPECT_EQ(read_file(file.temporary_path()), "new");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  AtomicFile file(folder / "f");
  file.write("new");
  file.finish();
  file.commit();
  EXPECT_EQ(read_file(folder / "f"), "new");
}

TEST(File, SeeksBackToFillInAHeader) {
  const testing::TemporaryFolder folder;
  AtomicFile file(folder / "f");
  file.write("????data");
  EXPECT_EQ(file.offset(), 8u);
  file.seek(0);
  file.write("head");
  EXPECT_EQ(file.offset(), 4u);
  EXPECT_FALSE(file_exists(folder / "f"));
  file.commit();
  EXPECT_EQ(read_file(folder / "f"), "headdata");
}

TEST(File, UnfinishedFilesCanBeRemovedAtOnce) {
  const testing::TemporaryFolder folder;
  AtomicFile open(folder / "open");
  AtomicFile done(folder / "done");
  done.commit();
  EXPECT_EQ(files_in(folder.path()), 2u);
  remove_unfinished_files();
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_TRUE(file_exists(folder / "done"));
}

// A file of 40 MB, each of its numbers its index.
class MovedFileTest : public ::testing::Test {
 protected:
  static constexpr size_t kCount = 10u << 20;
  MovedFileTest() {
    std::vector<uint32_t> numbers(kCount);
    std::iota(numbers.begin(), numbers.end(), 0u);
    write_file(path_, {reinterpret_cast<const char*>(numbers.data()), kCount * 4});
  }
  static uint32_t at(const MmapFile& file, size_t i) {
    uint32_t number = 0;
    std::memcpy(&number, file.data() + 4 * i, 4);
    return number;
  }
  static size_t wrong(const MmapFile& file) {
    size_t count = 0;
    for (size_t i = 0; i < kCount; ++i) count += at(file, i) != i;
    return count;
  }
  // Makes all of the file zeros, where it lies.
  void overwrite() {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const std::string zeros(kCount * 4, '\0');
    file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
  }

  testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "f";
};

TEST_F(MovedFileTest, IsReadMeanwhileAndIsNoLongerTheFile) {
  const MmapFile file(path_);
  std::atomic<bool> stop = false;
  std::atomic<size_t> wrong_meanwhile = 0;
  std::thread reader([&] {
    while (!stop) wrong_meanwhile += wrong(file);
  });
  size_t last = 0;
  EXPECT_TRUE(file.move_to_large_pages([&](size_t done) {
    EXPECT_GT(done, last);
    last = done;
    return true;
  }));
  stop = true;
  reader.join();
  EXPECT_EQ(wrong_meanwhile, 0u);
  file.release(0, file.size());  // would lose what was moved
  EXPECT_EQ(wrong(file), 0u);
  overwrite();
  // Its ends, less than 2 MB each, are the file's as before.
  EXPECT_LT(wrong(file), size_t{1} << 20);
}

TEST_F(MovedFileTest, StopsWhenToldTo) {
  const MmapFile file(path_);
  EXPECT_FALSE(file.move_to_large_pages([](size_t) { return false; }));
  EXPECT_EQ(wrong(file), 0u);
  overwrite();
  EXPECT_GT(wrong(file), kCount / 4);
  EXPECT_LT(wrong(file), kCount);
}

TEST(MmapFile, LivesAsLongAsItsLastHolder) {
  const testing::TemporaryFolder folder;
  write_file(folder / "f", std::string(10000, 'x') + "end");
  write_file(folder / "empty", "");
  std::optional<MmapFile> first(folder / "f");
  const MmapFile second = *first;
  first.reset();
  ASSERT_EQ(second.size(), 10003u);
  second.release(0, second.size());
  EXPECT_EQ(second.data()[0], 'x');
  EXPECT_EQ(second.data()[10002], 'd');
  EXPECT_EQ(second.path(), folder / "f");
  EXPECT_EQ(MmapFile(folder / "empty").size(), 0u);
}

// Writes a file beyond the size that this process may make, as on a full disk, and exits.
[[noreturn]] void write_too_much(const std::string& path) {
  rlimit limit{};
  limit.rlim_cur = limit.rlim_max = 4096;
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    write_file(path, std::string(1 << 20, 'x'));
  } catch (const Error& e) {
    std::fprintf(stderr, "%s", e.what());
    _exit(3);
  }
  _exit(0);
}

TEST(AtomicFile, AFailedWriteNamesItsReason) {
  const testing::TemporaryFolder folder;
  EXPECT_EXIT(write_too_much(folder / "large"), ::testing::ExitedWithCode(3),
              "large: cannot be written: File too large");
  EXPECT_FALSE(file_exists(folder / "large"));
}

}  // namespace
}  // namespace zhiyin
