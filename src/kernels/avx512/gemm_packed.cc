// Few tokens against packed weights: a thread reads its weights once, at the speed of the memory,
// as two streams with a prefetch each. Many tokens go to gemm_packed_tiles.
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/packed_weight.h"

namespace zhiyin::avx512 {
namespace {

constexpr int kMaxTokens = 4;
constexpr int kPrefetchBytes = 1024;

// One block of activations, as every group of rows needs it.
template <Format kFormat, int kTokens>
struct BlockInput {
  static constexpr PackedLayout kLayout = packed_layout(kFormat);
  static constexpr int kHalves = kLayout.halves ? 2 : 1;

  const int8_t* q;
  int64_t q_stride;
  __m512 scale[kTokens];
  __m512i start[kTokens][kHalves];      // - offset * sum
  __m512 min_factor[kTokens][kHalves];  // scale * sum

  BlockInput(const PackedGemmArgs& args, int64_t block)
      : q(args.q + block * kQ8Block), q_stride(args.w.cols) {
    const int64_t blocks = args.w.cols / kQ8Block;
    for (int t = 0; t < kTokens; ++t) {
      const float x_scale = args.scales[t * blocks + block];
      const int sum = args.sums[t * blocks + block];
      scale[t] = _mm512_set1_ps(x_scale);
      if constexpr (kLayout.halves) {
        const int first = sum_16(q + t * q_stride);
        set(t, 0, first, x_scale);
        set(t, 1, sum - first, x_scale);
      } else {
        set(t, 0, sum, x_scale);
      }
    }
  }

  void set(int t, int half, int sum, float x_scale) {
    start[t][half] = _mm512_set1_epi32(-kLayout.offset * sum);
    min_factor[t][half] = _mm512_set1_ps(x_scale * static_cast<float>(sum));
  }

  __m512i quad(int t, int c) const {
    int32_t four;
    __builtin_memcpy(&four, q + t * q_stride + 4 * c, sizeof(four));
    return _mm512_set1_epi32(four);
  }
};

// Adds one block of 16 rows to the sums of each token.
template <Format kFormat, int kTokens>
inline void add_block(const uint8_t* block, const RowFloats* scale, const RowFloats* min,
                      const BlockInput<kFormat, kTokens>& x, __m512 sums[kTokens]) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  constexpr int kHalves = kLayout.halves ? 2 : 1;
  __m512i w[8];
  unpack_codes<kFormat>(block, w);
  __m512 total[kTokens];
  for (int h = 0; h < kHalves; ++h) {
    const __m512 w_scale = _mm512_load_ps(scale[h]);
    for (int t = 0; t < kTokens; ++t) {
      __m512i dot = x.start[t][h];
      for (int c = 8 / kHalves * h; c < 8 / kHalves * (h + 1); ++c) {
        dot = _mm512_dpbusd_epi32(dot, w[c], x.quad(t, c));
      }
      const __m512 value = _mm512_cvtepi32_ps(dot);
      total[t] = h == 0 ? _mm512_mul_ps(value, w_scale) : _mm512_fmadd_ps(value, w_scale, total[t]);
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    sums[t] = _mm512_fmadd_ps(total[t], x.scale[t], sums[t]);
    if constexpr (kLayout.has_min) {
      for (int h = 0; h < kHalves; ++h) {
        sums[t] = _mm512_fmadd_ps(_mm512_load_ps(min[h]), x.min_factor[t][h], sums[t]);
      }
    }
  }
}

// A place in the weights that moves on through groups that follow one another.
template <Format kFormat, int kTokens>
struct Stream {
  static constexpr PackedLayout kLayout = packed_layout(kFormat);
  static constexpr int kSubs = kLayout.unit_blocks * (kLayout.halves ? 2 : 1);

  const uint8_t* at;
  __m512 sums[kTokens];
  alignas(64) RowFloats scale[kSubs];
  alignas(64) RowFloats min[kLayout.has_min ? kSubs : 1];

  void begin_group(const uint8_t* group) {
    at = group;
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
  }
  void prefetch(int bytes) const {
    for (int i = 0; i < bytes; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes + i), _MM_HINT_T0);
    }
  }
  void read_head() {
    prefetch(head_bytes(kLayout));
    unpack_head<kFormat>(at, scale, min);
    at += head_bytes(kLayout);
  }
  void read_block(int in_unit, const BlockInput<kFormat, kTokens>& x) {
    constexpr int kHalves = kLayout.halves ? 2 : 1;
    prefetch(block_bytes(kLayout));
    add_block<kFormat, kTokens>(at, scale + kHalves * in_unit,
                                min + (kLayout.has_min ? kHalves * in_unit : 0), x, sums);
    at += block_bytes(kLayout);
  }
  void store(const PackedGemmArgs& args, int64_t group) const {
    const int64_t row = group * kPackRows;
    const int64_t rows = args.row_end - row;
    const __mmask16 mask = rows >= kPackRows ? 0xFFFF : static_cast<__mmask16>((1 << rows) - 1);
    for (int t = 0; t < kTokens; ++t) {
      _mm512_mask_storeu_ps(args.y + t * args.y_stride + row, mask, sums[t]);
    }
  }
};

template <Format kFormat, int kTokens>
void stream_rows(const PackedGemmArgs& args) {
  constexpr PackedLayout kLayout = packed_layout(kFormat);
  const int64_t blocks = args.w.cols / kQ8Block;
  const int64_t first = args.row_begin / kPackRows;
  const int64_t end = (args.row_end + kPackRows - 1) / kPackRows;
  // The streams take a half each; of an odd number of groups both compute the middle one.
  const int64_t each = (end - first + 1) / 2;
  const int64_t second = end - each;
  Stream<kFormat, kTokens> a, b;
  for (int64_t i = 0; i < each; ++i) {
    a.begin_group(args.w.data + (first + i) * args.w.group_bytes);
    b.begin_group(args.w.data + (second + i) * args.w.group_bytes);
    for (int64_t block = 0; block < blocks; block += kLayout.unit_blocks) {
      a.read_head();
      b.read_head();
      const int64_t left = blocks - block;
      for (int k = 0; k < kLayout.unit_blocks && k < left; ++k) {
        const BlockInput<kFormat, kTokens> x(args, block + k);
        a.read_block(k, x);
        b.read_block(k, x);
      }
    }
    a.store(args, first + i);
    b.store(args, second + i);
  }
}

}  // namespace

void gemm_packed(const PackedGemmArgs& args) {
  if (args.tokens > kMaxTokens) return gemm_packed_tiles(args);
  for_packed_format(args.w.format, [&]<Format kFormat>() {
    switch (args.tokens) {
      case 1:
        return stream_rows<kFormat, 1>(args);
      case 2:
        return stream_rows<kFormat, 2>(args);
      case 3:
        return stream_rows<kFormat, 3>(args);
      case 4:
        return stream_rows<kFormat, 4>(args);
      default:
        return;
    }
  });
}

}  // namespace zhiyin::avx512
