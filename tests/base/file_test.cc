#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>

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
