#include <cassert>

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/lanes.h"
#include "kernels/avx512/pair_step.h"
#include "kernels/wide/product.h"

namespace zhiyin::avx512 {
namespace {

// kRows tokens x 32 columns, as product_tile of wide/product.h with a pair of k a step.
template <int kRows>
[[gnu::noinline]] void tile(const GemmPanelBf16Args& args, const uint16_t* first_row,
                            float* first_out) {
  __m512 sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  constexpr int kGroups = (kRows + 2) / 3;
  const uint16_t* a[kGroups];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) a[g] = first_row + 3 * g * args.a_stride;
  const uint16_t* panel = args.panel;
  for (int64_t i = 0; i < args.k; i += 2) {
    const auto row = [&](int r) __attribute__((always_inline)) {
      return a[r / 3] + r % 3 * args.a_stride + i;
    };
    add_pair(panel, row, sum);
    panel += 2 * kPanelCols;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* c = first_out + r * args.c_stride;
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const Lanes::Some part(args.cols - v * Lanes::kCount);
      wide::store_sum<Lanes>(sum[r][v], c + v * Lanes::kCount, part, args.accumulate);
    }
  }
}

template <int kRows>
void tile_of(const GemmPanelBf16Args& args, const uint16_t* a, float* c, int64_t rows) {
  if (rows == kRows) {
    tile<kRows>(args, a, c);
  } else if constexpr (kRows > 1) {
    tile_of<kRows - 1>(args, a, c, rows);
  }
}

}  // namespace

void gemm_panel_bf16(const GemmPanelBf16Args& args) {
  assert(args.k % 2 == 0);
  constexpr int kRows = 12;
  int64_t done = 0;
  for (int64_t tiles = (args.tokens + kRows - 1) / kRows; tiles > 0; --tiles) {
    const int64_t count = (args.tokens - done + tiles - 1) / tiles;
    tile_of<kRows>(args, args.a + done * args.a_stride, args.c + done * args.c_stride, count);
    done += count;
  }
}

}  // namespace zhiyin::avx512
