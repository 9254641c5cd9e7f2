// The algorithm of the AMX product on emulated tiles, so that its indexing is proven on any
// machine.
#include <cstring>

#include "kernels/amx/gemm_panel_bf16.h"
#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

class EmulatedTiles {
 public:
  // Registers hold anything at first; here NaNs.
  EmulatedTiles() { std::memset(tiles_, 0xff, sizeof tiles_); }

  template <int kTile>
  void zero() {
    std::memset(tiles_[kTile], 0, sizeof tiles_[kTile]);
  }
  template <int kTile>
  void load(const void* p, int64_t stride) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(tiles_[kTile][r], static_cast<const uint8_t*>(p) + r * stride, kRowBytes);
    }
  }
  template <int kTile>
  void store(void* p, int64_t stride) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(static_cast<uint8_t*>(p) + r * stride, tiles_[kTile][r], kRowBytes);
    }
  }
  template <int kSum, int kA, int kB>
  void dot_bf16() {
    for (int m = 0; m < kRows; ++m) {
      for (int n = 0; n < 16; ++n) {
        float sum;
        std::memcpy(&sum, tiles_[kSum][m] + 4 * n, sizeof sum);
        for (int k = 0; k < 16; ++k) {
          for (int half = 0; half < 2; ++half) {
            sum += element(kA, m, 2 * k + half) * element(kB, k, 2 * n + half);
          }
        }
        std::memcpy(tiles_[kSum][m] + 4 * n, &sum, sizeof sum);
      }
    }
  }

 private:
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;

  float element(int tile, int row, int i) const {
    uint16_t bits;
    std::memcpy(&bits, tiles_[tile][row] + 2 * i, sizeof bits);
    return bfloat16_to_float(bits);
  }

  uint8_t tiles_[8][kRows][kRowBytes];
};

TEST(AmxTilesTest, IsTheProductOfThePlainKernel) {
  const KernelTable& ref = *kernel_table(Isa::kRef);
  for (const int64_t tokens : {1, 15, 16, 17, 31, 32, 33, 64, 70}) {
    for (const int64_t k : {2, 30, 32, 34, 64, 98}) {
      for (const int cols : {1, 16, 17, 32}) {
        for (const bool accumulate : {false, true}) {
          SCOPED_TRACE(::testing::Message() << tokens << " x " << k << " x " << cols);
          const int64_t a_stride = k + 4, c_stride = cols + 3;
          const auto values = random_floats(tokens * a_stride, 1);
          Guarded<uint16_t> a(values.size());
          ref.f32_to_bf16(values.data(), a.data(), values.size());
          const auto rows = random_floats(kPanelCols * k, 2);
          std::vector<uint16_t> panel(static_cast<size_t>(k * kPanelCols));
          ref.panel_from_rows_bf16(rows.data(), k, cols, k, panel.data());
          Guarded<float> c = random_floats(tokens * c_stride, 3);
          Guarded<float> expected = c;
          GemmPanelBf16Args args = {a.data(), a_stride, panel.data(), k,         tokens,
                                    c.data(), c_stride, cols,         accumulate};
          amx::gemm_panel_bf16_in_tiles<EmulatedTiles>(args);
          args.c = expected.data();
          ref.gemm_panel_bf16(args);
          ASSERT_TRUE(c.intact());
          for (int64_t i = 0; i < c.size(); ++i) {
            ASSERT_TRUE(close(c[i], expected[i], 1e-5, 1e-5)) << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace zhiyin::testing
