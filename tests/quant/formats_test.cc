#include "quant/formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "base/file.h"
#include "harness/paths.h"
#include "zhiyin/error.h"

namespace zhiyin {
namespace {

constexpr int kCols = 512;
constexpr int kRows = 24;

std::vector<uint8_t> pack(const FormatInfo& format, const std::vector<float>& x,
                          const float* importance = nullptr) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<uint8_t> packed(static_cast<size_t>(row_bytes(format.format, n)));
  format.pack(x.data(), packed.data(), n, importance);
  return packed;
}

std::vector<float> unpack(const FormatInfo& format, const std::vector<uint8_t>& packed, size_t n) {
  std::vector<float> x(n);
  format.unpack(packed.data(), x.data(), static_cast<int64_t>(n));
  return x;
}

uint64_t fnv1a(const std::vector<float>& values, uint64_t hash) {
  for (const float value : values) {
    uint8_t bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
  }
  return hash;
}

// tools/golden/make_quant.py tells how the file is laid out.
TEST(Formats, EqualGgmlByteForByte) {
  const std::string golden = read_file(testing::data_path("quant/golden.bin"));
  const auto index = nlohmann::json::parse(read_file(testing::data_path("quant/golden.json")));
  size_t at = 0;
  const auto take = [&](void* target, size_t size) {
    ASSERT_LE(at + size, golden.size());
    std::memcpy(target, golden.data() + at, size);
    at += size;
  };
  std::vector<std::vector<float>> source(kRows, std::vector<float>(kCols));
  std::vector<float> importance(kCols);
  for (auto& row : source) take(row.data(), kCols * sizeof(float));
  take(importance.data(), kCols * sizeof(float));

  EXPECT_EQ(index.size(), size_t{kFormatCount - 1});
  for (const auto& entry : index) {
    const FormatInfo* format = find_format(entry["name"].get<std::string>());
    ASSERT_NE(format, nullptr) << entry;
    std::vector<uint8_t> expected(static_cast<size_t>(row_bytes(format->format, kCols)));
    uint64_t hash = 0xCBF29CE484222325;
    for (int row = 0; row < kRows; ++row) {
      take(expected.data(), expected.size());
      EXPECT_EQ(pack(*format, source[row]), expected) << format->name << " row " << row;
      hash = fnv1a(unpack(*format, expected, kCols), hash);
    }
    EXPECT_EQ(hash, std::stoull(entry["decoded"].get<std::string>(), nullptr, 16)) << format->name;
    for (int row = 0; row < kRows; ++row) {
      take(expected.data(), expected.size());
      EXPECT_EQ(pack(*format, source[row], importance.data()), expected)
          << format->name << " row " << row << " with importance";
    }
  }
  EXPECT_EQ(at, golden.size());
}

TEST(Formats, ErrorStaysWithinTheBound) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const FormatInfo& format : all_formats()) {
    for (int trial = 0; trial < 40; ++trial) {
      std::vector<float> x(2048);
      const float scale = std::pow(10.0f, static_cast<float>(trial % 5 - 1));
      for (float& value : x) value = scale * (trial % 2 == 0 ? normal(random) : uniform(random));
      const std::vector<float> y = unpack(format, pack(format, x), x.size());
      for (size_t start = 0; start < x.size(); start += static_cast<size_t>(format.block)) {
        float largest = 0, error = 0;
        for (size_t i = start; i < start + static_cast<size_t>(format.block); ++i) {
          largest = std::max(largest, std::fabs(x[i]));
          error = std::max(error, std::fabs(x[i] - y[i]));
        }
        // Half the step of subnormal halves comes on top for F16's smallest numbers.
        ASSERT_LE(error, format.error_bound * largest + 0x1p-25f) << format.name << " " << trial;
      }
    }
  }
}

// The scale and the min of a plain block as ggml finds them: one element after the other, so that
// of equal magnitudes, and of the two zeros, the first counts.
TEST(Formats, PlainBlocksTakeTheFirstOfEquals) {
  const float values[] = {
      0.0f, -0.0f, 1.5f, -1.5f, 0.25f, -0.25f, std::numeric_limits<float>::quiet_NaN()};
  std::mt19937 random(12);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<float> x(32);
    // NaN, the last, is rare; the fewer kinds there are, the more often blocks are all zero.
    const size_t kinds = 2 + random() % (trial % 50 == 0 ? 6 : 5);
    for (float& value : x) value = values[random() % kinds];
    float extreme = 0, low = std::numeric_limits<float>::max(), high = -low;
    for (const float value : x) {
      if (std::fabs(extreme) < std::fabs(value)) extreme = value;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    for (const char* name : {"Q4_0", "Q5_0", "Q4_1", "Q5_1"}) {
      const bool affine = name[3] == '1';
      const float codes = name[1] == '4' ? 16 : 32;
      const std::vector<uint8_t> packed = pack(*find_format(name), x);
      uint16_t d = 0, m = 0;
      std::memcpy(&d, packed.data(), sizeof d);
      std::memcpy(&m, packed.data() + sizeof d, sizeof m);
      EXPECT_EQ(d, float_to_half(affine ? (high - low) / (codes - 1) : extreme / (codes / -2)))
          << name << " " << trial;
      if (affine) {
        EXPECT_EQ(m, float_to_half(low)) << name << " " << trial;
      }
    }
  }
}

// However many blocks a row has: encoders take several at a time.
TEST(Formats, BlocksOfARowArePackedAsIfAlone) {
  std::mt19937 random(13);
  std::normal_distribution<float> normal;
  std::vector<float> x(9 * 256);
  for (float& value : x) value = normal(random);
  for (const FormatInfo& format : all_formats()) {
    std::vector<uint8_t> expected;
    const int elements = format.block == 1 ? 32 : format.block;
    for (size_t at = 0; at < x.size(); at += static_cast<size_t>(elements)) {
      const std::vector<float> block(x.begin() + static_cast<std::ptrdiff_t>(at),
                                     x.begin() + static_cast<std::ptrdiff_t>(at) + elements);
      const std::vector<uint8_t> packed = pack(format, block);
      expected.insert(expected.end(), packed.begin(), packed.end());
      if ((at + static_cast<size_t>(elements)) % 256 != 0) continue;
      const std::vector<float> row(x.begin(),
                                   x.begin() + static_cast<std::ptrdiff_t>(at) + elements);
      ASSERT_EQ(pack(format, row), expected) << format.name << " " << row.size();
    }
  }
}

TEST(Formats, MoreBitsMeanLessError) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> x(1 << 14);
  for (float& value : x) value = normal(random);
  const auto mean_square_error = [&](const char* name) {
    const FormatInfo& format = *find_format(name);
    const std::vector<float> y = unpack(format, pack(format, x), x.size());
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += std::pow(double{x[i]} - y[i], 2);
    return sum / static_cast<double>(x.size());
  };
  const char* order[] = {"F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K"};
  for (size_t i = 1; i < std::size(order); ++i) {
    EXPECT_LT(mean_square_error(order[i - 1]), mean_square_error(order[i])) << order[i];
  }
  EXPECT_LT(mean_square_error("Q4_K"), mean_square_error("Q4_0"));
}

TEST(Formats, ImportanceLowersTheErrorItWeighs) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::vector<float> x(1 << 13), importance(x.size());
  for (float& value : x) value = normal(random);
  for (float& value : importance) value = std::pow(normal(random), 4.0f);
  for (const FormatInfo& format : all_formats()) {
    if (format.block == 1 || format.format == Format::kQ8_0) continue;  // nothing to choose
    const auto error = [&](const float* weights) {
      const std::vector<float> y = unpack(format, pack(format, x, weights), x.size());
      double sum = 0;
      for (size_t i = 0; i < x.size(); ++i) sum += importance[i] * std::pow(double{x[i]} - y[i], 2);
      return sum;
    };
    EXPECT_LT(error(importance.data()), error(nullptr)) << format.name;
  }
}

// Whatever the numbers: no undefined behaviour (the sanitizers' part), and zeros stay zeros.
TEST(Formats, SurviveOddNumbers) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const float specials[] = {0.0f, -0.0f, 1e-45f, -1e-39f, 1e-38f,    3e38f, -3e38f,
                            kInf, -kInf, kNan,   65504,   -70000.0f, 1.0f,  -1.0f};
  std::mt19937 random(10);
  const std::vector<float> ones(256, 1.0f), none(256, 0.0f);
  for (const FormatInfo& format : all_formats()) {
    for (int trial = 0; trial < 100; ++trial) {
      std::vector<float> x(256);
      const size_t kinds = 1 + random() % std::size(specials);
      const size_t from = random() % std::size(specials);
      for (float& value : x) value = specials[(from + random() % kinds) % std::size(specials)];
      for (const float* importance :
           {static_cast<const float*>(nullptr), ones.data(), none.data()}) {
        unpack(format, pack(format, x, importance), x.size());
      }
    }
    EXPECT_EQ(unpack(format, pack(format, none), 256), none) << format.name;
  }
}

TEST(Formats, UnpackAcceptsAnyBytes) {
  std::mt19937 random(11);
  for (const FormatInfo& format : all_formats()) {
    std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes(format.format, 2048)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    unpack(format, bytes, 2048);
  }
}

TEST(Formats, DenseRowsNeedNoAlignment) {
  const std::vector<float> x = {1.0f, -2.5f, 0.0f, 384.0f};
  for (const char* name : {"F32", "F16", "BF16"}) {
    const FormatInfo& format = *find_format(name);
    std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes(format.format, 4)) + 1);
    format.pack(x.data(), bytes.data() + 1, 4, nullptr);
    std::vector<float> y(4);
    format.unpack(bytes.data() + 1, y.data(), 4);
    EXPECT_EQ(y, x) << name;
  }
}

TEST(Formats, AreFoundByNameAndNumber) {
  for (const FormatInfo& format : all_formats()) {
    EXPECT_EQ(&format_info(format.format), &format);
    EXPECT_EQ(find_format(format.name), &format);
    EXPECT_EQ(find_format(format.ggml_type), &format);
  }
  EXPECT_EQ(find_format("q4_k"), &format_info(Format::kQ4_K));
  EXPECT_EQ(find_format("Q4_K_M"), nullptr);
  EXPECT_EQ(find_format(""), nullptr);
  EXPECT_EQ(find_format(4u), nullptr);
}

TEST(Formats, RowBytes) {
  EXPECT_EQ(row_bytes(Format::kF32, 3), 12);
  EXPECT_EQ(row_bytes(Format::kQ8_0, 64), 68);
  EXPECT_EQ(row_bytes(Format::kQ4_K, 512), 288);
  EXPECT_EQ(row_bytes(Format::kQ6_K, 0), 0);
  const auto message = [](Format format, int64_t cols) -> std::string {
    try {
      row_bytes(format, cols);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(Format::kQ4_K, 896),
            "Q4_K: a row of 896 elements is no multiple of the block of 256; choose another format "
            "for this tensor");
  EXPECT_NE(message(Format::kQ8_0, -32), "no error");
  EXPECT_NE(message(Format::kF32, int64_t{1} << 61), "no error");
}

}  // namespace
}  // namespace zhiyin
