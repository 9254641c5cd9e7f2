#include "kernels/avx2/kernels_avx2.h"
#include "kernels/avx2/lanes.h"
#include "kernels/wide/product.h"

namespace zhiyin::avx2 {
namespace {

constexpr int64_t kDepth = 128;  // of k at a time: the panel's part as f32 takes 16 KiB

// panel[k / 2][32][2] to wide[k][32].
void widen_panel(const uint16_t* panel, int64_t k, float* wide) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  for (int64_t i = 0; i < k; i += 2) {
    for (int64_t j = 0; j < kPanelCols; j += Lanes::kCount) {
      const uint16_t* source = panel + i * kPanelCols + 2 * j;
      const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
      float* target = wide + i * kPanelCols + j;
      _mm256_storeu_ps(target, _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)));
      _mm256_storeu_ps(target + kPanelCols, _mm256_castsi256_ps(_mm256_and_si256(pairs, upper)));
    }
  }
}

}  // namespace

// Through f32, which AVX2 has products for; bfloat16 values fit it exactly.
void gemm_blocks_bf16(const GemmBlocksBf16Args& args) {
  float panel[kDepth * kPanelCols];
  float a[kBlockRows * kDepth];
  constexpr int64_t kBlock = kBlockRows * kPanelCols;
  for (int64_t p = 0; p < args.count; ++p) {
    for (int64_t i = 0; i < args.depth; i += kDepth) {
      const int64_t depth = args.depth - i < kDepth ? args.depth - i : kDepth;
      widen_panel(args.panels + (p * args.depth + i) * kPanelCols, depth, panel);
      for (int64_t row = 0; row < args.rows; row += kBlockRows) {
        const int64_t rows = args.rows - row < kBlockRows ? args.rows - row : kBlockRows;
        const uint16_t* block = args.blocks + row * args.depth + i * kBlockRows;
        for (int64_t step = 0; step < depth; step += kPanelCols, block += kBlock) {
          for (int64_t r = 0; r < rows; ++r) {
            wide::for_lanes<Lanes>(kPanelCols, [&](int64_t j, auto part) {
              Lanes::store(a + r * kDepth + step + j, part,
                           Lanes::load_bf16(block + r * kPanelCols + j, part));
            });
          }
        }
        wide::product_cols<Lanes, Lanes::kTileRows, 2>(
            {.a = a,
             .a_stride = kDepth,
             .k = depth,
             .c = args.sums + (row * args.count + p * kBlockRows) * kPanelCols,
             .c_stride = kPanelCols,
             .cols = kPanelCols,
             .accumulate = args.accumulate || i > 0},
            wide::DenseCursor<Lanes>{panel, kPanelCols}, rows);
      }
    }
  }
}

}  // namespace zhiyin::avx2
