#include <algorithm>

#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

using GemmPanelTest = EveryTable;

struct Shape {
  int64_t tokens, k;
  int cols;
};
constexpr Shape kShapes[] = {{1, 2, 1},    {1, 64, 32},  {2, 66, 31},  {3, 34, 17},
                             {5, 30, 16},  {7, 128, 15}, {11, 62, 32}, {12, 64, 32},
                             {13, 96, 32}, {16, 32, 32}, {17, 130, 7}, {33, 36, 32},
                             {32, 64, 16}, {65, 70, 29}, {6, 4, 8},    {24, 900, 32}};

// Checks c = a . rows^T through a panel made by the same table.
template <typename Stored, typename Gemm, typename MakePanel, typename Store>
void check_gemm(Gemm gemm, MakePanel make_panel, Store to_stored, double tolerance) {
  for (const Shape& s : kShapes) {
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(::testing::Message() << s.tokens << " x " << s.k << " x " << s.cols);
      const int64_t a_stride = s.k + 3, c_stride = s.cols + 5;
      const auto a = random_floats(s.tokens * a_stride, 1);
      const auto rows = random_floats(s.cols * a_stride, 2);
      Guarded<Stored> stored(s.tokens * a_stride);
      for (int64_t i = 0; i < stored.size(); ++i) stored[i] = to_stored(a[i]);
      Guarded<Stored> panel(s.k * kPanelCols);
      make_panel(rows.data(), a_stride, s.cols, s.k, panel.data());
      ASSERT_TRUE(panel.intact());
      const auto before = random_floats(s.tokens * c_stride, 3);
      Guarded<float> c = before;
      gemm({stored.data(), a_stride, panel.data(), s.k, s.tokens, c.data(), c_stride, s.cols,
            accumulate});
      ASSERT_TRUE(c.intact());
      for (int64_t t = 0; t < s.tokens; ++t) {
        for (int64_t j = 0; j < c_stride; ++j) {
          double expected = before[t * c_stride + j];
          if (j < s.cols) {
            if (!accumulate) expected = 0;
            for (int64_t i = 0; i < s.k; ++i) {
              expected += double{a[t * a_stride + i]} * double{rows[j * a_stride + i]};
            }
          }
          // Elements beyond cols stay as they were.
          const double bound = j < s.cols ? tolerance * std::sqrt(static_cast<double>(s.k)) : 0.0;
          ASSERT_TRUE(close(c[t * c_stride + j], expected, 0, bound)) << t << ", " << j;
        }
      }
    }
  }
}

TEST_P(GemmPanelTest, F32IsTheProduct) {
  check_gemm<float>(
      table().gemm_panel_f32, table().panel_from_rows_f32, [](float x) { return x; }, 5e-6);
}

TEST_P(GemmPanelTest, Bf16IsTheProductOfRoundedValues) {
  check_gemm<uint16_t>(table().gemm_panel_bf16, table().panel_from_rows_bf16, float_to_bfloat16,
                       2e-2);
  // Against the same rounded values, only the order of sums differs.
  const int64_t k = 258, tokens = 37;
  const auto a = random_floats(tokens * k, 4);
  Guarded<uint16_t> stored(a.size());
  for (int64_t i = 0; i < a.size(); ++i) stored[i] = float_to_bfloat16(a[i]);
  const auto rows = random_floats(kPanelCols * k, 5);
  Guarded<uint16_t> panel(k * kPanelCols);
  table().panel_from_rows_bf16(rows.data(), k, kPanelCols, k, panel.data());
  Guarded<float> c(tokens * kPanelCols);
  table().gemm_panel_bf16(
      {stored.data(), k, panel.data(), k, tokens, c.data(), kPanelCols, kPanelCols, false});
  for (int64_t t = 0; t < tokens; ++t) {
    for (int j = 0; j < kPanelCols; ++j) {
      double expected = 0;
      for (int64_t i = 0; i < k; ++i) {
        expected += double{bfloat16_to_float(stored[t * k + i])} *
                    double{bfloat16_to_float(float_to_bfloat16(rows[j * k + i]))};
      }
      ASSERT_TRUE(close(c[t * kPanelCols + j], expected, 0, 1e-4)) << t << ", " << j;
    }
  }
}

TEST_P(GemmPanelTest, PanelsHoldZerosBeyondTheirColumns) {
  const auto rows = random_floats(5 * 34, 6);
  Guarded<float> f32(34 * kPanelCols);
  Guarded<uint16_t> bf16(34 * kPanelCols);
  table().panel_from_rows_f32(rows.data(), 34, 5, 34, f32.data());
  table().panel_from_rows_bf16(rows.data(), 34, 5, 34, bf16.data());
  ASSERT_TRUE(f32.intact());
  ASSERT_TRUE(bf16.intact());
  for (int64_t i = 0; i < 34; ++i) {
    for (int j = 0; j < kPanelCols; ++j) {
      const float expected = j < 5 ? rows[j * 34 + i] : 0.0f;
      ASSERT_EQ(f32[i * kPanelCols + j], expected);
      ASSERT_EQ(bf16[(i / 2 * kPanelCols + j) * 2 + i % 2], float_to_bfloat16(expected));
    }
  }
}

// Prefill, decode and any split over threads give the same bits.
TEST_P(GemmPanelTest, RowsDoNotDependOnTheirNeighbours) {
  const int64_t k = 300, tokens = 29;
  const auto a = random_floats(tokens * k, 7);
  const auto panel = random_floats(k * kPanelCols, 8);
  Guarded<float> all(tokens * kPanelCols), one(kPanelCols);
  table().gemm_panel_f32(
      {a.data(), k, panel.data(), k, tokens, all.data(), kPanelCols, kPanelCols, false});
  for (int64_t t = 0; t < tokens; ++t) {
    table().gemm_panel_f32(
        {a.data() + t * k, k, panel.data(), k, 1, one.data(), kPanelCols, kPanelCols, false});
    ASSERT_TRUE(std::equal(one.data(), one.data() + kPanelCols, all.data() + t * kPanelCols));
  }
}

TEST_P(GemmPanelTest, GemvIsTheDotProductOfStoredRows) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    for (const int64_t cols : kOddLengths) {
      for (const int64_t rows : {1, 3, 4, 6, 9}) {
        const int width = format == Format::kF32 ? 4 : 2;
        const int64_t row_stride = cols * width + 6;
        const auto w = random_floats(rows * cols, 9);
        std::vector<uint8_t> bytes(static_cast<size_t>(rows * row_stride));
        Guarded<float> decoded(rows * cols);
        for (int64_t r = 0; r < rows; ++r) {
          uint8_t* row = bytes.data() + r * row_stride;
          format_info(format).pack(w.data() + r * cols, row, cols, nullptr);
          format_info(format).unpack(row, decoded.data() + r * cols, cols);
        }
        const auto x = random_floats(cols, 10);
        Guarded<float> y(rows);
        table().gemv_dense({format, bytes.data(), row_stride, rows, cols, x.data(), y.data()});
        ASSERT_TRUE(y.intact());
        for (int64_t r = 0; r < rows; ++r) {
          double expected = 0;
          for (int64_t i = 0; i < cols; ++i) {
            expected += double{decoded[r * cols + i]} * double{x[i]};
          }
          ASSERT_TRUE(close(y[r], expected, 1e-6, 1e-5)) << format_info(format).name << " " << cols;
        }
      }
    }
  }
}

ZHIYIN_EVERY_TABLE(GemmPanelTest);

}  // namespace
}  // namespace zhiyin::testing
