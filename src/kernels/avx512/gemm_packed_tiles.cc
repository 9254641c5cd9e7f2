// Many tokens against packed weights: tiles of 16 rows by up to 8 tokens in registers.
//
// The columns are taken in chunks and the tokens in batches whose activations, rearranged so that a
// tile reads them in one sequence, stay in the second-level cache. For each group of rows the chunk
// is unpacked once and used by every tile of the batch.
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_weight.h"

namespace zhiyin::avx512 {
namespace {

constexpr int kTileTokens = 8;
constexpr int kBatchTokens = 128;
constexpr int kChunkCols = 1024;  // a multiple of a super-block
constexpr int kChunkBlocks = kChunkCols / kQ8Block;

// Activations of a batch, tile after tile; within a tile the tokens lie side by side.
struct Activations {
  alignas(64) int32_t quads[kBatchTokens * kChunkCols / 4];  // [quad][token]
  float scales[kBatchTokens * kChunkBlocks];                 // [block][token]
  // [block or half block][token]: - offset * sum, and scale * sum for the mins
  int32_t starts[kBatchTokens * kChunkBlocks * 2];
  float min_factors[kBatchTokens * kChunkBlocks * 2];
};

// A group's chunk of columns.
struct Panel {
  alignas(64) uint8_t codes[kChunkCols / 4][kPackVector];
  alignas(64) RowFloats scale[kChunkBlocks * 2 + 1];  // a last unit of one block writes two
  alignas(64) RowFloats min[kChunkBlocks * 2 + 1];
};

template <Format kFormat>
constexpr int kHalvesOf = packed_layout(kFormat).halves ? 2 : 1;

// One tile's activations of blocks [block, block + count) of tokens [token, token + tokens).
// at: token's place in the batch.
template <Format kFormat>
void gather_tile(const PackedGemmArgs& args, int64_t block, int count, int64_t token, int tokens,
                 int64_t at, Activations& x) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = kHalvesOf<kFormat>;
  const int64_t blocks = args.w.cols / kQ8Block;
  int32_t* quads = x.quads + at * 8 * count;
  float* scales = x.scales + at * count;
  int32_t* starts = x.starts + at * kHalves * count;
  float* min_factors = x.min_factors + at * kHalves * count;
  for (int t = 0; t < tokens; ++t) {
    const int8_t* q = args.q + (token + t) * args.w.cols + block * kQ8Block;
    const float* x_scales = args.scales + (token + t) * blocks + block;
    const int32_t* sums = args.sums + (token + t) * blocks + block;
    for (int i = 0; i < 8 * count; ++i) {
      __builtin_memcpy(&quads[i * tokens + t], q + 4 * i, sizeof(int32_t));
    }
    for (int b = 0; b < count; ++b) {
      scales[b * tokens + t] = x_scales[b];
      int half_sums[2] = {sums[b], 0};
      if constexpr (kLayout.halves) {
        half_sums[0] = sum_16(q + b * kQ8Block);
        half_sums[1] = sums[b] - half_sums[0];
      }
      for (int h = 0; h < kHalves; ++h) {
        const int i = (kHalves * b + h) * tokens + t;
        if constexpr (kLayout.has_min) {
          min_factors[i] = x_scales[b] * static_cast<float>(half_sums[h]);
        } else {
          starts[i] = -kLayout.offset * half_sums[h];
        }
      }
    }
  }
}

// Blocks of a chunk, which begins with a unit. Returns where the next chunk begins.
template <Format kFormat>
const uint8_t* unpack_panel(const uint8_t* p, int count, Panel& panel) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = kHalvesOf<kFormat>;
  for (int block = 0; block < count; block += kLayout.unit_blocks) {
    unpack_head<kFormat>(p, panel.scale + kHalves * block, panel.min + kHalves * block);
    p += head_bytes(kLayout);
    for (int k = 0; k < kLayout.unit_blocks && block + k < count; ++k) {
      __m512i quads[8];
      unpack_codes<kFormat>(p, quads);
      for (int c = 0; c < 8; ++c) _mm512_store_si512(panel.codes[8 * (block + k) + c], quads[c]);
      p += block_bytes(kLayout);
    }
  }
  return p;
}

struct Tile {
  const Activations* x;
  int64_t at;  // of its first token in the batch
  int blocks;
  float* y;  // of the first token and row
  int64_t y_stride;
  __mmask16 rows;
  bool accumulate;  // add to y rather than overwrite it
};

template <int kHalves, bool kMin, int kTokens>
void multiply_tile(const Panel& panel, const Tile& tile) {
  const int32_t* quads = tile.x->quads + tile.at * 8 * tile.blocks;
  const float* scales = tile.x->scales + tile.at * tile.blocks;
  const int32_t* starts = tile.x->starts + tile.at * kHalves * tile.blocks;
  const float* min_factors = tile.x->min_factors + tile.at * kHalves * tile.blocks;
  const uint8_t* codes = panel.codes[0];
  const RowFloats* w_scale = panel.scale;
  const RowFloats* w_min = panel.min;
  __m512 sums[kTokens];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (int block = 0; block < tile.blocks; ++block) {
    __m512 total[kTokens];
    for (int h = 0; h < kHalves; ++h) {
      __m512i dots[kTokens];
      for (int t = 0; t < kTokens; ++t) {
        dots[t] = kMin ? _mm512_setzero_si512() : _mm512_set1_epi32(starts[t]);
      }
      for (int c = 0; c < 8 / kHalves; ++c) {
        const __m512i w = _mm512_load_si512(codes);
        for (int t = 0; t < kTokens; ++t) {
          dots[t] = _mm512_dpbusd_epi32(dots[t], w, _mm512_set1_epi32(quads[t]));
        }
        codes += kPackVector;
        quads += kTokens;
      }
      const __m512 scale = _mm512_load_ps(*w_scale++);
      for (int t = 0; t < kTokens; ++t) {
        const __m512 value = _mm512_cvtepi32_ps(dots[t]);
        total[t] = h == 0 ? _mm512_mul_ps(value, scale) : _mm512_fmadd_ps(value, scale, total[t]);
      }
      if constexpr (kMin) {
        const __m512 min = _mm512_load_ps(*w_min++);
        for (int t = 0; t < kTokens; ++t) {
          sums[t] = _mm512_fmadd_ps(min, _mm512_set1_ps(min_factors[t]), sums[t]);
        }
        min_factors += kTokens;
      } else {
        starts += kTokens;
      }
    }
    for (int t = 0; t < kTokens; ++t) {
      sums[t] = _mm512_fmadd_ps(total[t], _mm512_set1_ps(scales[t]), sums[t]);
    }
    scales += kTokens;
  }
  for (int t = 0; t < kTokens; ++t) {
    float* y = tile.y + t * tile.y_stride;
    if (tile.accumulate) {
      sums[t] = _mm512_add_ps(sums[t], _mm512_maskz_loadu_ps(tile.rows, y));
    }
    _mm512_mask_storeu_ps(y, tile.rows, sums[t]);
  }
}

template <int kHalves, bool kMin>
void multiply_tile(int tokens, const Panel& panel, const Tile& tile) {
  switch (tokens) {
    case 1:
      return multiply_tile<kHalves, kMin, 1>(panel, tile);
    case 2:
      return multiply_tile<kHalves, kMin, 2>(panel, tile);
    case 3:
      return multiply_tile<kHalves, kMin, 3>(panel, tile);
    case 4:
      return multiply_tile<kHalves, kMin, 4>(panel, tile);
    case 5:
      return multiply_tile<kHalves, kMin, 5>(panel, tile);
    case 6:
      return multiply_tile<kHalves, kMin, 6>(panel, tile);
    case 7:
      return multiply_tile<kHalves, kMin, 7>(panel, tile);
    default:
      return multiply_tile<kHalves, kMin, kTileTokens>(panel, tile);
  }
}

// Calls call(at, tokens) for tiles of nearly equal size.
template <typename Call>
void for_tiles(int64_t tokens, const Call& call) {
  const int64_t tiles = (tokens + kTileTokens - 1) / kTileTokens;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t at = tokens * i / tiles;
    call(at, static_cast<int>(tokens * (i + 1) / tiles - at));
  }
}

template <Format kFormat>
void multiply(const PackedGemmArgs& args) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  const int64_t blocks = args.w.cols / kQ8Block;
  const int64_t chunk_bytes = kChunkBlocks / kLayout.unit_blocks *
                              (head_bytes(kLayout) + kLayout.unit_blocks * block_bytes(kLayout));
  Activations x;
  Panel panel;
  for (int64_t token = 0; token < args.tokens; token += kBatchTokens) {
    const int64_t tokens = args.tokens - token < kBatchTokens ? args.tokens - token : kBatchTokens;
    for (int64_t block = 0; block < blocks; block += kChunkBlocks) {
      const int count =
          static_cast<int>(blocks - block < kChunkBlocks ? blocks - block : kChunkBlocks);
      for_tiles(tokens, [&](int64_t at, int tile_tokens) {
        gather_tile<kFormat>(args, block, count, token + at, tile_tokens, at, x);
      });
      for (int64_t row = args.row_begin; row < args.row_end; row += kPackRows) {
        const uint8_t* group = args.w.data + row / kPackRows * args.w.group_bytes;
        unpack_panel<kFormat>(group + block / kChunkBlocks * chunk_bytes, count, panel);
        const int64_t rows = args.row_end - row;
        const auto mask = static_cast<__mmask16>(rows >= kPackRows ? 0xFFFF : (1 << rows) - 1);
        for_tiles(tokens, [&](int64_t at, int tile_tokens) {
          const Tile tile = {.x = &x,
                             .at = at,
                             .blocks = count,
                             .y = args.y + (token + at) * args.y_stride + row,
                             .y_stride = args.y_stride,
                             .rows = mask,
                             .accumulate = block > 0};
          multiply_tile<kHalvesOf<kFormat>, kLayout.has_min>(tile_tokens, panel, tile);
        });
      }
    }
  }
}

}  // namespace

void gemm_packed_tiles(const PackedGemmArgs& args) {
  for_packed_format(args.w.format, [&]<Format kFormat>() { multiply<kFormat>(args); });
}

}  // namespace zhiyin::avx512
