#include <cmath>

#include "kernels/attend_scratch.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/avx512/tile.h"
#include "quant/blocks.h"

namespace zhiyin::avx512 {
namespace {

constexpr int kPageVectors = kKvPageTokens / kLanes;
constexpr int kTileRows = 6;  // x 4 vectors: 24 sums, 4 values, 1 broadcast in 32 registers

// Elements i .. i + 15 of a token's key or value.
template <KvType kType>
inline __m512 load_cached(const void* page, int64_t token, int64_t head_dim, int64_t i,
                          __mmask16 mask) {
  if constexpr (kType == KvType::kF32) {
    return load(static_cast<const float*>(page) + token * head_dim + i, mask);
  } else if constexpr (kType == KvType::kF16) {
    const uint16_t* row = static_cast<const uint16_t*>(page) + token * head_dim;
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + i));
  } else {
    const auto* block = static_cast<const BlockQ8_0*>(page) + (token * head_dim + i) / kBlock;
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block->qs + i % kBlock));
    const __m512 d = _mm512_set1_ps(_cvtsh_ss(block->d));
    return _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)));
  }
}

// keys[i][t] = element i of token t, for whole groups of 16 tokens that cover [begin, end).
template <KvType kType>
void transpose_keys(const void* page, int64_t head_dim, int64_t begin, int64_t end, float* keys) {
  for (int64_t t = begin / kLanes * kLanes; t < end; t += kLanes) {
    for (int64_t i = 0; i < head_dim; i += kLanes) {
      const __mmask16 mask = first_lanes(head_dim - i);
      __m512i block[kLanes];
      for (int64_t r = 0; r < kLanes; ++r) {
        block[r] = _mm512_castps_si512(load_cached<kType>(page, t + r, head_dim, i, mask));
      }
      transpose(block);
      const int64_t depth = head_dim - i < kLanes ? head_dim - i : kLanes;
      for (int64_t r = 0; r < kLanes; ++r) {
        if (r < depth) _mm512_storeu_si512(keys + (i + r) * kKvPageTokens + t, block[r]);
      }
    }
  }
}

template <KvType kType>
void unpack_values(const void* page, int64_t head_dim, int64_t begin, int64_t end, float* values) {
  const int64_t padded = attend_padded_dim(head_dim);
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t i = 0; i < head_dim; i += kLanes) {
      const __mmask16 mask = first_lanes(head_dim - i);
      _mm512_storeu_ps(values + t * padded + i, load_cached<kType>(page, t, head_dim, i, mask));
    }
  }
}

// cap * tanh(x / cap)
inline __m512 soft_cap(__m512 x, float cap) {
  const __m512 twice = _mm512_mul_ps(x, _mm512_set1_ps(2.0f / cap));
  const __m512 two = _mm512_set1_ps(2.0f);
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 tanh = _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(exp(twice), one)));
  return _mm512_mul_ps(_mm512_set1_ps(cap), tanh);
}

// Turns the page's 64 scores of a row into weights, 0 outside [first, last), and brings the row's
// maximum, sum and output up to date with them (Milakov and Gimelshein 2018).
inline void weigh(float* scores, int64_t first, int64_t last, float softcap, float* row_max,
                  float* row_sum, float* out, int64_t padded) {
  const __m512 minus_infinity = _mm512_set1_ps(-INFINITY);
  __m512 s[kPageVectors];
  __m512 largest = minus_infinity;
#pragma GCC unroll 4
  for (int v = 0; v < kPageVectors; ++v) {
    const auto seen =
        static_cast<__mmask16>(first_lanes(last - v * kLanes) & ~first_lanes(first - v * kLanes));
    __m512 score = _mm512_loadu_ps(scores + v * kLanes);
    if (softcap > 0) score = soft_cap(score, softcap);
    s[v] = _mm512_mask_mov_ps(minus_infinity, seen, score);
    largest = _mm512_max_ps(largest, s[v]);
  }
  const float old_max = *row_max;
  const float page_max = max_lanes(largest);
  const float new_max = page_max > old_max ? page_max : old_max;
  // Where no key is seen yet, the maximum is -inf, and -inf - -inf would be NaN.
  const __m512 shift = _mm512_set1_ps(new_max == -INFINITY ? 0.0f : new_max);
  __m512 sum = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int v = 0; v < kPageVectors; ++v) {
    const __m512 weight = exp(_mm512_sub_ps(s[v], shift));
    _mm512_storeu_ps(scores + v * kLanes, weight);
    sum = _mm512_add_ps(sum, weight);
  }
  if (new_max > old_max) {
    *row_max = new_max;
    if (*row_sum > 0) {
      const __m512 shrink = exp(_mm512_set1_ps(old_max - new_max));
      *row_sum *= _mm512_cvtss_f32(shrink);
      for (int64_t i = 0; i < padded; i += kLanes) {
        _mm512_storeu_ps(out + i, _mm512_mul_ps(_mm512_loadu_ps(out + i), shrink));
      }
    }
  }
  *row_sum += sum_lanes(sum);
}

// out[rows][0, cols) += weights . values for up to 64 columns.
void add_values(const Product& product, int64_t rows) {
  switch ((product.cols + kLanes - 1) / kLanes) {
    case 1:
      return product_rows<kTileRows, 1>(product, rows);
    case 2:
      return product_rows<kTileRows, 2>(product, rows);
    case 3:
      return product_rows<kTileRows, 3>(product, rows);
    default:
      return product_rows<kTileRows, 4>(product, rows);
  }
}

// Up to kAttendRows rows from row `begin` on.
template <KvType kType>
void attend_rows(const AttendArgs& args, int64_t begin, int64_t rows) {
  const int64_t head_dim = args.head_dim;
  const int64_t padded = attend_padded_dim(head_dim);
  const AttendScratch parts = attend_scratch(args.scratch, head_dim, args.rows);
  const bool split = args.partial != nullptr;

  int64_t firsts[kAttendRows];
  int64_t lasts[kAttendRows];
  int64_t first = INT64_MAX;
  int64_t last = 0;
  for (int64_t r = 0; r < rows; ++r) {
    firsts[r] = args.first[begin + r];
    lasts[r] = args.last[begin + r];
    if (split && firsts[r] < args.split_begin) firsts[r] = args.split_begin;
    if (split && lasts[r] > args.split_end) lasts[r] = args.split_end;
    if (firsts[r] < first) first = firsts[r];
    if (lasts[r] > last) last = lasts[r];
    parts.max[r] = -INFINITY;
    parts.sum[r] = 0;
    scale(args.scale, args.q[begin + r], parts.q + r * head_dim, head_dim);
  }
  for (int64_t i = 0; i < rows * padded; i += kLanes) {
    _mm512_storeu_ps(parts.out + i, _mm512_setzero_ps());
  }

  for (int64_t page = first / kKvPageTokens; page * kKvPageTokens < last; ++page) {
    const int64_t start = page * kKvPageTokens;
    // The rows that see something of the page: all from r0 to r1 are computed, and masked.
    int64_t r0 = 0;
    int64_t r1 = rows;
    while (r0 < r1 && (lasts[r0] <= start || firsts[r0] >= start + kKvPageTokens)) ++r0;
    while (r1 > r0 && (lasts[r1 - 1] <= start || firsts[r1 - 1] >= start + kKvPageTokens)) --r1;
    if (r0 == r1) continue;
    const int64_t t0 = first > start ? first - start : 0;
    const int64_t t1 = last - start < kKvPageTokens ? last - start : kKvPageTokens;

    transpose_keys<kType>(args.key_pages[page], head_dim, t0, t1, parts.keys);
    const Product scores = {
        .a = parts.q + r0 * head_dim,
        .a_stride = head_dim,
        .b = parts.keys,
        .b_stride = kKvPageTokens,
        .k = head_dim,
        .c = parts.scores + r0 * kKvPageTokens,
        .c_stride = kKvPageTokens,
        .cols = kKvPageTokens,
        .accumulate = false,
    };
    product_rows<kTileRows, kPageVectors>(scores, r1 - r0);
    for (int64_t r = r0; r < r1; ++r) {
      weigh(parts.scores + r * kKvPageTokens, firsts[r] - start, lasts[r] - start, args.softcap,
            parts.max + r, parts.sum + r, parts.out + r * padded, padded);
    }

    unpack_values<kType>(args.value_pages[page], head_dim, t0, t1, parts.values);
    for (int64_t i = 0; i < padded; i += kPageVectors * kLanes) {
      const int64_t cols = padded - i;
      const Product values = {
          .a = parts.scores + r0 * kKvPageTokens + t0,
          .a_stride = kKvPageTokens,
          .b = parts.values + t0 * padded + i,
          .b_stride = padded,
          .k = t1 - t0,
          .c = parts.out + r0 * padded + i,
          .c_stride = padded,
          .cols = cols < kPageVectors * kLanes ? cols : kPageVectors * kLanes,
          .accumulate = true,
      };
      add_values(values, r1 - r0);
    }
  }

  for (int64_t r = 0; r < rows; ++r) {
    float factor = 1.0f;
    if (split) {
      args.partial[2 * (begin + r)] = parts.max[r];
      args.partial[2 * (begin + r) + 1] = parts.sum[r];
    } else if (parts.sum[r] > 0) {
      factor = 1.0f / parts.sum[r];
    }
    scale(factor, parts.out + r * padded, args.out[begin + r], head_dim);
  }
}

template <KvType kType>
void attend_all(const AttendArgs& args) {
  for (int64_t r = 0; r < args.rows; r += kAttendRows) {
    attend_rows<kType>(args, r, args.rows - r < kAttendRows ? args.rows - r : kAttendRows);
  }
}

}  // namespace

// Each page is turned into f32 once for up to 64 rows: its keys transposed, so that both products
// are the register tile of tile.h with the page's tokens or the head's elements across the lanes.
void attend(const AttendArgs& args) {
  switch (args.type) {
    case KvType::kF32:
      return attend_all<KvType::kF32>(args);
    case KvType::kF16:
      return attend_all<KvType::kF16>(args);
    case KvType::kQ8_0:
      return attend_all<KvType::kQ8_0>(args);
  }
}

}  // namespace zhiyin::avx512
