// The algorithm of the AMX product on emulated tiles, so that its indexing is proven on any
// machine.
#include "kernels/amx/gemm_panel_bf16.h"
#include "kernels/emulated_tiles.h"
#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

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
