// Attention over cached pages. Each page is turned into f32 once for up to 64 rows: its keys
// transposed, so that both products are the register tile of product.h, with the page's tokens or
// the head's elements across the lanes.
#pragma once

#include "kernels/attend_scratch.h"
#include "kernels/wide/product.h"
#include "kernels/wide/rows.h"
#include "quant/blocks.h"

namespace zhiyin::wide {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

// Elements from i on of a token's key or value.
template <typename L, KvType kType>
[[gnu::always_inline]] inline typename L::Vec load_cached(const void* page, int64_t token,
                                                          int64_t head_dim, int64_t i, auto part) {
  const int64_t element = token * head_dim + i;
  if constexpr (kType == KvType::kF32) {
    return L::load(static_cast<const float*>(page) + element, part);
  } else if constexpr (kType == KvType::kF16) {
    return L::load_f16(static_cast<const uint16_t*>(page) + element, part);
  } else {
    static_assert(kBlock % L::kCount == 0);  // so a vector is whole and of one block
    const auto* block = static_cast<const BlockQ8_0*>(page) + element / kBlock;
    return L::mul(L::set(L::from_half(block->d)), L::load_int8(block->qs + i % kBlock));
  }
}

// keys[i][t] = element i of token t, for whole vectors of tokens that cover [begin, end).
template <typename L, KvType kType>
void transpose_keys(const void* page, int64_t head_dim, int64_t begin, int64_t end, float* keys) {
  for (int64_t t = begin / L::kCount * L::kCount; t < end; t += L::kCount) {
    for_lanes<L>(head_dim, [&](int64_t i, auto part) {
      typename L::Vec block[L::kCount];
      for (int64_t r = 0; r < L::kCount; ++r) {
        block[r] = load_cached<L, kType>(page, t + r, head_dim, i, part);
      }
      L::transpose(block);
      for (int64_t r = 0; r < L::kCount && i + r < head_dim; ++r) {
        L::store(keys + (i + r) * kKvPageTokens + t, {}, block[r]);
      }
    });
  }
}

// values[t][i] with rows of padded_dim floats, for the tokens [begin, end).
template <typename L, KvType kType>
void unpack_values(const void* page, int64_t head_dim, int64_t begin, int64_t end, float* values) {
  const int64_t padded = attend_padded_dim(head_dim);
  for (int64_t t = begin; t < end; ++t) {
    for_lanes<L>(head_dim, [&](int64_t i, auto part) {
      L::store(values + t * padded + i, {}, load_cached<L, kType>(page, t, head_dim, i, part));
    });
  }
}

// cap * tanh(x / cap)
template <typename L>
typename L::Vec soft_cap(typename L::Vec x, float cap) {
  const typename L::Vec e = exp<L>(L::mul(x, L::set(2.0f / cap)));
  const typename L::Vec rest = L::div(L::set(2.0f), L::add(e, L::set(1.0f)));
  return L::mul(L::set(cap), L::sub(L::set(1.0f), rest));
}

// The running state of a row: maximum and sum of its weights, and the values they have added up.
struct Row {
  float* scores;  // [64]
  float* max;
  float* sum;
  float* out;  // [padded]
  int64_t padded;
};

// Turns the page's scores of a row into weights, 0 outside [first, last), and brings the row's
// state up to date with them (Milakov and Gimelshein 2018).
template <typename L>
void weigh(const Row& row, int64_t first, int64_t last, float softcap) {
  using Vec = typename L::Vec;
  constexpr int kVectors = kKvPageTokens / L::kCount;
  Vec largest = L::set(kMinusInfinity);
  Vec scores[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    Vec score = L::load(row.scores + v * L::kCount, {});
    if (softcap > 0) score = soft_cap<L>(score, softcap);
    scores[v] =
        L::keep_range(first - v * L::kCount, last - v * L::kCount, score, L::set(kMinusInfinity));
    largest = L::max(largest, scores[v]);
  }
  const float old_max = *row.max;
  const float page_max = L::max_of(largest);
  const float new_max = page_max > old_max ? page_max : old_max;
  // Where no key is seen yet, the maximum is -inf, and -inf - -inf would be NaN.
  const Vec shift = L::set(new_max == kMinusInfinity ? 0.0f : new_max);
  Vec sum = L::set(0);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Vec weight = exp<L>(L::sub(scores[v], shift));
    L::store(row.scores + v * L::kCount, {}, weight);
    sum = L::add(sum, weight);
  }
  if (new_max > old_max) {
    *row.max = new_max;
    if (*row.sum > 0) {
      const Vec shrink = exp<L>(L::set(old_max - new_max));
      *row.sum *= L::first_of(shrink);
      for (int64_t i = 0; i < row.padded; i += L::kCount) {
        L::store(row.out + i, {}, L::mul(L::load(row.out + i, {}), shrink));
      }
    }
  }
  *row.sum += L::sum_of(sum);
}

// Up to kAttendRows rows from row `begin` on.
template <typename L, KvType kType>
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
    parts.max[r] = kMinusInfinity;
    parts.sum[r] = 0;
    scale<L>(args.scale, args.q[begin + r], parts.q + r * head_dim, head_dim);
  }
  for (int64_t i = 0; i < rows * padded; i += L::kCount) L::store(parts.out + i, {}, L::set(0));

  for (int64_t page = first / kKvPageTokens; page * kKvPageTokens < last; ++page) {
    const int64_t start = page * kKvPageTokens;
    const auto sees_nothing = [&](int64_t r) {
      return lasts[r] <= start || firsts[r] >= start + kKvPageTokens;
    };
    // All rows between the first and the last that see something are computed, and masked.
    int64_t r0 = 0;
    int64_t r1 = rows;
    while (r0 < r1 && sees_nothing(r0)) ++r0;
    while (r1 > r0 && sees_nothing(r1 - 1)) --r1;
    if (r0 == r1) continue;
    const int64_t t0 = first > start ? first - start : 0;
    const int64_t t1 = last - start < kKvPageTokens ? last - start : kKvPageTokens;
    float* scores = parts.scores + r0 * kKvPageTokens;

    transpose_keys<L, kType>(args.key_pages[page], head_dim, t0, t1, parts.keys);
    product<L>({.a = parts.q + r0 * head_dim,
                .a_stride = head_dim,
                .b = parts.keys,
                .b_stride = kKvPageTokens,
                .k = head_dim,
                .c = scores,
                .c_stride = kKvPageTokens,
                .cols = kKvPageTokens,
                .accumulate = false},
               r1 - r0);
    for (int64_t r = r0; r < r1; ++r) {
      weigh<L>({.scores = parts.scores + r * kKvPageTokens,
                .max = parts.max + r,
                .sum = parts.sum + r,
                .out = parts.out + r * padded,
                .padded = padded},
               firsts[r] - start, lasts[r] - start, args.softcap);
    }
    unpack_values<L, kType>(args.value_pages[page], head_dim, t0, t1, parts.values);
    product<L>({.a = scores + t0,
                .a_stride = kKvPageTokens,
                .b = parts.values + t0 * padded,
                .b_stride = padded,
                .k = t1 - t0,
                .c = parts.out + r0 * padded,
                .c_stride = padded,
                .cols = padded,
                .accumulate = true},
               r1 - r0);
  }

  for (int64_t r = 0; r < rows; ++r) {
    float factor = 1.0f;
    if (split) {
      args.partial[2 * (begin + r)] = parts.max[r];
      args.partial[2 * (begin + r) + 1] = parts.sum[r];
    } else if (parts.sum[r] > 0) {
      factor = 1.0f / parts.sum[r];
    }
    scale<L>(factor, parts.out + r * padded, args.out[begin + r], head_dim);
  }
}

template <typename L, KvType kType>
void attend_all(const AttendArgs& args) {
  for (int64_t r = 0; r < args.rows; r += kAttendRows) {
    const int64_t left = args.rows - r;
    attend_rows<L, kType>(args, r, left < kAttendRows ? left : kAttendRows);
  }
}

template <typename L>
void attend(const AttendArgs& args) {
  switch (args.type) {
    case KvType::kF32:
      return attend_all<L, KvType::kF32>(args);
    case KvType::kF16:
      return attend_all<L, KvType::kF16>(args);
    case KvType::kQ8_0:
      return attend_all<L, KvType::kQ8_0>(args);
  }
}

}  // namespace
}  // namespace zhiyin::wide
