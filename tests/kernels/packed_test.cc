// Integer products with packed weights: every instruction set and format against the product in
// double precision of the weights and activations as their formats define them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "packed_matrix.h"

namespace zhiyin {
namespace {

using namespace testing;

struct Inputs {
  int64_t tokens, cols;
  std::vector<int8_t> q, low;
  std::vector<float> scales;
  std::vector<int32_t> sums;

  Inputs(const KernelTable& table, const std::vector<float>& x, int64_t tokens_, int64_t cols_,
         bool fine)
      : tokens(tokens_),
        cols(cols_),
        q(x.size()),
        low(fine ? x.size() : 0),
        scales(x.size() / kQ8Block),
        sums(scales.size()) {
    table.quantize_rows(x.data(), cols, tokens, cols,
                        {q.data(), fine ? low.data() : nullptr, scales.data(), sums.data()});
  }

  // In steps of its scale.
  int steps(size_t at) const { return low.empty() ? q[at] : 256 * q[at] + low[at]; }
  double value(int64_t t, int64_t col) const {
    const auto at = static_cast<size_t>(t * cols + col);
    return steps(at) * static_cast<double>(scales[at / kQ8Block]);
  }

  PackedGemmArgs product(const PackedWeight& w, int64_t first, int64_t count, float* y,
                         int64_t y_stride, int64_t row_begin, int64_t row_end) const {
    const int64_t block = first * (cols / kQ8Block);
    return {w,
            q.data() + first * cols,
            low.empty() ? nullptr : low.data() + first * cols,
            scales.data() + block,
            sums.data() + block,
            count,
            y,
            y_stride,
            row_begin,
            row_end};
  }
};

// Multiplies rows [begin, end) and compares every element of y.
void expect_product(const KernelTable& table, const Matrix& m, const Packed& packed,
                    const std::vector<float>& w, const Inputs& x, int64_t begin, int64_t end) {
  SCOPED_TRACE(std::string(table.name) + " " + format_info(m.format).name +
               (x.low.empty() ? ", " : ", fine, ") + std::to_string(x.tokens) + " tokens, rows " +
               std::to_string(begin) + " to " + std::to_string(end) + " of " +
               std::to_string(m.rows) + ", cols " + std::to_string(m.cols));
  const int64_t stride = m.rows + 3;
  std::vector<float> y(static_cast<size_t>(x.tokens * stride), kUntouched);
  table.gemm_packed(x.product(packed.weight, 0, x.tokens, y.data(), stride, begin, end));
  expect_rows(y, stride, begin, end, [&](int64_t t, int64_t r) {
    double expected = 0, magnitude = 0;
    for (int64_t c = 0; c < m.cols; ++c) {
      const double term = w[static_cast<size_t>(r * m.cols + c)] * x.value(t, c);
      expected += term;
      magnitude += std::abs(term);
    }
    return Near{expected, 2e-6 * magnitude + 1e-6};
  });
}

class PackedTest : public ::testing::TestWithParam<Format> {};

TEST_P(PackedTest, ProductEqualsThatOfTheDecodedWeights) {
  const int64_t block = std::max(format_info(GetParam()).block, kQ8Block);
  std::mt19937 random(1);
  for (const KernelTable* table : every_table()) {
    for (const int64_t rows : {1, 15, 16, 17, 33}) {
      for (const int64_t cols : {block, 3 * block, 6 * block}) {
        const Matrix m(GetParam(), rows, cols, Fill::kRandom, random);
        const Packed packed(*table, m);
        const std::vector<float> w = m.values();
        for (const int64_t tokens : {1, 2, 3, 4, 5, 7, 12, 13}) {
          for (const bool fine : {false, true}) {
            const Inputs x(*table, random_values(tokens * cols, random), tokens, cols, fine);
            expect_product(*table, m, packed, w, x, 0, rows);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

// Several batches of tokens and chunks of columns, the last ones incomplete.
TEST_P(PackedTest, LargeProduct) {
  std::mt19937 random(2);
  for (const KernelTable* table : every_table()) {
    if (table->isa == Isa::kRef) continue;
    const int64_t cols = 2048 + 256, tokens = 133;
    const Matrix m(GetParam(), 33, cols, Fill::kRandom, random);
    const Packed packed(*table, m);
    const std::vector<float> w = m.values();
    for (const bool fine : {false, true}) {
      const Inputs x(*table, random_values(tokens * cols, random), tokens, cols, fine);
      expect_product(*table, m, packed, w, x, 0, m.rows);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(PackedTest, WritesItsRowsAlone) {
  std::mt19937 random(3);
  for (const KernelTable* table : every_table()) {
    const Matrix m(GetParam(), 85, 256, Fill::kRandom, random);
    const Packed packed(*table, m);
    const std::vector<float> w = m.values();
    for (const int64_t tokens : {1, 6}) {
      const Inputs x(*table, random_values(tokens * m.cols, random), tokens, m.cols, tokens == 1);
      for (const auto& [begin, end] :
           {std::pair<int64_t, int64_t>{0, 16}, {16, 64}, {32, 85}, {80, 85}, {48, 48}}) {
        expect_product(*table, m, packed, w, x, begin, end);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Panels of the packed form are those of the decoded rows, rounded once to bf16 however the steps
// before it round.
TEST_P(PackedTest, PanelsHoldTheDecodedWeights) {
  const int64_t block = std::max(format_info(GetParam()).block, kQ8Block);
  std::mt19937 random(8);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    for (const int64_t cols : {block, int64_t{512} + 3 * block}) {
      const Matrix m(GetParam(), 53, cols, Fill::kRandom, random);
      const Packed packed(*table, m);
      const std::vector<float> w = m.values();
      for (const int64_t row : {0, 16, 32, 48}) {
        for (int64_t k = 0; k < cols; k += 512) {
          const int64_t depth = std::min<int64_t>(512, cols - k);
          const AlignedBytes bytes(depth * kPanelCols * 2);
          auto* panel = reinterpret_cast<uint16_t*>(bytes.data.get());
          table->panel_from_packed({packed.weight, row, k, depth, panel});
          for (int64_t i = 0; i < depth; ++i) {
            for (int64_t c = 0; c < kPanelCols; ++c) {
              const float got = bfloat16_to_float(panel[i / 2 * 2 * kPanelCols + 2 * c + i % 2]);
              const float expected =
                  row + c < m.rows ? w[static_cast<size_t>((row + c) * cols + k + i)] : 0.0f;
              // A weight near zero is the difference of two numbers as large as its scale and min.
              ASSERT_NEAR(got, expected, std::abs(expected) / 255 + 2e-4)
                  << "row " << row + c << ", column " << k + i;
            }
          }
        }
      }
    }
  }
}

TEST_P(PackedTest, TransposedPanelsHoldTheDecodedWeights) {
  const int64_t block = std::max(format_info(GetParam()).block, kQ8Block);
  std::mt19937 random(9);
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    const int64_t all_cols = 256 + block;
    const Matrix m(GetParam(), 53, all_cols, Fill::kRandom, random);
    const Packed packed(*table, m);
    const std::vector<float> w = m.values();
    for (const auto& [row, depth] :
         {std::pair<int64_t, int64_t>{0, 54}, {16, 32}, {32, 6}, {32, 64}}) {
      for (const int64_t col : {0, 256}) {
        const int64_t cols = std::min<int64_t>(256, all_cols - col);
        const AlignedBytes bytes(depth * cols * 2);
        auto* panels = reinterpret_cast<uint16_t*>(bytes.data.get());
        table->panels_from_packed_transposed({packed.weight, row, depth, col, cols, panels});
        for (int64_t r = 0; r < depth; ++r) {
          for (int64_t c = 0; c < cols; ++c) {
            const uint16_t* panel = panels + c / kPanelCols * depth * kPanelCols;
            const float got =
                bfloat16_to_float(panel[r / 2 * 2 * kPanelCols + 2 * (c % kPanelCols) + r % 2]);
            const float expected =
                row + r < m.rows ? w[static_cast<size_t>((row + r) * all_cols + col + c)] : 0.0f;
            ASSERT_NEAR(got, expected, std::abs(expected) / 255 + 2e-4)
                << "row " << row + r << ", column " << col + c;
          }
        }
      }
    }
  }
}

// Codes and activations at both ends of their ranges: no intermediate sum may saturate.
TEST_P(PackedTest, ExtremeCodes) {
  std::mt19937 random(4);
  for (const KernelTable* table : every_table()) {
    for (const Fill fill : {Fill::kZeros, Fill::kOnes}) {
      const Matrix m(GetParam(), 16, 512, fill, random);
      const Packed packed(*table, m);
      const std::vector<float> w = m.values();
      for (const int64_t tokens : {2, 8}) {
        std::vector<float> values(static_cast<size_t>(tokens * m.cols), 1.0f);
        // Token 1 takes the other end, later ones change sign column by column.
        for (int64_t i = 0; i < tokens * m.cols; ++i) {
          const int64_t t = i / m.cols;
          if (t == 1 || (t > 1 && i % t == 0)) values[static_cast<size_t>(i)] = -1.0f;
        }
        for (const bool fine : {false, true}) {
          if (fine) {  // the largest of both bytes at once, in all values of a block but one
            for (size_t i = 0; i < values.size(); ++i) {
              if (i % kQ8Block != 0) values[i] *= (126.0f * 256 + 127) / (127.0f * 256);
            }
          }
          const Inputs x(*table, values, tokens, m.cols, fine);
          ASSERT_TRUE(!fine || std::abs(x.low[1]) == 127);
          expect_product(*table, m, packed, w, x, 0, m.rows);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// What is verified together must be what was computed alone.
TEST_P(PackedTest, ARowIsTheSameInAnyCompany) {
  std::mt19937 random(10);
  for (const KernelTable* table : every_table()) {
    if (table->isa == Isa::kRef) continue;
    const int64_t cols = 4096 + 512, most = 37;  // more than any kernel takes at a time
    const Matrix m(GetParam(), 40, cols, Fill::kRandom, random);
    const Packed packed(*table, m);
    const auto product = [&](const Inputs& x, int64_t first, int64_t count) {
      std::vector<float> y(static_cast<size_t>(count * m.rows));
      table->gemm_packed(x.product(packed.weight, first, count, y.data(), m.rows, 0, m.rows));
      return y;
    };
    for (const bool fine : {false, true}) {
      const Inputs x(*table, random_values(most * cols, random), most, cols, fine);
      std::vector<std::vector<float>> alone;
      for (int64_t t = 0; t < most; ++t) alone.push_back(product(x, t, 1));
      for (int64_t count = 2; count <= most; count += count < 17 ? 1 : 20) {
        const std::vector<float> together = product(x, 0, count);
        for (int64_t t = 0; t < count; ++t) {
          const auto row = together.begin() + t * m.rows;
          ASSERT_EQ(alone[static_cast<size_t>(t)], std::vector<float>(row, row + m.rows))
              << table->name << (fine ? ", fine" : "") << ", row " << t << " of " << count;
        }
      }
    }
  }
}

TEST_P(PackedTest, TakesNoMoreBytesThanTheFile) {
  for (const int64_t cols : {1536, 4864}) {
    const auto file = static_cast<double>(kPackRows * row_bytes(GetParam(), cols));
    for (const KernelTable* table : every_table()) {
      const int64_t packed = table->packed_group_bytes(GetParam(), cols);
      EXPECT_EQ(packed % 64, 0);
      EXPECT_LE(static_cast<double>(packed), 1.02 * file);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PackedTest, ::testing::ValuesIn(kPackedFormats),
                         [](const auto& test) { return format_info(test.param).name; });

TEST(PackedFormats, DenseOnesHaveNoPackedForm) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    for (const KernelTable* table : every_table()) {
      EXPECT_EQ(table->packed_group_bytes(format, 256), 0);
    }
  }
}

TEST(QuantizeRows, RoundsToTheNearestStep) {
  std::mt19937 random(5);
  const int64_t rows = 3, cols = 1024;
  const std::vector<float> x = random_values(rows * cols, random);
  for (const KernelTable* table : every_table()) {
    for (const bool fine : {false, true}) {
      SCOPED_TRACE(std::string(table->name) + (fine ? ", fine" : ""));
      const Inputs got(*table, x, rows, cols, fine);
      int too_large = 0;
      for (size_t block = 0; block < got.scales.size(); ++block) {
        float max = 0;
        int sum = 0;
        for (size_t i = block * kQ8Block; i < (block + 1) * kQ8Block; ++i) {
          max = std::max(max, std::abs(x[i]));
          sum += got.steps(i);
          const float error = got.scales[block] * static_cast<float>(got.steps(i)) - x[i];
          if (fine && got.low[i] == -127 && error > 0.5f * got.scales[block]) {
            ++too_large;
            EXPECT_LE(error, 1.51f * got.scales[block]);
          } else {
            EXPECT_LE(std::abs(error), (fine ? 0.51f : 0.5001f) * got.scales[block]);
          }
        }
        EXPECT_FLOAT_EQ(got.scales[block], max / (fine ? 127 * 256 : 127));
        EXPECT_EQ(got.sums[block], sum);
      }
      EXPECT_LE(too_large, fine ? 40 : 0);  // one value in 256
    }
  }
}

TEST(QuantizeRows, ReadsRowsAtTheirStride) {
  std::mt19937 random(11);
  const int64_t rows = 3, cols = 96, stride = 101;
  const std::vector<float> x = random_values(rows * stride, random);
  for (const KernelTable* table : every_table()) {
    std::vector<int8_t> q(rows * cols);
    std::vector<float> scales(rows * cols / kQ8Block);
    std::vector<int32_t> sums(scales.size());
    table->quantize_rows(x.data(), stride, rows, cols,
                         {q.data(), nullptr, scales.data(), sums.data()});
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> row(x.begin() + r * stride, x.begin() + r * stride + cols);
      const Inputs alone(*table, row, 1, cols, false);
      EXPECT_TRUE(std::equal(alone.q.begin(), alone.q.end(), q.begin() + r * cols)) << table->name;
    }
  }
}

TEST(QuantizeRows, SameCodesOnEveryInstructionSet) {
  std::mt19937 random(6);
  const int64_t cols = 4096;
  const std::vector<float> x = random_values(cols, random);
  for (const bool fine : {false, true}) {
    const Inputs reference(*kernel_table(Isa::kRef), x, 1, cols, fine);
    for (const KernelTable* table : every_table()) {
      const Inputs got(*table, x, 1, cols, fine);
      EXPECT_EQ(got.q, reference.q) << table->name;
      EXPECT_EQ(got.low, reference.low) << table->name;
      EXPECT_EQ(got.scales, reference.scales) << table->name;
      EXPECT_EQ(got.sums, reference.sums) << table->name;
    }
  }
}

TEST(QuantizeRows, ZeroTinyAndNonFiniteBlocks) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : every_table()) {
    SCOPED_TRACE(table->name);
    std::vector<float> x(5 * kQ8Block, 0.0f);
    x[1 * kQ8Block + 7] = 1e-40f;
    x[2 * kQ8Block + 3] = kInfinity;
    x[3 * kQ8Block + 9] = std::numeric_limits<float>::quiet_NaN();
    x[3 * kQ8Block + 10] = 5.0f;
    x[4 * kQ8Block + 31] = -3e38f;
    for (const bool fine : {false, true}) {
      const Inputs got(*table, x, 1, 5 * kQ8Block, fine);
      EXPECT_EQ(got.scales[0], 0.0f);
      EXPECT_EQ(got.scales[1], 0.0f);
      EXPECT_EQ(got.sums[1], 0);
      EXPECT_FALSE(std::isfinite(got.scales[2]));
      EXPECT_TRUE(std::isnan(got.scales[3]));  // so that the product shows it
      EXPECT_EQ(got.q[4 * kQ8Block + 31], -127);
    }
  }
}

}  // namespace
}  // namespace zhiyin
