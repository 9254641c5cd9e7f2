// The bf16 product in blocks of 32 x 32 in tiles, over a Tiles type as gemm_panel_bf16.h.
#pragma once

#include "kernels/amx/gemm_panel_bf16.h"

namespace zhiyin::amx {
namespace {

// 32 rows (16 where kLower is false) times a panel. `next` is what the rows after these will read:
// it comes into the second-level cache meanwhile, `lines` cache lines a step.
template <bool kLower, typename Tiles>
const char* multiply_block(Tiles& tiles, const GemmBlocksBf16Args& args, const uint16_t* a,
                           const uint16_t* panel, float* sums, const char* next, int64_t lines) {
  constexpr int64_t kSumBytes = kPanelCols * sizeof(float);
  constexpr int64_t kStepBytes = kDepth * sizeof(uint16_t), kPairBytes = 2 * kStepBytes;
  float* lower = sums + kTileRows * kPanelCols;
  if (args.accumulate) {
    tiles.template load<kSum00>(sums, kSumBytes);
    tiles.template load<kSum01>(sums + kTileRows, kSumBytes);
    if constexpr (kLower) {
      tiles.template load<kSum10>(lower, kSumBytes);
      tiles.template load<kSum11>(lower + kTileRows, kSumBytes);
    }
  } else {
    zero_sums(tiles);
  }
  for (int64_t k = 0; k < args.depth; k += kDepth) {
    tiles.template load<kA0>(a, kStepBytes);
    tiles.template load<kB0>(panel, kPairBytes);
    tiles.template load<kB1>(panel + kPanelCols, kPairBytes);
    tiles.template dot_bf16<kSum00, kA0, kB0>();
    tiles.template dot_bf16<kSum01, kA0, kB1>();
    if constexpr (kLower) {
      tiles.template load<kA1>(a + kTileRows * kDepth, kStepBytes);
      tiles.template dot_bf16<kSum10, kA1, kB0>();
      tiles.template dot_bf16<kSum11, kA1, kB1>();
    }
    for (int64_t i = 0; i < lines; ++i) __builtin_prefetch(next + 64 * i, 0, 2);
    next += 64 * lines;
    a += kTokens * kDepth;
    panel += kDepth * kPanelCols;
  }
  tiles.template store<kSum00>(sums, kSumBytes);
  tiles.template store<kSum01>(sums + kTileRows, kSumBytes);
  if constexpr (kLower) {
    tiles.template store<kSum10>(lower, kSumBytes);
    tiles.template store<kSum11>(lower + kTileRows, kSumBytes);
  }
  return next;
}

template <typename Tiles>
void multiply_blocks(Tiles& tiles, const GemmBlocksBf16Args& args) {
  static_assert(kBlockRows == kTokens);
  assert(args.depth % kDepth == 0);
  for (int64_t row = 0; row < args.rows; row += kBlockRows) {
    const uint16_t* a = args.blocks + row * args.depth;
    const bool more = args.rows - row > kBlockRows;
    // Two bytes each, so `depth` lines of the next rows, over count * depth / 32 steps.
    const int64_t lines = more ? (kDepth + args.count - 1) / args.count : 0;
    const char* next = reinterpret_cast<const char*>(a + kBlockRows * args.depth);
    for (int64_t p = 0; p < args.count; ++p) {
      const uint16_t* panel = args.panels + p * args.depth * kPanelCols;
      float* sums = args.sums + (row * args.count + p * kBlockRows) * kPanelCols;
      if (args.rows - row > kTileRows) {
        next = multiply_block<true>(tiles, args, a, panel, sums, next, lines);
      } else {
        next = multiply_block<false>(tiles, args, a, panel, sums, next, lines);
      }
    }
  }
}

}  // namespace
}  // namespace zhiyin::amx
