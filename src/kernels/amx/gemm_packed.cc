// Integer products with packed weights for few tokens, in tiles: what decoding several sequences or
// checking several proposed tokens takes. Integers are exact and floats are added in the order of
// packed_driver.h, so the results are those of avx512 to the bit.
//
// A block's eight quads are the rows of a tile as they are: 32 columns of 16 rows of weights. The
// other tile has the high bytes of the tokens and below them, or in a tile of their own, the low
// ones. Two groups of rows go side by side, so that a load of activations serves both, and three
// steps of work on pairs of blocks overlap: codes are unpacked two pairs ahead of the sums, which
// take the dots that tiles left one pair ago. Codes come signed, so that nothing is taken off the
// dots.
#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"

namespace zhiyin::amx {
namespace {

using avx512::Simd;

constexpr int kMostTokens = 16;
constexpr int kChunkBlocks = 128;  // a multiple of a super-block; bounds what the stack holds
constexpr int kPair = 2;           // blocks
constexpr int kCodesKept = 2 * kPair, kDotsKept = 2 * kPair;  // of blocks; a block's place: modulo
constexpr int kScalesKept = 16;                               // two units of the largest size
constexpr int kPrefetchAhead = 2048;                          // bytes of weights

// Codes without the offset of their format.
struct SignedSimd : avx512::Simd {
  static constexpr bool kSignedBytes = true;
};

enum TileName { kSumA, kSumB, kLowSumA, kLowSumB, kHigh, kLow, kWeightsA, kWeightsB };

// The activations of a chunk of columns.
struct Activations {
  alignas(64) int8_t q[kChunkBlocks * 2 * kMostTokens * kQ8Block];  // [block][high, low][token][32]
  // [block][token]
  float scales[kChunkBlocks * kMostTokens];
  float min_factors[kChunkBlocks * kMostTokens];  // scale * sum
};

// A group of rows: its place in the weights, and what is on its way from there to the sums.
struct Group {
  const uint8_t* at;
  int64_t index;
  alignas(64) uint8_t codes[kCodesKept * 8][kPackVector];
  alignas(64) RowFloats scale[kScalesKept];
  alignas(64) RowFloats min[kScalesKept];
  alignas(64) int32_t dots[kDotsKept][2 * kMostTokens][kPackRows];  // [][high, low][token]
  alignas(64) RowFloats sums[kMostTokens];
};

template <Format kFormat>
class FewTokens {
 public:
  explicit FewTokens(const PackedGemmArgs& args)
      : args_(args),
        tokens_(static_cast<int>(args.tokens)),
        together_(2 * tokens_ <= kMostTokens),
        tiles_(shapes(tokens_, together_)) {}

  void run() {
    const int64_t blocks = args_.w.cols / kQ8Block;
    const int64_t first = args_.row_begin / kPackRows;
    const int64_t end = (args_.row_end + kPackRows - 1) / kPackRows;
    // Two streams with a half each; of an odd number of groups the first has one more.
    const int64_t of_a = (end - first + 1) / 2, of_b = end - first - of_a;
    for (int64_t block = 0; block < blocks; block += kChunkBlocks) {
      const int count =
          static_cast<int>(blocks - block < kChunkBlocks ? blocks - block : kChunkBlocks);
      gather(block, count);
      for (int64_t i = 0; i < of_a; ++i) {
        multiply(first + i, i < of_b ? first + of_a + i : first + i, block, count);
      }
    }
  }

 private:
  static constexpr PackedLayout kLayout = packed_layout(kFormat);
  static constexpr int kUnit = kLayout.unit_blocks;
  static constexpr int kUnitBytes = head_bytes(kLayout) + kUnit * block_bytes(kLayout);

  static TileShapes shapes(int tokens, bool together) {
    const auto rows = static_cast<uint8_t>(together ? 2 * tokens : tokens);
    const TileShape sum{rows, 64}, x{rows, kQ8Block}, w{kQ8Block / 4, 64};
    return {{sum, sum, sum, sum, x, x, w, w}};
  }

  void gather(int64_t block, int count) {
    const int64_t blocks = args_.w.cols / kQ8Block;
    int8_t* q = x_.q;
    for (int b = 0; b < count; ++b) {
      for (const int8_t* source : {args_.q, args_.low}) {
        for (int t = 0; t < tokens_; ++t) {
          __builtin_memcpy(q, source + (t * blocks + block + b) * kQ8Block, kQ8Block);
          q += kQ8Block;
        }
      }
      for (int t = 0; t < tokens_; ++t) {
        const int64_t from = t * blocks + block + b;
        const int to = b * tokens_ + t;
        x_.scales[to] = args_.scales[from];
        x_.min_factors[to] = args_.scales[from] * static_cast<float>(args_.sums[from]);
      }
    }
  }

  // The same group twice: it alone.
  void multiply(int64_t index_a, int64_t index_b, int64_t block, int count) {
    begin(a_, index_a, block);
    begin(b_, index_b, block);
    unpack(0, count);
    unpack(kPair, count);
    dot(0, count);
    for (int at = 0; at < count; at += kPair) {
      unpack(at + 2 * kPair, count);
      dot(at + kPair, count);
      add(a_, at, count);
      add(b_, at, count);
    }
    end(a_);
    if (index_b != index_a) end(b_);
  }

  float* result(const Group& group) const { return args_.y + group.index * kPackRows; }
  int64_t rows(const Group& group) const { return args_.row_end - group.index * kPackRows; }

  void begin(Group& group, int64_t index, int64_t block) const {
    group.index = index;
    group.at = args_.w.data + index * args_.w.group_bytes + block / kUnit * kUnitBytes;
    const float* y = result(group);
    for (int t = 0; t < tokens_; ++t, y += args_.y_stride) {
      Simd::store(group.sums[t], block == 0 ? Simd::Floats{} : Simd::load_rows(y, rows(group)));
    }
  }
  void end(const Group& group) const {
    float* y = result(group);
    for (int t = 0; t < tokens_; ++t, y += args_.y_stride) {
      Simd::store_rows(y, rows(group), Simd::load(group.sums[t]));
    }
  }

  // The pair of blocks at `at`, or what of it there is.
  void unpack(int at, int count) {
    for (int block = at; block < at + kPair && block < count; ++block) {
      unpack_block(block, a_);
      unpack_block(block, b_);
    }
  }
  ZY_INLINE static void unpack_block(int block, Group& group) {
    if (block % kUnit == 0) {
      const int to = block % kScalesKept;
      unpack_head<Simd, kFormat>(group.at, group.scale + to, group.min + to);
      group.at += head_bytes(kLayout);
    }
    for (int i = 0; i < kUnitBytes / kUnit; i += 64) {
      __builtin_prefetch(group.at + kPrefetchAhead + i);
    }
    Simd::Ints quads[8];
    unpack_codes<SignedSimd, kFormat>(group.at, quads);
    group.at += block_bytes(kLayout);
    constexpr int kOffset = dot_offset<SignedSimd>(kLayout);
    uint8_t(*codes)[kPackVector] = group.codes + 8 * (block % kCodesKept);
    for (int c = 0; c < 8; ++c) {
      if constexpr (kOffset != 0) quads[c] = Simd::subtract_bytes(quads[c], kOffset);
      Simd::store(codes[c], quads[c]);
    }
  }

  void dot(int at, int count) {
    for (int block = at; block < at + kPair && block < count; ++block) {
      const int8_t* q = x_.q + block * 2 * tokens_ * kQ8Block;
      if (together_) {
        dot_together(q, block);
      } else {
        tiles_.template load<kHigh>(q, kQ8Block);
        tiles_.template load<kLow>(q + tokens_ * kQ8Block, kQ8Block);
        dot_apart<kSumA, kLowSumA, kWeightsA>(block, a_);
        dot_apart<kSumB, kLowSumB, kWeightsB>(block, b_);
      }
    }
  }

  // High bytes and low bytes in one tile.
  void dot_together(const int8_t* q, int block) {
    tiles_.template load<kHigh>(q, kQ8Block);
    tiles_.template load<kWeightsA>(a_.codes[8 * (block % kCodesKept)], kPackVector);
    tiles_.template load<kWeightsB>(b_.codes[8 * (block % kCodesKept)], kPackVector);
    tiles_.template zero<kSumA>();
    tiles_.template zero<kSumB>();
    tiles_.template dot_signed_bytes<kSumA, kHigh, kWeightsA>();
    tiles_.template dot_signed_bytes<kSumB, kHigh, kWeightsB>();
    tiles_.template store<kSumA>(a_.dots[block % kDotsKept], kPackVector);
    tiles_.template store<kSumB>(b_.dots[block % kDotsKept], kPackVector);
  }

  template <int kSum, int kLowSum, int kWeights>
  void dot_apart(int block, Group& group) {
    int32_t(*dots)[kPackRows] = group.dots[block % kDotsKept];
    tiles_.template load<kWeights>(group.codes[8 * (block % kCodesKept)], kPackVector);
    tiles_.template zero<kSum>();
    tiles_.template zero<kLowSum>();
    tiles_.template dot_signed_bytes<kSum, kHigh, kWeights>();
    tiles_.template dot_signed_bytes<kLowSum, kLow, kWeights>();
    tiles_.template store<kSum>(dots, kPackVector);
    tiles_.template store<kLowSum>(dots[tokens_], kPackVector);
  }

  void add(Group& group, int at, int count) const {
    if (count - at >= kPair) {
      add_blocks<kPair>(group, at);
    } else {
      add_blocks<1>(group, at);
    }
  }

  // The dots of blocks that follow one another, scaled, onto the sums.
  template <int kBlocks>
  ZY_INLINE void add_blocks(Group& group, int at) const {
    Simd::Floats scale[kBlocks], min[kBlocks];
    const uint8_t* high[kBlocks];
    const float* factors = x_.scales + at * tokens_;
    const float* min_factors = x_.min_factors + at * tokens_;
    for (int j = 0; j < kBlocks; ++j) {
      scale[j] = Simd::load(group.scale[(at + j) % kScalesKept]);
      if constexpr (kLayout.has_min) min[j] = Simd::load(group.min[(at + j) % kScalesKept]);
      high[j] = reinterpret_cast<const uint8_t*>(group.dots[(at + j) % kDotsKept]);
    }
    const int to_low = tokens_ * kPackVector, tokens = tokens_;
#pragma GCC unroll 4
    for (int t = 0; t < tokens; ++t) {
      Simd::Floats sum = Simd::load(group.sums[t]);
      for (int j = 0; j < kBlocks; ++j) {
        const uint8_t* from = high[j] + t * kPackVector;
        const Simd::Ints dot =
            Simd::add(Simd::times_256(Simd::load(from)), Simd::load(from + to_low));
        if constexpr (kLayout.has_min) {
          sum = Simd::fma(min[j], Simd::set(min_factors[j * tokens + t]), sum);
        }
        const Simd::Floats total = Simd::mul(Simd::to_floats(dot), scale[j]);
        sum = Simd::fma(total, Simd::set(factors[j * tokens + t]), sum);
      }
      Simd::store(group.sums[t], sum);
    }
  }

  const PackedGemmArgs& args_;
  int tokens_;
  bool together_;  // whether one tile holds high and low bytes
  HardwareTiles tiles_;
  Activations x_;
  Group a_, b_;
};

}  // namespace

void gemm_packed(const PackedGemmArgs& args) {
  // Below, streaming them costs less; above, gathering them anew for each tile of tokens does.
  constexpr int64_t kLeastTokens = 3;
  if (args.low == nullptr || args.tokens < kLeastTokens || args.tokens > kMostTokens) {
    return avx512::gemm_packed(args);
  }
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    // Half blocks would leave half of a tile empty.
    if constexpr (packed_layout(kFormat).halves) {
      avx512::gemm_packed(args);
    } else {
      FewTokens<kFormat>(args).run();
    }
  });
}

}  // namespace zhiyin::amx
