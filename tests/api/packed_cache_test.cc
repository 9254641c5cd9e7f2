// The cache of packed weights through the public API: when it is used, and that it is never trusted
// nor in the way.
#include "zhiyin/packed_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "harness/open_options.h"
#include "harness/tiny_chat_model.h"
#include "zhiyin/export.h"

namespace zhiyin::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PackedCacheTest : public ::testing::Test {
 protected:
  PackedCacheTest() {
    write_tiny_chat_model(folder_ / "hf");
    options_ = one_thread();
    options_.packed_cache.folder = cache_;
    options_.packed_cache.smallest = 0;
    options_.packed_cache.keep_free = 0;
    options_.packed_cache.on_note = [this](const std::string& note) { notes_.push_back(note); };
    quantize({.in = folder_ / "hf", .out = model_, .type = "Q8_0", .importance = {}, .open = {}},
             nullptr);
  }

  // Where the packed weights came from; what the model says of a text goes to mean_nll_.
  std::string open(const std::string& path) {
    Model model = Model::open(path, options_);
    mean_nll_ = model.evaluate({1, 2, 3, 4, 5, 6, 7, 8}, 0, "", nullptr).mean_nll;
    model.finish_cache(nullptr);
    return model.packed_origin();
  }
  std::string open() { return open(model_); }
  std::vector<std::string> models() const {
    std::vector<std::string> names;
    for (const PackedCacheEntry& e : packed_cache_entries(cache_)) names.push_back(e.model);
    return names;
  }
  std::string copy_of_model(const std::string& name) {
    fs::copy_file(model_, folder_ / name);
    return fs::canonical(folder_ / name);
  }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(cache_), fs::directory_iterator()));
  }

  TemporaryFolder folder_;
  const std::string cache_ = folder_ / "cache/zhiyin/packed";
  const std::string model_ = folder_ / "model.gguf";
  OpenOptions options_;
  std::vector<std::string> notes_;
  double mean_nll_ = 0;
};

const auto kCached = AnyOf(std::string("mapped"), std::string("moved"));

TEST_F(PackedCacheTest, TheSecondStartFindsIt) {
  EXPECT_EQ(open(), "packed");
  const double first = mean_nll_;
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(open(), kCached);
  EXPECT_EQ(mean_nll_, first);
  // Kernels of another instruction set read the same form.
  options_.isa = "ref";
  EXPECT_THAT(open(), kCached);
  EXPECT_NEAR(mean_nll_, first, 1e-3);

  const std::vector<PackedCacheEntry> entries = packed_cache_entries(cache_);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].model, fs::canonical(model_));
  EXPECT_TRUE(entries[0].model_exists);
  EXPECT_EQ(entries[0].path, packed_cache_path(cache_, model_));
  EXPECT_EQ(entries[0].bytes, static_cast<int64_t>(fs::file_size(entries[0].path)));
  EXPECT_EQ(fs::status(cache_).permissions(), fs::perms::owner_all);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(PackedCacheTest, AChangedModelIsPackedAnew) {
  open();
  const double before = mean_nll_;
  // The same header, name, size and time; weights a little off.
  std::string bytes = read_file(model_);
  for (size_t at = bytes.size() / 2; at < bytes.size(); at += 97) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  }
  const auto time = fs::last_write_time(model_);
  write_file(model_, bytes);
  fs::last_write_time(model_, time);
  EXPECT_EQ(open(), "packed");
  EXPECT_NE(mean_nll_, before);
  EXPECT_THAT(open(), kCached);
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(PackedCacheTest, DamageIsToldOnceAndMended) {
  open();
  const double whole = mean_nll_;
  const std::string path = packed_cache_path(cache_, model_);
  std::string bytes = read_file(path);
  for (const char* damage : {"byte", "cut", "foreign"}) {
    std::string bad = bytes;
    if (damage == std::string("byte")) bad[bad.size() - 100] ^= 4;
    if (damage == std::string("cut")) bad.resize(bad.size() / 2);
    if (damage == std::string("foreign")) bad = "a poem";
    write_file(path, bad);
    notes_.clear();
    EXPECT_EQ(open(), "packed") << damage;
    EXPECT_EQ(mean_nll_, whole) << damage;
    EXPECT_THAT(notes_, ElementsAre(HasSubstr(path))) << damage;
    EXPECT_THAT(open(), kCached) << damage;
    EXPECT_EQ(notes_.size(), 1u) << damage;
  }
}

TEST_F(PackedCacheTest, StaysWithinItsLimit) {
  const std::string a = copy_of_model("a.gguf"), b = copy_of_model("b.gguf"),
                    c = copy_of_model("c.gguf");
  open(a);
  const int64_t one = packed_cache_entries(cache_)[0].bytes;
  options_.packed_cache.limit = 2 * one + one / 2;
  const auto old = [&](const std::string& model, int hours) {
    fs::last_write_time(packed_cache_path(cache_, model),
                        fs::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  open(b);
  EXPECT_EQ(files(), 2u);
  old(a, 2);
  old(b, 1);
  open(a);  // used again, so b is the one longest unused
  open(c);
  EXPECT_THAT(models(), ::testing::UnorderedElementsAre(a, c));
  // What is of no use goes first, however fresh.
  old(a, 1);
  fs::remove(c);
  open(b);
  EXPECT_THAT(models(), ::testing::UnorderedElementsAre(a, b));
  // Larger than all that is allowed: nothing makes way for it.
  options_.packed_cache.limit = one / 2;
  open(model_);
  EXPECT_EQ(files(), 2u);
}

TEST_F(PackedCacheTest, CanBeOff) {
  options_.packed_cache.limit = 0;
  EXPECT_EQ(open(), "packed");
  EXPECT_FALSE(fs::exists(cache_));
  options_ = one_thread();
  EXPECT_EQ(open(), "packed");
  options_.prepare = false;
  EXPECT_EQ(open(), "");
}

TEST_F(PackedCacheTest, LeavesTheDiskItsRoom) {
  open(copy_of_model("a.gguf"));
  options_.packed_cache.keep_free = int64_t{1} << 60;
  EXPECT_EQ(open(), "packed");
  EXPECT_EQ(files(), 1u) << "nothing may go where that does not help";
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(PackedCacheTest, SmallModelsAreNotWorthIt) {
  options_.packed_cache.smallest = 10'000'000;
  open();
  EXPECT_FALSE(fs::exists(cache_));
}

TEST_F(PackedCacheTest, AFolderThatCannotBeMadeIsOneLine) {
  write_file(folder_ / "cache", "a file where the folder would be");
  EXPECT_EQ(open(), "packed");
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("are not kept")));
}

TEST_F(PackedCacheTest, ManyAtOnceAreSafe) {
  options_.packed_cache.on_note = nullptr;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(open() == "" ? 1 : 0);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int round = 0; round < 5; ++round) {
        std::error_code ignored;
        fs::remove(packed_cache_path(cache_, model_), ignored);
        Model model = Model::open(model_, options_);
        model.load();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  open();
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(open(), kCached);
}

TEST_F(PackedCacheTest, IsClearedWholly) {
  open(copy_of_model("a.gguf"));
  open();
  write_file(cache_ + "/x.packed.tmp-999999999", "of a process that was killed");
  write_file(cache_ + "/damaged.packed", "?");
  EXPECT_THAT(models(), ::testing::Contains(""));
  EXPECT_GT(clear_packed_cache(cache_), 0);
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(clear_packed_cache(cache_), 0);
  EXPECT_EQ(clear_packed_cache(folder_ / "none"), 0);
}

}  // namespace
}  // namespace zhiyin::testing
