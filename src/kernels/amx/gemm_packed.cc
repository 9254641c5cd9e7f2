// Integer products with packed weights for few tokens, in tiles: what decoding several sequences or
// checking several proposed tokens takes. Integers are exact and floats are added in the order of
// packed_driver.h, so the results are those of avx512 to the bit.
//
// A block's eight quads are the rows of a tile as they are: 32 columns of 16 rows of weights. The
// other tile has the high bytes of the tokens and below them, or in a tile of their own, the low
// ones. Two groups of rows go side by side, so that a load of activations serves both.
#include "kernels/amx/hardware_tiles.h"
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_simd.h"

namespace zhiyin::amx {
namespace {

using avx512::Simd;

constexpr int kMostTokens = 16;
constexpr int kChunkBlocks = 128;  // a multiple of a super-block; bounds what the stack holds
constexpr int kMostUnit = 8;

enum TileName { kSumA, kSumB, kLowSumA, kLowSumB, kHigh, kLow, kWeightsA, kWeightsB };

// The activations of a chunk of columns.
struct Activations {
  alignas(64) int8_t q[kChunkBlocks * 2 * kMostTokens * kQ8Block];  // [block][high, low][token][32]
  // [block][token]
  float scales[kChunkBlocks * kMostTokens];
  int32_t starts[kChunkBlocks * kMostTokens];     // - offset * sum
  float min_factors[kChunkBlocks * kMostTokens];  // scale * sum
};

// A group of rows: its place in the weights, and the unit there.
struct Group {
  const uint8_t* at;
  int64_t index;
  alignas(64) uint8_t codes[kMostUnit * 8][kPackVector];
  alignas(64) RowFloats scale[kMostUnit];
  alignas(64) RowFloats min[kMostUnit];
  alignas(64) int32_t dots[2][2 * kMostTokens][kPackRows];  // [block % 2][high, low][token]
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
        x_.starts[to] = -dot_offset<Simd>(kLayout) * args_.sums[from];
        x_.min_factors[to] = args_.scales[from] * static_cast<float>(args_.sums[from]);
      }
    }
  }

  void begin(Group& group, int64_t index, int64_t block) const {
    group.index = index;
    group.at = args_.w.data + index * args_.w.group_bytes + block / kUnit * kUnitBytes;
  }

  // The same group twice: it alone.
  void multiply(int64_t index_a, int64_t index_b, int64_t block, int count) {
    begin(a_, index_a, block);
    begin(b_, index_b, block);
    for (int at = 0; at < count; at += kUnit) {
      const int unit = count - at < kUnit ? count - at : kUnit;
      unpack(unit, a_);
      unpack(unit, b_);
      // The tiles are a block ahead of the sums.
      dot(at, 0);
      for (int k = 0; k < unit; ++k) {
        if (k + 1 < unit) dot(at, k + 1);
        prefetch_part(k, a_);
        prefetch_part(k, b_);
        const bool begins = block + at + k == 0;
        add(a_, at, k, begins);
        if (index_b != index_a) add(b_, at, k, begins);
      }
    }
  }

  static void unpack(int unit, Group& group) {
    const uint8_t* p = group.at;
    group.at += kUnitBytes;
    unpack_head<Simd, kFormat>(p, group.scale, group.min);
    p += head_bytes(kLayout);
    for (int k = 0; k < unit; ++k) {
      Simd::Ints quads[8];
      unpack_codes<Simd, kFormat>(p, quads);
      for (int c = 0; c < 8; ++c) Simd::store(group.codes[8 * k + c], quads[c]);
      p += block_bytes(kLayout);
    }
  }

  // The next unit arrives in parts, so that there is room for what is on its way.
  static void prefetch_part(int k, const Group& group) {
    constexpr int kLines = (kUnitBytes / 64 + kUnit - 1) / kUnit;
    for (int i = 0; i < kLines; ++i) __builtin_prefetch(group.at + (k * kLines + i) * 64);
  }

  void dot(int at, int k) {
    const int8_t* q = x_.q + (at + k) * 2 * tokens_ * kQ8Block;
    if (together_) {
      if (k % 2 == 0) {
        dot_together<kSumA, kSumB>(q, k);
      } else {
        dot_together<kLowSumA, kLowSumB>(q, k);
      }
      return;
    }
    tiles_.template load<kHigh>(q, kQ8Block);
    tiles_.template load<kLow>(q + tokens_ * kQ8Block, kQ8Block);
    dot_apart<kSumA, kLowSumA, kWeightsA>(k, a_);
    dot_apart<kSumB, kLowSumB, kWeightsB>(k, b_);
  }

  // High bytes and low bytes in one tile.
  template <int kA, int kB>
  void dot_together(const int8_t* q, int k) {
    tiles_.template load<kHigh>(q, kQ8Block);
    tiles_.template load<kWeightsA>(a_.codes[8 * k], kPackVector);
    tiles_.template load<kWeightsB>(b_.codes[8 * k], kPackVector);
    tiles_.template zero<kA>();
    tiles_.template zero<kB>();
    tiles_.template dot_bytes<kA, kHigh, kWeightsA>();
    tiles_.template dot_bytes<kB, kHigh, kWeightsB>();
    tiles_.template store<kA>(a_.dots[k % 2], kPackVector);
    tiles_.template store<kB>(b_.dots[k % 2], kPackVector);
  }

  template <int kSum, int kLowSum, int kWeights>
  void dot_apart(int k, Group& group) {
    tiles_.template load<kWeights>(group.codes[8 * k], kPackVector);
    tiles_.template zero<kSum>();
    tiles_.template zero<kLowSum>();
    tiles_.template dot_bytes<kSum, kHigh, kWeights>();
    tiles_.template dot_bytes<kLowSum, kLow, kWeights>();
    tiles_.template store<kSum>(group.dots[k % 2], kPackVector);
    tiles_.template store<kLowSum>(group.dots[k % 2][tokens_], kPackVector);
  }

  // The dots of block k of a unit, scaled, onto the sums in y.
  ZY_INLINE void add(const Group& group, int at, int k, bool begins) const {
    const int64_t row = group.index * kPackRows, rows = args_.row_end - row;
    float* y = args_.y + row;
    const int offset = (at + k) * tokens_;
    const Simd::Floats scale = Simd::load(group.scale[k]);
    for (int t = 0; t < tokens_; ++t) {
      Simd::Floats sum{};
      if (!begins) sum = Simd::load_rows(y, rows);
      const auto* high = reinterpret_cast<const uint8_t*>(group.dots[k % 2][t]);
      const auto* low = reinterpret_cast<const uint8_t*>(group.dots[k % 2][tokens_ + t]);
      Simd::Ints dot = Simd::add(Simd::times_256(Simd::load(high)), Simd::load(low));
      if constexpr (kLayout.has_min) {
        sum = Simd::fma(Simd::load(group.min[k]), Simd::set(x_.min_factors[offset + t]), sum);
      } else {
        dot = Simd::add(dot, Simd::set(x_.starts[offset + t]));
      }
      const Simd::Floats total = Simd::mul(Simd::to_floats(dot), scale);
      Simd::store_rows(y, rows, Simd::fma(total, Simd::set(x_.scales[offset + t]), sum));
      y += args_.y_stride;
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
