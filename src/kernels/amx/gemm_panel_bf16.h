// The bf16 panel product in tiles, over a Tiles type: the registers of amx/hardware_tiles.h, or the
// plain C++ emulation with which tests prove the indexing on any machine.
//
// A tile is 16 rows of 64 bytes. Eight of them hold 32 tokens x 32 columns of sums and what is
// multiplied into them, so that each load feeds two products.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "kernels/kernels.h"

namespace zhiyin::amx {
namespace {

enum Tile { kSum00, kSum01, kSum10, kSum11, kA0, kA1, kB0, kB1 };

constexpr int64_t kTileRows = 16;
constexpr int64_t kTokens = 2 * kTileRows;
constexpr int64_t kDepth = 32;  // of k: the bf16 values of a tile's row
static_assert(kPanelCols == 2 * kTileRows);

// target[padded_rows][width] from the first `filled` values of the first `rows` rows, the rest
// zero.
inline void copy_padded(const uint16_t* source, int64_t stride, int64_t rows, int64_t filled,
                        int64_t padded_rows, int64_t width, uint16_t* target) {
  std::fill_n(target, padded_rows * width, uint16_t{0});
  for (int64_t r = 0; r < rows; ++r) std::copy_n(source + r * stride, filled, target + r * width);
}

// Adds the products of up to 32 tokens to the sums in the tiles.
template <typename Tiles>
void add_products(Tiles& tiles, const GemmPanelBf16Args& args, const uint16_t* a, int64_t tokens) {
  alignas(64) uint16_t a_padded[kTokens * kDepth];
  alignas(64) uint16_t b_padded[kDepth * kPanelCols];
  constexpr int64_t kPairs = 2 * kPanelCols;  // a row of the panel: two k of 32 columns
  constexpr int64_t kBytes = sizeof(uint16_t);
  for (int64_t k = 0; k < args.k; k += kDepth) {
    const int64_t depth = args.k - k < kDepth ? args.k - k : kDepth;
    const uint16_t* a_part = a + k;
    int64_t a_stride = args.a_stride;
    if (tokens < kTokens || depth < kDepth) {
      copy_padded(a_part, a_stride, tokens, depth, kTokens, kDepth, a_padded);
      a_part = a_padded;
      a_stride = kDepth;
    }
    const uint16_t* b_part = args.panel + k * kPanelCols;
    if (depth < kDepth) {
      copy_padded(b_part, kPairs, depth / 2, kPairs, kDepth / 2, kPairs, b_padded);
      b_part = b_padded;
    }
    tiles.template load<kA0>(a_part, a_stride * kBytes);
    tiles.template load<kB0>(b_part, kPairs * kBytes);
    tiles.template load<kB1>(b_part + kPairs / 2, kPairs * kBytes);
    tiles.template dot_bf16<kSum00, kA0, kB0>();
    tiles.template dot_bf16<kSum01, kA0, kB1>();
    tiles.template load<kA1>(a_part + kTileRows * a_stride, a_stride * kBytes);
    tiles.template dot_bf16<kSum10, kA1, kB0>();
    tiles.template dot_bf16<kSum11, kA1, kB1>();
  }
}

template <typename Tiles>
void zero_sums(Tiles& tiles) {
  tiles.template zero<kSum00>();
  tiles.template zero<kSum01>();
  tiles.template zero<kSum10>();
  tiles.template zero<kSum11>();
}
template <typename Tiles>
void load_sums(Tiles& tiles, const float* c, int64_t stride) {
  constexpr int64_t kBytes = sizeof(float);
  tiles.template load<kSum00>(c, stride * kBytes);
  tiles.template load<kSum01>(c + kTileRows, stride * kBytes);
  tiles.template load<kSum10>(c + kTileRows * stride, stride * kBytes);
  tiles.template load<kSum11>(c + kTileRows * stride + kTileRows, stride * kBytes);
}
template <typename Tiles>
void store_sums(Tiles& tiles, float* c, int64_t stride) {
  constexpr int64_t kBytes = sizeof(float);
  tiles.template store<kSum00>(c, stride * kBytes);
  tiles.template store<kSum01>(c + kTileRows, stride * kBytes);
  tiles.template store<kSum10>(c + kTileRows * stride, stride * kBytes);
  tiles.template store<kSum11>(c + kTileRows * stride + kTileRows, stride * kBytes);
}

template <typename Tiles>
void multiply_panel(Tiles& tiles, const GemmPanelBf16Args& args) {
  assert(args.k % 2 == 0);
  for (int64_t t = 0; t < args.tokens; t += kTokens) {
    const int64_t tokens = args.tokens - t < kTokens ? args.tokens - t : kTokens;
    const uint16_t* a = args.a + t * args.a_stride;
    float* c = args.c + t * args.c_stride;
    const bool whole = tokens == kTokens && args.cols == kPanelCols;
    if (whole && args.accumulate) {
      load_sums(tiles, c, args.c_stride);
    } else {
      zero_sums(tiles);
    }
    add_products(tiles, args, a, tokens);
    if (whole) {
      store_sums(tiles, c, args.c_stride);
      continue;
    }
    alignas(64) float sums[kTokens * kPanelCols];
    store_sums(tiles, sums, kPanelCols);
    for (int64_t r = 0; r < tokens; ++r) {
      for (int64_t j = 0; j < args.cols; ++j) {
        float& target = c[r * args.c_stride + j];
        target = (args.accumulate ? target : 0.0f) + sums[r * kPanelCols + j];
      }
    }
  }
}

template <typename Tiles>
void gemm_panel_bf16_in_tiles(const GemmPanelBf16Args& args) {
  Tiles tiles;
  multiply_panel(tiles, args);
}

}  // namespace
}  // namespace zhiyin::amx
