#include <immintrin.h>

#include <cassert>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"
#include "kernels/avx512/pair_step.h"

namespace zhiyin::avx512 {
namespace {

constexpr int64_t kBlock = kBlockRows * kPanelCols;

// kRows rows of a block of rows, times a panel, onto sums[kRows][32].
template <int kRows>
[[gnu::noinline]] void tile(const uint16_t* blocks, const uint16_t* panel, int64_t depth,
                            float* sums, bool accumulate) {
  __m512 sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const float* before = sums + r * kPanelCols;
    sum[r][0] = accumulate ? _mm512_load_ps(before) : _mm512_setzero_ps();
    sum[r][1] = accumulate ? _mm512_load_ps(before + Lanes::kCount) : _mm512_setzero_ps();
  }
  for (int64_t step = 0; step < depth; step += kPanelCols, blocks += kBlock) {
    for (int i = 0; i < kPanelCols; i += 2) {
      const auto row = [&](int r)
                           __attribute__((always_inline)) { return blocks + r * kPanelCols + i; };
      add_pair(panel, row, sum);
      panel += 2 * kPanelCols;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    _mm512_store_ps(sums + r * kPanelCols, sum[r][0]);
    _mm512_store_ps(sums + r * kPanelCols + Lanes::kCount, sum[r][1]);
  }
}

}  // namespace

void gemm_blocks_bf16(const GemmBlocksBf16Args& args) {
  assert(args.depth % kPanelCols == 0);
  for (int64_t row = 0; row < args.rows; row += kBlockRows) {
    const uint16_t* blocks = args.blocks + row * args.depth;
    for (int64_t p = 0; p < args.count; ++p) {
      const uint16_t* panel = args.panels + p * args.depth * kPanelCols;
      float* sums = args.sums + (row * args.count + p * kBlockRows) * kPanelCols;
      tile<11>(blocks, panel, args.depth, sums, args.accumulate);
      if (args.rows - row <= 11) continue;
      tile<11>(blocks + 11 * kPanelCols, panel, args.depth, sums + 11 * kPanelCols,
               args.accumulate);
      if (args.rows - row <= 22) continue;
      tile<10>(blocks + 22 * kPanelCols, panel, args.depth, sums + 22 * kPanelCols,
               args.accumulate);
    }
  }
}

}  // namespace zhiyin::avx512
