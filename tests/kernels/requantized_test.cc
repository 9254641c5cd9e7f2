// Products with requantised weights, on every instruction set: the weights that they use, read back
// one by one, are the decoded ones to about half a step, and products of many rows are those of
// these weights in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "packed_matrix.h"

namespace zhiyin {
namespace {

using namespace testing;

struct Tiles {
  Q8TileLayout layout;
  AlignedBytes bytes;

  Tiles(const KernelTable& table, const std::vector<float>& x, int64_t tokens, int64_t cols,
        bool fine)
      : layout{cols, fine}, bytes((tokens + kQ8TileTokens - 1) / kQ8TileTokens * layout.bytes()) {
    table.q8_tiles_from_rows(x.data(), cols, tokens, layout, bytes.data.get());
  }

  // What was rounded.
  double value(int64_t t, int64_t col) const {
    const uint8_t* tile = bytes.data.get() + t / kQ8TileTokens * layout.bytes();
    const int64_t in_tile = t % kQ8TileTokens;
    const auto byte = [&](int64_t part) {
      return static_cast<int8_t>(tile[part + 4 * in_tile + col % 4]);
    };
    const int64_t quad = col / 4 * 4;
    const int high = byte(layout.q_at(quad));
    const int steps = layout.fine ? 256 * high + byte(layout.low_at(quad)) : high;
    float scale;
    std::memcpy(&scale, tile + layout.scales_at(col) + 4 * in_tile, sizeof(scale));
    return steps * static_cast<double>(scale);
  }
};

std::vector<float> multiply(const KernelTable& table, const Packed& packed, const Tiles& x,
                            int64_t tokens, int64_t stride, int64_t begin, int64_t end) {
  std::vector<float> y(static_cast<size_t>(tokens * stride), kUntouched);
  table.gemm_requantized(
      {packed.weight, x.bytes.data.get(), x.layout.fine, tokens, y.data(), stride, begin, end});
  return y;
}

// [rows, cols], as the product uses them: a token for each column that has a one there.
std::vector<float> used_weights(const KernelTable& table, const Matrix& m, const Packed& packed) {
  std::vector<float> ones(static_cast<size_t>(m.cols * m.cols));
  for (int64_t c = 0; c < m.cols; ++c) ones[static_cast<size_t>(c * m.cols + c)] = 1.0f;
  const Tiles x(table, ones, m.cols, m.cols, false);
  const std::vector<float> y = multiply(table, packed, x, m.cols, m.rows, 0, m.rows);
  std::vector<float> w(y.size());
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t c = 0; c < m.cols; ++c) {
      w[static_cast<size_t>(r * m.cols + c)] = y[static_cast<size_t>(c * m.rows + r)];
    }
  }
  return w;
}

// [rows, cols]: how far the weights of an element's window of a row lie apart, `least` at least.
std::vector<float> ranges(const std::vector<float>& w, const Matrix& m, float least = 0.0f) {
  std::vector<float> out(w.size());
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t c = 0; c < m.cols; c += kQ8Window) {
      const int64_t begin = r * m.cols + c;
      const int64_t end = r * m.cols + std::min(m.cols, c + kQ8Window);
      const auto [low, high] = std::minmax_element(w.begin() + begin, w.begin() + end);
      std::fill(out.begin() + begin, out.begin() + end, std::max(least, *high - *low));
    }
  }
  return out;
}

// What a product's weights are, and how exact its sums can be.
struct Used {
  std::vector<float> weights, ranges;

  Used(const KernelTable& table, const Matrix& m, const Packed& packed, float least_range = 0.0f)
      : weights(used_weights(table, m, packed)), ranges(zhiyin::ranges(weights, m, least_range)) {}
};

void expect_product(const KernelTable& table, const Matrix& m, const Packed& packed,
                    const Used& used, const std::vector<float>& values, int64_t tokens, bool fine,
                    int64_t begin, int64_t end) {
  SCOPED_TRACE(std::to_string(tokens) + " tokens" + (fine ? ", fine" : "") + ", rows " +
               std::to_string(begin) + " to " + std::to_string(end));
  const Tiles x(table, values, tokens, m.cols, fine);
  const int64_t stride = m.rows + 3;
  const std::vector<float> y = multiply(table, packed, x, tokens, stride, begin, end);
  expect_rows(y, stride, begin, end, [&](int64_t t, int64_t r) {
    // Sums are of levels, up to a window's range above its lowest weight.
    double expected = 0, magnitude = 0;
    for (int64_t c = 0; c < m.cols; ++c) {
      const auto at = static_cast<size_t>(r * m.cols + c);
      const double weight = used.weights[at], value = x.value(t, c);
      expected += weight * value;
      magnitude += (std::abs(weight) + used.ranges[at]) * std::abs(value);
    }
    return Near{expected, 2e-6 * magnitude + 1e-6};
  });
}

class RequantizedTest : public ::testing::TestWithParam<Format> {};

TEST_P(RequantizedTest, WeightsAreRoundedToTheNearestLevel) {
  const int64_t block = std::max(format_info(GetParam()).block, kQ8Block);
  std::mt19937 random(1);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    const Matrix m(GetParam(), 33, 256 + 3 * block, Fill::kRandom, random);
    const Packed packed(*table, m);
    const std::vector<float> w = m.values(), used = used_weights(*table, m, packed);
    const std::vector<float> range = ranges(w, m);
    double errors = 0, distances = 0, steps = 0;
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t c = 0; c < m.cols; ++c) {
        const auto at = static_cast<size_t>(r * m.cols + c);
        // Levels span all that the window's codes could be, which is more than what they are.
        const float step = range[at] / 250;
        ASSERT_NEAR(used[at], w[at], 0.9 * step) << "row " << r << ", column " << c;
        errors += static_cast<double>(used[at]) - static_cast<double>(w[at]);
        distances += std::abs(static_cast<double>(used[at]) - static_cast<double>(w[at]));
        steps += static_cast<double>(step);
      }
    }
    EXPECT_NEAR(errors / steps, 0.0, 0.02);  // no drift to one side
    EXPECT_LT(distances / steps, 0.33);      // a quarter where levels span what is there
  }
}

TEST_P(RequantizedTest, ProductEqualsThatOfTheRoundedWeights) {
  const int64_t block = std::max(format_info(GetParam()).block, kQ8Block);
  std::mt19937 random(2);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    for (const int64_t rows : {1, 17, 33}) {
      for (const int64_t cols : {block, 7 * block}) {
        const Matrix m(GetParam(), rows, cols, Fill::kRandom, random);
        const Packed packed(*table, m);
        const Used used(*table, m, packed);
        for (const int64_t tokens : {1, 20}) {
          for (const bool fine : {false, true}) {
            expect_product(*table, m, packed, used, random_values(tokens * cols, random), tokens,
                           fine, 0, rows);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

// Several batches of tokens and chunks of columns, the last ones incomplete.
TEST_P(RequantizedTest, LargeProduct) {
  std::mt19937 random(3);
  for (const KernelTable* table : every_table()) {
    if (table->isa == Isa::kRef) continue;
    SCOPED_TRACE(table->name);
    const int64_t cols = 2048 + 256, tokens = 259;
    const Matrix m(GetParam(), 33, cols, Fill::kRandom, random);
    const Packed packed(*table, m);
    const Used used(*table, m, packed);
    expect_product(*table, m, packed, used, random_values(tokens * cols, random), tokens, false, 0,
                   33);
    if (HasFatalFailure()) return;
  }
}

TEST_P(RequantizedTest, WritesItsRowsAlone) {
  std::mt19937 random(4);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    const Matrix m(GetParam(), 85, 256, Fill::kRandom, random);
    const Packed packed(*table, m);
    const Used used(*table, m, packed);
    for (const auto& [begin, end] :
         {std::pair<int64_t, int64_t>{0, 16}, {16, 64}, {32, 85}, {80, 85}, {48, 48}}) {
      expect_product(*table, m, packed, used, random_values(7 * 256, random), 7, false, begin, end);
      if (HasFatalFailure()) return;
    }
  }
}

// Codes and activations at both ends of their ranges: no intermediate sum may overflow.
TEST_P(RequantizedTest, ExtremeCodes) {
  std::mt19937 random(5);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    for (const Fill fill : {Fill::kZeros, Fill::kOnes}) {
      const Matrix m(GetParam(), 16, 512, fill, random);
      const Packed packed(*table, m);
      // Levels span what the codes could be, up to 255 steps of at most 2 * 127.
      const Used used(*table, m, packed, 255 * 254.0f);
      for (const bool fine : {false, true}) {
        std::vector<float> values(static_cast<size_t>(8 * m.cols), 1.0f);
        for (size_t i = 0; i < values.size(); ++i) {
          if (i < 512 || (i > 1024 && i % (i / 512) == 0)) values[i] = -1.0f;
          // The largest of both bytes at once, in all values of a block but one.
          if (fine && i % kQ8Block != 0) values[i] *= (126.0f * 256 + 127) / (127.0f * 256);
        }
        expect_product(*table, m, packed, used, values, 8, fine, 0, m.rows);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(RequantizedTest, ARowIsTheSameInAnyCompany) {
  std::mt19937 random(6);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    const int64_t cols = 512, most = 37;
    const Matrix m(GetParam(), 40, cols, Fill::kRandom, random);
    const Packed packed(*table, m);
    const std::vector<float> values = random_values(most * cols, random);
    const Tiles all(*table, values, most, cols, true);
    const std::vector<float> together = multiply(*table, packed, all, most, m.rows, 0, m.rows);
    for (const int64_t t : {0, 5, 36}) {
      const std::vector<float> row(values.begin() + t * cols, values.begin() + (t + 1) * cols);
      const Tiles one(*table, row, 1, cols, true);
      const auto same = together.begin() + t * m.rows;
      ASSERT_EQ(multiply(*table, packed, one, 1, m.rows, 0, m.rows),
                std::vector<float>(same, same + m.rows))
          << "row " << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, RequantizedTest, ::testing::ValuesIn(kPackedFormats),
                         [](const auto& test) { return format_info(test.param).name; });

TEST(Q8Tiles, RoundAsRowsDo) {
  std::mt19937 random(7);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    const int64_t tokens = 13, cols = 288, blocks = cols / kQ8Block;
    std::vector<float> x = random_values(tokens * cols, random);
    x[40] = std::nanf("");
    for (const bool fine : {false, true}) {
      const Tiles tiles(*table, x, tokens, cols, fine);
      std::vector<int8_t> q(x.size()), low(x.size());
      std::vector<float> scales(x.size() / kQ8Block);
      std::vector<int32_t> sums(scales.size());
      table->quantize_rows(x.data(), cols, tokens, cols,
                           {q.data(), fine ? low.data() : nullptr, scales.data(), sums.data()});
      for (int64_t t = 0; t < tokens; ++t) {
        const uint8_t* tile = tiles.bytes.data.get() + t / kQ8TileTokens * tiles.layout.bytes();
        for (int64_t col = 0; col < cols; ++col) {
          const auto at = static_cast<size_t>(t * cols + col);
          const float scale = scales[at / kQ8Block];
          const double expected =
              static_cast<double>(scale) * (fine ? 256 * q[at] + low[at] : q[at]);
          if (std::isnan(expected)) {
            ASSERT_TRUE(std::isnan(tiles.value(t, col)));
          } else {
            ASSERT_EQ(tiles.value(t, col), expected) << "row " << t << ", column " << col;
          }
        }
        for (int64_t window = 0; window < cols; window += kQ8Window) {
          float expected = 0.0f, got;
          for (int64_t b = window / kQ8Block; b < std::min(blocks, (window + kQ8Window) / kQ8Block);
               ++b) {
            const auto at = static_cast<size_t>(t * blocks + b);
            expected += scales[at] * static_cast<float>(sums[at]);
          }
          std::memcpy(&got, tile + tiles.layout.sums_at(window) + 4 * (t % kQ8TileTokens),
                      sizeof(got));
          if (std::isnan(expected)) {
            ASSERT_TRUE(std::isnan(got));
          } else {
            ASSERT_NEAR(got, expected, 1e-4) << "row " << t << ", window " << window;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace zhiyin
