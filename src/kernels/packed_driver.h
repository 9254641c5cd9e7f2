// Integer products with packed weights, written once for every vector width over the Simd type of
// an instruction set's folder; see packed_unpack.h.
//
// Included by .cc files of those folders alone; everything is local to them.
#pragma once

#include "kernels/packed_unpack.h"

namespace zhiyin {
namespace {

// ---- few tokens, finely rounded: weights from memory straight into the product
// ------------------------------------

constexpr int kPrefetchBytes = 1024;

ZY_INLINE void prefetch(const uint8_t* p, int bytes) {
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

// Sum of 16 activations.
template <typename Simd, bool kFine>
ZY_INLINE int sum_16(const int8_t* q, const int8_t* low) {
  return kFine ? 256 * Simd::sum_16(q) + Simd::sum_16(low) : Simd::sum_16(q);
}

// One block of activations, as every group of rows needs it.
template <typename Simd, Format kFormat, int kTokens>
struct BlockInput {
  static constexpr PackedLayout kLayout = packed_layout(kFormat);

  const int8_t* q;
  const int8_t* low;
  int64_t q_stride;
  typename Simd::Floats scale[kTokens];
  typename Simd::Ints start[kTokens][halves_of(kLayout)];         // - offset * sum
  typename Simd::Floats min_factor[kTokens][halves_of(kLayout)];  // scale * sum

  ZY_INLINE BlockInput(const PackedGemmArgs& args, int64_t block)
      : q(args.q + block * kQ8Block), low(args.low + block * kQ8Block), q_stride(args.w.cols) {
    const int64_t blocks = args.w.cols / kQ8Block;
    for (int t = 0; t < kTokens; ++t) {
      const float x_scale = args.scales[t * blocks + block];
      const int sum = args.sums[t * blocks + block];
      scale[t] = Simd::set(x_scale);
      if constexpr (kLayout.halves) {
        const int first = sum_16<Simd, true>(q + t * q_stride, low + t * q_stride);
        set_sum(t, 0, first, x_scale);
        set_sum(t, 1, sum - first, x_scale);
      } else {
        set_sum(t, 0, sum, x_scale);
      }
    }
  }

  ZY_INLINE void set_sum(int t, int half, int sum, float x_scale) {
    start[t][half] = Simd::set(-dot_offset<Simd>(kLayout) * sum);
    min_factor[t][half] = Simd::set(x_scale * static_cast<float>(sum));
  }
};

// A place in the weights that moves on through groups that follow one another, and the sums of the
// group it is in.
template <typename Simd, Format kFormat, int kTokens>
class Stream {
 public:
  using Input = BlockInput<Simd, kFormat, kTokens>;

  ZY_INLINE void begin_group(const uint8_t* group) {
    at_ = group;
    for (auto& part : sums_) {
      for (auto& sum : part) sum = typename Simd::Floats{};
    }
  }

  ZY_INLINE void read_head() {
    prefetch(at_ + kPrefetchBytes, head_bytes(kLayout));
    unpack_head<Simd, kFormat>(at_, scale_, min_);
    at_ += head_bytes(kLayout);
  }

  // Block in_unit of the unit.
  ZY_INLINE void read_block(int in_unit, const Input& x) {
    prefetch(at_ + kPrefetchBytes, block_bytes(kLayout));
    for (int part = 0; part < kParts; ++part) add_block(part, kHalves * in_unit, x);
    at_ += block_bytes(kLayout);
  }

  ZY_INLINE void store(const PackedGemmArgs& args, int64_t group) const {
    for (int part = 0; part < kParts; ++part) {
      const int64_t row = group * kPackRows + part * Simd::kLanes;
      for (int t = 0; t < kTokens; ++t) {
        Simd::store_rows(args.y + t * args.y_stride + row, args.row_end - row, sums_[part][t]);
      }
    }
  }

 private:
  static constexpr PackedLayout kLayout = packed_layout(kFormat);
  static constexpr int kHalves = halves_of(kLayout);
  static constexpr int kParts = kPackRows / Simd::kLanes;
  static constexpr int kScales = kLayout.unit_blocks * kHalves;

  ZY_INLINE void add_block(int part, int first_scale, const Input& x) {
    const int lane = part * Simd::kLanes;
    typename Simd::Ints w[8];
    unpack_codes<Simd, kFormat>(at_ + 4 * lane, w);
    // Hides that both streams broadcast the same activations: kept in registers for the second they
    // would be spilled, while a broadcast is part of the instruction that uses it.
    const int8_t* all_q = x.q;
    const int8_t* all_low = x.low;
    asm volatile("" : "+r"(all_q), "+r"(all_low));
    for (int t = 0; t < kTokens; ++t) {
      const int8_t* q = all_q + t * x.q_stride;
      const int8_t* low = all_low + t * x.q_stride;
      typename Simd::Floats& sum = sums_[part][t];
      if constexpr (kLayout.has_min) {
        for (int h = 0; h < kHalves; ++h) {
          sum = Simd::fma(Simd::load(min_[first_scale + h] + lane), x.min_factor[t][h], sum);
        }
      }
      typename Simd::Floats total{};
      for (int h = 0; h < kHalves; ++h) {
        // Of 16 columns, or of 32.
        constexpr int kSteps = 2 / kHalves;
        const auto dots = [&](typename Simd::Ints dot, const int8_t* from) {
          for (int i = h; i < h + kSteps; ++i) {
            dot = Simd::template dot<Simd::dot_kind(dot_bits(kLayout))>(dot, w + 4 * i,
                                                                        from + 16 * i, 4);
          }
          return dot;
        };
        typename Simd::Ints dot = Simd::times_256(dots(typename Simd::Ints{}, q));
        if constexpr (!kLayout.has_min) dot = Simd::add(dot, x.start[t][h]);
        dot = dots(dot, low);
        const auto scale = Simd::load(scale_[first_scale + h] + lane);
        const auto value = Simd::to_floats(dot);
        total = h == 0 ? Simd::mul(value, scale) : Simd::fma(value, scale, total);
      }
      sum = Simd::fma(total, x.scale[t], sum);
    }
  }

  const uint8_t* at_;
  typename Simd::Floats sums_[kParts][kTokens];
  alignas(64) RowFloats scale_[kScales];
  alignas(64) RowFloats min_[kLayout.has_min ? kScales : 1];
};

template <typename Simd, Format kFormat, int kTokens>
void stream_rows(const PackedGemmArgs& args) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  const int64_t blocks = args.w.cols / kQ8Block;
  const int64_t first = args.row_begin / kPackRows;
  const int64_t end = (args.row_end + kPackRows - 1) / kPackRows;
  // Two streams with a half each read faster than one; of an odd number of groups both compute the
  // middle one.
  const int64_t each = (end - first + 1) / 2;
  const int64_t second = end - each;
  Stream<Simd, kFormat, kTokens> a, b;
  for (int64_t i = 0; i < each; ++i) {
    a.begin_group(args.w.data + (first + i) * args.w.group_bytes);
    b.begin_group(args.w.data + (second + i) * args.w.group_bytes);
    for (int64_t block = 0; block < blocks; block += kLayout.unit_blocks) {
      a.read_head();
      b.read_head();
      const int64_t left = blocks - block;
      for (int k = 0; k < kLayout.unit_blocks && k < left; ++k) {
        const BlockInput<Simd, kFormat, kTokens> x(args, block + k);
        a.read_block(k, x);
        b.read_block(k, x);
      }
    }
    a.store(args, first + i);
    b.store(args, second + i);
  }
}

// ---- many tokens: tiles of rows by tokens in registers
// ---------------------------------------------
//
// The columns are taken in chunks and the tokens in batches whose activations, rearranged so that a
// tile reads them in one sequence, stay in the second-level cache. For each group of rows the chunk
// is unpacked once and used by every tile of the batch.

constexpr int kBatchTokens = 128;
constexpr int kChunkCols = 1024;  // a multiple of a super-block
constexpr int kChunkBlocks = kChunkCols / kQ8Block;

// Activations of a batch, tile after tile; within a tile the tokens lie side by side.
struct Activations {
  alignas(64) int8_t q[kBatchTokens * kChunkCols];  // [quad][token][4]
  alignas(64) int8_t low[kBatchTokens * kChunkCols];
  float scales[kBatchTokens * kChunkBlocks];  // [block][token]
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

// Four words, of 32 bits.
using Words [[gnu::vector_size(16)]] = uint32_t;

// target[j][i] = source[i * stride + j], i < rows, j < cols, of words of 32 bits.
ZY_INLINE void transpose(const void* source, int64_t stride, int rows, int cols, void* target) {
  const auto* from = static_cast<const uint8_t*>(source);
  auto* to = static_cast<uint8_t*>(target);
  const auto copy = [&](int i, int j) {
    __builtin_memcpy(to + 4 * (j * rows + i), from + 4 * (i * stride + j), 4);
  };
  const auto load = [&](int i, int j) {
    Words words;
    __builtin_memcpy(&words, from + 4 * (i * stride + j), sizeof(words));
    return words;
  };
  int i = 0;
  for (; i + 4 <= rows; i += 4) {
    int j = 0;
    for (; j + 4 <= cols; j += 4) {
      const Words a = load(i, j), b = load(i + 1, j), c = load(i + 2, j), d = load(i + 3, j);
      const Words ac0 = __builtin_shufflevector(a, c, 0, 4, 1, 5);
      const Words ac1 = __builtin_shufflevector(a, c, 2, 6, 3, 7);
      const Words bd0 = __builtin_shufflevector(b, d, 0, 4, 1, 5);
      const Words bd1 = __builtin_shufflevector(b, d, 2, 6, 3, 7);
      const Words columns[4] = {__builtin_shufflevector(ac0, bd0, 0, 4, 1, 5),
                                __builtin_shufflevector(ac0, bd0, 2, 6, 3, 7),
                                __builtin_shufflevector(ac1, bd1, 0, 4, 1, 5),
                                __builtin_shufflevector(ac1, bd1, 2, 6, 3, 7)};
      for (int k = 0; k < 4; ++k) {
        __builtin_memcpy(to + 4 * ((j + k) * rows + i), &columns[k], sizeof(Words));
      }
    }
    for (; j < cols; ++j) {
      for (int k = 0; k < 4; ++k) copy(i + k, j);
    }
  }
  for (; i < rows; ++i) {
    for (int j = 0; j < cols; ++j) copy(i, j);
  }
}

// One tile's activations of blocks [block, block + count) of tokens [token, token + tokens).
// at: token's place in the batch.
template <typename Simd, Format kFormat, bool kFine>
void gather_tile(const PackedGemmArgs& args, int64_t block, int count, int64_t token, int tokens,
                 int64_t at, Activations& x) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  const int64_t blocks = args.w.cols / kQ8Block;
  const int64_t first = token * blocks + block;
  const int8_t* q = args.q + first * kQ8Block;
  float* scales = x.scales + at * count;
  int32_t* starts = x.starts + at * kHalves * count;
  const int8_t* low = kFine ? args.low + first * kQ8Block : q;
  transpose(q, args.w.cols / 4, tokens, kQ8Block / 4 * count, x.q + at * kQ8Block * count);
  if constexpr (kFine) {
    transpose(low, args.w.cols / 4, tokens, kQ8Block / 4 * count, x.low + at * kQ8Block * count);
  }
  transpose(args.scales + first, blocks, tokens, count, scales);
  if constexpr (kLayout.halves) {
    int32_t half_sums[Simd::kTileTokens][2 * kChunkBlocks];
    for (int t = 0; t < tokens; ++t) {
      for (int b = 0; b < count; ++b) {
        const int64_t offset = t * args.w.cols + b * kQ8Block;
        half_sums[t][2 * b] = sum_16<Simd, kFine>(q + offset, low + offset);
        half_sums[t][2 * b + 1] = args.sums[first + t * blocks + b] - half_sums[t][2 * b];
      }
    }
    transpose(half_sums, 2 * kChunkBlocks, tokens, 2 * count, starts);
  } else {
    transpose(args.sums + first, blocks, tokens, count, starts);
  }
  if constexpr (kLayout.has_min) {
    float* min_factors = x.min_factors + at * kHalves * count;
    for (int i = 0; i < kHalves * count; ++i) {
      for (int t = 0; t < tokens; ++t) {
        min_factors[i * tokens + t] =
            scales[i / kHalves * tokens + t] * static_cast<float>(starts[i * tokens + t]);
      }
    }
  } else {
    for (int i = 0; i < kHalves * count * tokens; ++i) starts[i] *= -dot_offset<Simd>(kLayout);
  }
}

// `count` blocks from p, where a unit begins.
template <typename Simd, Format kFormat>
void unpack_panel(const uint8_t* p, int count, Panel& panel) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = halves_of(kLayout);
  for (int block = 0; block < count; block += kLayout.unit_blocks) {
    unpack_head<Simd, kFormat>(p, panel.scale + kHalves * block, panel.min + kHalves * block);
    p += head_bytes(kLayout);
    for (int k = 0; k < kLayout.unit_blocks && block + k < count; ++k) {
      for (int lane = 0; lane < kPackRows; lane += Simd::kLanes) {
        typename Simd::Ints quads[8];
        unpack_codes<Simd, kFormat>(p + 4 * lane, quads);
        for (int c = 0; c < 8; ++c) {
          Simd::store(panel.codes[8 * (block + k) + c] + 4 * lane, quads[c]);
        }
      }
      p += block_bytes(kLayout);
    }
  }
}

struct Tile {
  const Activations* x;
  int64_t at;  // of its first token in the batch
  int blocks;
  float* y;  // of the first token and row
  int64_t y_stride;
  int64_t rows;
  bool accumulate;       // add to y rather than overwrite it
  const uint8_t* ahead;  // weights to fetch meanwhile, four lines a block
};

template <typename Simd, int kBits, int kHalves, bool kMin, bool kFine, int kTokens>
void multiply_tile(const Panel& panel, int lane, const Tile& tile) {
  const int8_t* q = tile.x->q + tile.at * kQ8Block * tile.blocks;
  const int8_t* low = tile.x->low + tile.at * kQ8Block * tile.blocks;
  const float* scales = tile.x->scales + tile.at * tile.blocks;
  const int32_t* starts = tile.x->starts + tile.at * kHalves * tile.blocks;
  const float* min_factors = tile.x->min_factors + tile.at * kHalves * tile.blocks;
  const uint8_t* codes = panel.codes[0] + 4 * lane;
  const uint8_t* ahead = tile.ahead;
  const float* w_scale = panel.scale[0] + lane;
  const float* w_min = panel.min[0] + lane;
  typename Simd::Floats sums[kTokens] = {};
  for (int t = 0; t < kTokens && tile.accumulate; ++t) {
    sums[t] = Simd::load_rows(tile.y + t * tile.y_stride + lane, tile.rows - lane);
  }
  for (int block = 0; block < tile.blocks; ++block) {
    prefetch(ahead, 256);
    ahead += 256;
    typename Simd::Floats total[kTokens];
    typename Simd::Ints dots[kTokens] = {};
    for (int h = 0; h < kHalves; ++h) {
      // Of 16 columns, or of 32.
      constexpr int kQuads = 8 / kHalves;
      for (int t = 0; t < kTokens; ++t) {
        dots[t] = kMin || kFine ? typename Simd::Ints{} : Simd::set(starts[t]);
      }
      const auto add_dots = [&](const int8_t* from) {
        for (int c = 0; c < kQuads; c += 4) {
          typename Simd::Ints w[4];
          for (int i = 0; i < 4; ++i) w[i] = Simd::load(codes + kPackVector * (c + i));
          for (int t = 0; t < kTokens; ++t) {
            dots[t] =
                Simd::template dot<kBits>(dots[t], w, from + 4 * (c * kTokens + t), 4 * kTokens);
          }
        }
      };
      add_dots(q);
      q += 4 * kQuads * kTokens;
      if constexpr (kFine) {
        for (int t = 0; t < kTokens; ++t) {
          dots[t] = Simd::times_256(dots[t]);
          if constexpr (!kMin) dots[t] = Simd::add(dots[t], Simd::set(starts[t]));
        }
        add_dots(low);
        low += 4 * kQuads * kTokens;
      }
      codes += kQuads * kPackVector;
      starts += kTokens;
      const auto scale = Simd::load(w_scale);
      for (int t = 0; t < kTokens; ++t) {
        const auto value = Simd::to_floats(dots[t]);
        total[t] = h == 0 ? Simd::mul(value, scale) : Simd::fma(value, scale, total[t]);
      }
      w_scale += kPackRows;
      if constexpr (kMin) {
        const auto min = Simd::load(w_min);
        for (int t = 0; t < kTokens; ++t) {
          sums[t] = Simd::fma(min, Simd::set(min_factors[t]), sums[t]);
        }
        w_min += kPackRows;
        min_factors += kTokens;
      }
    }
    for (int t = 0; t < kTokens; ++t) {
      sums[t] = Simd::fma(total[t], Simd::set(scales[t]), sums[t]);
    }
    scales += kTokens;
  }
  for (int t = 0; t < kTokens; ++t) {
    Simd::store_rows(tile.y + t * tile.y_stride + lane, tile.rows - lane, sums[t]);
  }
}

template <typename Simd, int kBits, int kHalves, bool kMin, bool kFine, int kTokens = 1>
ZY_INLINE void multiply_tile(int tokens, const Panel& panel, const Tile& tile) {
  if constexpr (kTokens < Simd::kTileTokens) {
    if (tokens != kTokens) {
      return multiply_tile<Simd, kBits, kHalves, kMin, kFine, kTokens + 1>(tokens, panel, tile);
    }
  }
  for (int lane = 0; lane < kPackRows; lane += Simd::kLanes) {
    multiply_tile<Simd, kBits, kHalves, kMin, kFine, kTokens>(panel, lane, tile);
  }
}

// Calls call(at, tokens) for tiles of nearly equal size.
template <typename Simd, typename Call>
ZY_INLINE void for_tiles(int64_t tokens, const Call& call) {
  const int64_t tiles = (tokens + Simd::kTileTokens - 1) / Simd::kTileTokens;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t at = tokens * i / tiles;
    call(at, static_cast<int>(tokens * (i + 1) / tiles - at));
  }
}

template <typename Simd, Format kFormat, bool kFine>
void multiply_tiles(const PackedGemmArgs& args) {
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
      for_tiles<Simd>(tokens, [&](int64_t at, int tile_tokens) {
        gather_tile<Simd, kFormat, kFine>(args, block, count, token + at, tile_tokens, at, x);
      });
      for (int64_t row = args.row_begin; row < args.row_end; row += kPackRows) {
        const uint8_t* weights =
            args.w.data + row / kPackRows * args.w.group_bytes + block / kChunkBlocks * chunk_bytes;
        unpack_panel<Simd, kFormat>(weights, count, panel);
        for_tiles<Simd>(tokens, [&](int64_t at, int tile_tokens) {
          const Tile tile = {.x = &x,
                             .at = at,
                             .blocks = count,
                             .y = args.y + (token + at) * args.y_stride + row,
                             .y_stride = args.y_stride,
                             .rows = args.row_end - row,
                             .accumulate = block > 0,
                             .ahead = weights + args.w.group_bytes + at * 32 * count};
          multiply_tile<Simd, Simd::dot_kind(dot_bits(kLayout)), halves_of(kLayout),
                        kLayout.has_min, kFine>(tile_tokens, panel, tile);
        });
      }
    }
  }
}

// Streaming pays up to four fine tokens; beyond, and for plain ones that are many or none,
// unpacking once does.
template <typename Simd, Format kFormat>
void multiply(const PackedGemmArgs& args) {
  if (args.low == nullptr) return multiply_tiles<Simd, kFormat, false>(args);
  switch (args.tokens) {
    case 0:
      return;
    case 1:
      return stream_rows<Simd, kFormat, 1>(args);
    case 2:
      return stream_rows<Simd, kFormat, 2>(args);
    case 3:
      return stream_rows<Simd, kFormat, 3>(args);
    case 4:
      return stream_rows<Simd, kFormat, 4>(args);
    default:
      return multiply_tiles<Simd, kFormat, true>(args);
  }
}

}  // namespace
}  // namespace zhiyin
