// The packed form of weights as a file: what comes back is what pack_rows made, byte for byte, and
// whatever is not whole or not of this model is refused.
#include "io/packed_file.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <random>

#include "base/file.h"
#include "io/files.h"

namespace zhiyin {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr uint64_t kKey = 0x1234567890abcdef;

bool go_on(int64_t) { return true; }

// Without waiting for the disk, as write_file() would.
void overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class PackedFileTest : public ::testing::Test {
 protected:
  // A matrix of every format that has a packed form, one without, and one larger than what a
  // checksum covers.
  std::vector<Weight> weights() {
    std::vector<Weight> all;
    std::mt19937 random(7);
    std::normal_distribution<float> values;
    const auto add = [&](Format format, int64_t rows, int64_t cols) {
      std::vector<float> matrix(static_cast<size_t>(rows * cols));
      for (float& value : matrix) value = values(random);
      const std::string name = "layer." + std::to_string(all.size());
      all.push_back(Weight::packed_from(context_, name, format, rows, cols, matrix.data()));
    };
    for (int i = 0; i < kFormatCount; ++i) add(static_cast<Format>(i), 40 + i, 512);
    if (large_) add(Format::kQ8_0, 5000, 1024);
    return all;
  }
  std::vector<Weight> prepared() {
    std::vector<Weight> all = weights();
    for (const Weight& weight : all) weight.prepare(context_);
    return all;
  }
  std::string write(const std::string& name = "model.packed") {
    const std::string path = folder_ / name;
    EXPECT_TRUE(write_packed_file(path, "/models/a.gguf", kKey, prepared(), go_on));
    return path;
  }
  bool read(const std::string& path, const std::vector<Weight>& into, uint64_t key = kKey) {
    return read_packed_file(context_, path, key, into).has_value();
  }

  TemporaryFolder folder_;
  Context context_{{.threads = 2}};
  bool large_ = true;
};

TEST_F(PackedFileTest, GivesBackWhatPackingMade) {
  const std::string path = write();
  const std::vector<Weight> wanted = prepared();
  const std::vector<Weight> found = weights();
  const auto reading = read_packed_file(context_, path, kKey, found);
  ASSERT_TRUE(reading.has_value());
  const auto expect_all_there = [&] {
    int compared = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      const PackedWeight* a = wanted[i].packed();
      const PackedWeight* b = found[i].packed();
      ASSERT_EQ(a == nullptr, b == nullptr) << i;
      if (a == nullptr) continue;
      EXPECT_EQ(a->format, b->format);
      EXPECT_EQ(a->rows, b->rows);
      EXPECT_EQ(a->cols, b->cols);
      EXPECT_EQ(a->group_bytes, b->group_bytes);
      EXPECT_EQ(reinterpret_cast<size_t>(b->data) % 64, 0u);
      const auto bytes = static_cast<size_t>(found[i].packed_size(context_.kernels()));
      EXPECT_EQ(std::memcmp(a->data, b->data, bytes), 0) << i;
      ++compared;
    }
    EXPECT_EQ(compared, 13);
  };
  expect_all_there();
  EXPECT_TRUE(reading->file.move_to_large_pages([](size_t) { return true; }));
  expect_all_there();
  EXPECT_EQ(packed_file_model(path), "/models/a.gguf");
}

TEST_F(PackedFileTest, OutlivesItsFile) {
  const std::string path = write();
  const std::vector<Weight> wanted = prepared();
  const std::vector<Weight> found = weights();
  ASSERT_TRUE(read(path, found));
  std::filesystem::remove(path);
  write("another.packed");
  EXPECT_EQ(std::memcmp(wanted.back().packed()->data, found.back().packed()->data,
                        static_cast<size_t>(found.back().packed_size(context_.kernels()))),
            0);
}

TEST_F(PackedFileTest, RefusesAnotherKeyAndOtherMatrices) {
  const std::string path = write();
  std::vector<Weight> all = weights();
  EXPECT_FALSE(read(path, all, kKey + 1));
  for (const Weight& weight : all) EXPECT_EQ(weight.packed(), nullptr);
  expect_error([&] { read(folder_ / "none", all); }, ErrorCode::kNotFound, "none");
  const Weight last = all.back();
  all.pop_back();
  expect_error([&] { read(path, all); }, ErrorCode::kFailed, "not those of the model");
  const std::vector<float> zeros(64 * 1024);
  all.push_back(Weight::packed_from(context_, last.name(), Format::kQ8_0, 64, 1024, zeros.data()));
  expect_error([&] { read(path, all); }, ErrorCode::kFailed, "not those of the model");
  for (const Weight& weight : all) EXPECT_EQ(weight.packed(), nullptr);
}

TEST_F(PackedFileTest, FindsEveryDamage) {
  const std::string path = write();
  const std::string whole = read_file(path);
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  const size_t data = sizeof header + header;
  const std::vector<Weight> all = weights();
  const auto refused = [&](const std::string& bytes, const std::string& what) {
    overwrite(path, bytes);
    // Damage of the key makes it that of another model.
    try {
      EXPECT_FALSE(read(path, all)) << what;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kFailed) << what << ": " << e.what();
    }
    for (const Weight& weight : all) ASSERT_EQ(weight.packed(), nullptr) << what;
  };
  std::mt19937_64 random(3);
  for (int i = 0; i < 60; ++i) {
    const size_t at = i == 0 ? whole.size() - 1 : data + random() % (whole.size() - data);
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
    refused(bytes, "byte " + std::to_string(at));
  }
  refused(whole.substr(0, whole.size() - 64), "shorter");
  refused(whole + std::string(64, '\0'), "longer");
  refused(whole.substr(0, 100), "cut");
  refused("", "empty");
  refused(std::string(whole.size(), '\0'), "zeros, as after a power cut");

  std::string bytes = whole;
  bytes[data + 5] = static_cast<char>(bytes[data + 5] + 1);
  overwrite(path, bytes);
  expect_error([&] { read(path, all); }, ErrorCode::kFailed, "bytes " + std::to_string(data));
}

// Headers as they might come from anywhere: an Error or another key, never a crash; and bytes that
// pass are those of the checksums.
TEST_F(PackedFileTest, HeadersAreNotTrusted) {
  large_ = false;
  const std::string path = write();
  const testing::Bytes whole = testing::read_bytes(path);
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::vector<Weight> wanted = prepared();
  const std::vector<Weight> all = weights();
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const testing::Bytes bytes =
        testing::mutated(whole, static_cast<size_t>(header) + sizeof header, seed);
    overwrite(path, {bytes.begin(), bytes.end()});
    try {
      packed_file_model(path);
      if (!read(path, all)) continue;
    } catch (const Error&) {
      continue;
    }
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].packed() == nullptr) continue;
      ASSERT_EQ(std::memcmp(wanted[i].packed()->data, all[i].packed()->data,
                            static_cast<size_t>(all[i].packed_size(context_.kernels()))),
                0)
          << "seed " << seed;
      all[i].unprepare();
    }
  }
}

TEST_F(PackedFileTest, LeavesNothingWhenToldToStop) {
  for (const int64_t until : {int64_t{1}, int64_t{9'000'000}}) {
    const std::string path = folder_ / "stopped.packed";
    EXPECT_FALSE(write_packed_file(path, "model", kKey, prepared(),
                                   [&](int64_t done) { return done < until; }));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  }
}

TEST_F(PackedFileTest, TellsTheWorkInAll) {
  int64_t last = 0, bytes = 0;
  for (const Weight& weight : weights()) bytes += weight.packed_size(context_.kernels());
  write_packed_file(folder_ / "f", "model", kKey, prepared(), [&](int64_t done) {
    EXPECT_GT(done, last);
    last = done;
    return true;
  });
  EXPECT_EQ(last, 2 * bytes);
}

TEST_F(PackedFileTest, TheKeyIsOfTheFilesAndOfThePackedForm) {
  const std::string model = folder_ / "model";
  std::filesystem::copy(testing::data_path("models/qwen2/model"), model);
  KernelTable kernels = best_kernel_table();
  const auto key = [&] { return packed_file_key(kernels, open_model_files(model, "")); };
  const uint64_t first = key();
  EXPECT_EQ(key(), first);

  const std::string weights = model + "/model.safetensors";
  const auto time = std::filesystem::last_write_time(weights);
  std::filesystem::last_write_time(weights, time + std::chrono::nanoseconds(1));
  EXPECT_NE(key(), first) << "another time";

  // The same time on other contents, as `cp -p` leaves: then the time of the change tells.
  write_file(weights, read_file(weights));
  std::filesystem::last_write_time(weights, time);
  EXPECT_NE(key(), first) << "written anew";

  const uint64_t before = key();
  kernels.pack_rows = [](Format format, const uint8_t* source, int64_t row_bytes, int rows,
                         int64_t cols, uint8_t* target) {
    best_kernel_table().pack_rows(format, source, row_bytes, rows, cols, target);
    target[5] ^= 1;
  };
  EXPECT_NE(key(), before) << "another packed form";
}

}  // namespace
}  // namespace zhiyin
