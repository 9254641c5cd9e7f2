// Products in blocks of 32 x 32: rows to blocks, the product, and back to rows; on every table and,
// for AMX, on emulated tiles too.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "kernels/amx/gemm_blocks_bf16.h"
#include "kernels/emulated_tiles.h"
#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

using GemmBlocksTest = EveryTable;

constexpr int64_t kBlock = kBlockRows * kPanelCols;

int64_t up_to_block(int64_t n) { return (n + kPanelCols - 1) / kPanelCols * kPanelCols; }

// Filled with what no kernel may read.
template <typename T>
struct Aligned {
  explicit Aligned(int64_t count) : size(count) {
    const auto bytes = static_cast<size_t>(up_to_block(count)) * sizeof(T);
    data.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    std::fill_n(data.get(), count, static_cast<T>(0x7fc0));
  }
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data;
  int64_t size;
};

TEST_P(GemmBlocksTest, RowsBecomeBlocksWithZerosAroundThem) {
  for (const int64_t rows : {1, 15, 31, 32}) {
    for (const int64_t cols : {1, 16, 31, 32, 33, 100, 256}) {
      const int64_t stride = cols + 3;
      const auto x = random_floats(rows * stride, 1);
      const Aligned<uint16_t> blocks(kBlockRows * up_to_block(cols));
      table().blocks_from_rows_bf16({x.data(), stride, rows, cols, blocks.data.get()});
      for (int64_t r = 0; r < kBlockRows; ++r) {
        for (int64_t c = 0; c < up_to_block(cols); ++c) {
          const bool inside = r < rows && c < cols;
          const uint16_t wanted = inside ? float_to_bfloat16(x[r * stride + c]) : uint16_t{0};
          ASSERT_EQ(blocks.data.get()[c / kPanelCols * kBlock + r * kPanelCols + c % kPanelCols],
                    wanted)
              << rows << " x " << cols << " at " << r << ", " << c;
        }
      }
    }
  }
}

// sums[rows / 32][count][32][32] in double from the same bf16 values.
void check_product(void (*gemm)(const GemmBlocksBf16Args&), int64_t rows, int64_t depth,
                   int64_t count, bool accumulate) {
  SCOPED_TRACE(::testing::Message() << rows << " x " << depth << " x " << count);
  const int64_t padded = up_to_block(rows);
  const auto fill = [](Aligned<uint16_t>& target, uint64_t seed) {
    const auto values = random_floats(target.size, seed);
    for (int64_t i = 0; i < target.size; ++i) target.data.get()[i] = float_to_bfloat16(values[i]);
  };
  Aligned<uint16_t> blocks(padded * depth), panels(count * depth * kPanelCols);
  fill(blocks, 2), fill(panels, 3);
  const Aligned<float> sums(padded * count * kPanelCols);
  const auto before = random_floats(sums.size, 4);
  std::copy_n(before.data(), sums.size, sums.data.get());
  gemm({blocks.data.get(), panels.data.get(), depth, rows, count, sums.data.get(), accumulate});
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < count * kPanelCols; ++c) {
      const int64_t at = (r / kBlockRows * count + c / kPanelCols) * kBlock +
                         r % kBlockRows * kPanelCols + c % kPanelCols;
      double wanted = accumulate ? double{before[at]} : 0.0;
      for (int64_t k = 0; k < depth; ++k) {
        const uint16_t a =
            blocks.data.get()[r / kBlockRows * kBlockRows * depth + k / kPanelCols * kBlock +
                              r % kBlockRows * kPanelCols + k % kPanelCols];
        const uint16_t b = panels.data.get()[c / kPanelCols * depth * kPanelCols +
                                             k / 2 * 2 * kPanelCols + 2 * (c % kPanelCols) + k % 2];
        wanted += double{bfloat16_to_float(a)} * double{bfloat16_to_float(b)};
      }
      ASSERT_TRUE(close(sums.data.get()[at], wanted, 1e-5, 2e-4)) << r << ", " << c;
    }
  }
}

void check_products(void (*gemm)(const GemmBlocksBf16Args&)) {
  for (const int64_t rows : {1, 11, 12, 16, 17, 23, 32, 33, 70}) {
    for (const int64_t depth : {32, 96, 256}) {
      for (const int64_t count : {1, 3}) {
        for (const bool accumulate : {false, true}) {
          check_product(gemm, rows, depth, count, accumulate);
        }
      }
    }
  }
}

TEST_P(GemmBlocksTest, IsTheProduct) { check_products(table().gemm_blocks_bf16); }

TEST(GemmBlocksInTiles, IsTheProduct) {
  check_products([](const GemmBlocksBf16Args& args) {
    EmulatedTiles tiles;
    amx::multiply_blocks(tiles, args);
  });
}

TEST_P(GemmBlocksTest, SumsBecomeRows) {
  for (const int64_t rows : {1, 32, 45}) {
    for (const int64_t cols : {1, 31, 32, 50, 96}) {
      for (const bool accumulate : {false, true}) {
        const int64_t y_stride = cols + 5, count = up_to_block(cols) / kPanelCols;
        const auto sums = random_floats(up_to_block(rows) * count * kPanelCols, 5);
        const auto before = random_floats(rows * y_stride, 6);
        Guarded<float> y = before;
        table().rows_from_sums({sums.data(), rows, cols, y.data(), y_stride, accumulate});
        ASSERT_TRUE(y.intact());
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < y_stride; ++c) {
            const float sum = c < cols ? sums[(r / kBlockRows * count + c / kPanelCols) * kBlock +
                                              r % kBlockRows * kPanelCols + c % kPanelCols]
                                       : 0.0f;
            const float kept = before[r * y_stride + c];
            ASSERT_EQ(y[r * y_stride + c], c >= cols ? kept : accumulate ? kept + sum : sum);
          }
        }
      }
    }
  }
}

TEST_P(GemmBlocksTest, RowsBecomeThePanelsOfTheirColumns) {
  for (const int64_t rows : {0, 1, 2, 7, 34}) {
    for (const int64_t cols : {1, 16, 32, 45, 96}) {
      const int64_t stride = cols + 3, depth = (rows + 3) / 2 * 2;
      const int64_t panel_stride = depth * kPanelCols + 64;
      const auto x = random_floats(rows * stride, 7);
      Guarded<uint16_t> panels(up_to_block(cols) / kPanelCols * panel_stride);
      const Guarded<uint16_t> before = panels;
      table().panels_from_rows_transposed(
          {x.data(), stride, rows, cols, depth, panels.data(), panel_stride});
      ASSERT_TRUE(panels.intact());
      for (int64_t i = 0; i < panels.size(); ++i) {
        const int64_t in_panel = i % panel_stride;
        const int64_t r = in_panel / (2 * kPanelCols) * 2 + in_panel % 2;
        const int64_t c = i / panel_stride * kPanelCols + in_panel / 2 % kPanelCols;
        uint16_t wanted = before[i];
        if (r < depth) wanted = r < rows && c < cols ? float_to_bfloat16(x[r * stride + c]) : 0;
        ASSERT_EQ(panels[i], wanted) << rows << " x " << cols << " at " << r << ", " << c;
      }
    }
  }
}

TEST_P(GemmBlocksTest, ABlockBecomesRowsOfAPanel) {
  const Aligned<uint16_t> block(kBlock), panel(kBlock);
  for (int64_t i = 0; i < kBlock; ++i) block.data.get()[i] = static_cast<uint16_t>(i);
  table().panel_from_block({block.data.get(), panel.data.get()});
  for (int64_t r = 0; r < kBlockRows; ++r) {
    for (int64_t c = 0; c < kPanelCols; ++c) {
      ASSERT_EQ(panel.data.get()[(r / 2 * kPanelCols + c) * 2 + r % 2], r * kPanelCols + c)
          << r << ", " << c;
    }
  }
}

ZHIYIN_EVERY_TABLE(GemmBlocksTest);

}  // namespace
}  // namespace zhiyin::testing
