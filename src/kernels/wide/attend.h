// Attention over cached pages. Both products are the register tile of product.h, with the page's
// tokens or the head's elements across the lanes. One tile of rows reads the page as it is stored;
// more of them, up to 64, share one conversion to f32.
#pragma once

#include "kernels/attend_scratch.h"
#include "kernels/kv_page.h"
#include "kernels/ref/kernels_ref.h"
#include "kernels/wide/product.h"
#include "kernels/wide/rows.h"

namespace zhiyin::wide {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

template <KvType kType>
struct Element {
  using Type = float;
};
template <>
struct Element<KvType::kF16> {
  using Type = uint16_t;
};
template <>
struct Element<KvType::kQ8_0> {
  using Type = int8_t;
};

// Elements as they are stored, without the scale of kQ8_0.
template <typename L, KvType kType>
[[gnu::always_inline]] inline typename L::Vec load_elements(const typename Element<kType>::Type* p,
                                                            auto part) {
  if constexpr (kType == KvType::kF32) {
    return L::load(p, part);
  } else if constexpr (kType == KvType::kF16) {
    return L::load_f16(p, part);
  } else {
    return L::load_int8(p);
  }
}

// The cursors of product.h over a page: b of a score, [head_dim][64], and of a sum of values,
// [64][head_dim]. kBytes are those of an element, scales those of kQ8_0 as floats.
template <typename L, KvType kType>
struct KeyCursor {
  static constexpr int64_t kBytes = sizeof(typename Element<kType>::Type);
  const typename Element<kType>::Type* element;
  int64_t head_dim;
  const float* scales;  // [head_dim / 32][64]
  int64_t i = 0;        // of the head

  typename L::Vec load(int v) const {
    constexpr int64_t kLanes = L::kCount;
    const int64_t block = v * kLanes / kKeyBlock * head_dim * kKeyBlock;
    const auto x =
        load_elements<L, kType>(element + block + v * kLanes % kKeyBlock, typename L::All{});
    if constexpr (kType != KvType::kQ8_0) return x;
    return L::mul(x, L::load(scales + v * kLanes, {}));
  }
  void next() {
    element += kKeyBlock;
    if constexpr (kType == KvType::kQ8_0) {
      if (++i % kScaleBlock == 0) scales += kKvPageTokens;
    }
  }
  // Tokens; a multiple of 16.
  void skip(int64_t tokens) {
    element += tokens * head_dim;
    scales += tokens;
  }
};
template <typename L, KvType kType>
struct ValueCursor {
  static constexpr int64_t kBytes = sizeof(typename Element<kType>::Type);
  const typename Element<kType>::Type* element;
  int64_t head_dim;
  const float* scales;  // [64][head_dim / 32]
  int64_t i = 0;        // of the head

  typename L::Vec load(int v) const { return load(v, typename L::All{}); }
  typename L::Vec load(int v, auto part) const {
    const auto x = load_elements<L, kType>(element + v * L::kCount, part);
    if constexpr (kType != KvType::kQ8_0) return x;
    return L::mul(x, L::set(scales[(i + v * L::kCount) / kScaleBlock]));
  }
  void next() {
    element += head_dim;
    scales += head_dim / kScaleBlock;
  }
  void skip(int64_t elements) {
    element += elements;
    i += elements;
  }
};

// The keys, or the values, of a page as a cursor at its start; `scales` takes 2 * head_dim floats.
template <typename L, KvType kType, template <typename, KvType> typename Cursor>
Cursor<L, kType> cursor_of(const void* page, int64_t head_dim, float* scales) {
  if constexpr (kType == KvType::kQ8_0) {
    const uint16_t* stored = page_scales(page, head_dim);
    for (int64_t s = 0; s < kKvPageTokens * head_dim / kScaleBlock; s += L::kCount) {
      L::store(scales + s, {}, L::load_f16(stored + s, typename L::All{}));
    }
  }
  return {static_cast<const typename Element<kType>::Type*>(page), head_dim, scales};
}

// keys[i][t] = element i of token t, for whole vectors of tokens that cover [begin, end).
template <typename L, KvType kType>
void unpack_keys(KeyCursor<L, kType> cursor, int64_t begin, int64_t end, float* keys) {
  cursor.skip(begin / kKeyBlock * kKeyBlock);
  for (int64_t t = begin / kKeyBlock * kKeyBlock; t < end; t += kKeyBlock) {
    KeyCursor<L, kType> row = cursor;
    for (int64_t i = 0; i < cursor.head_dim; ++i, row.next()) {
      for (int v = 0; v < kKeyBlock / L::kCount; ++v) {
        L::store(keys + i * kKvPageTokens + t + v * L::kCount, {}, row.load(v));
      }
    }
    cursor.skip(kKeyBlock);
  }
}

// values[t][i] with rows of padded_dim floats, for the tokens [begin, end).
template <typename L, KvType kType>
void unpack_values(ValueCursor<L, kType> cursor, int64_t begin, int64_t end, float* values) {
  const int64_t padded = attend_padded_dim(cursor.head_dim);
  for (int64_t t = 0; t < end; ++t, cursor.next()) {
    if (t < begin) continue;
    for_lanes<L>(cursor.head_dim, [&](int64_t i, auto part) {
      L::store(values + t * padded + i, {}, cursor.load(static_cast<int>(i / L::kCount), part));
    });
  }
}

template <typename L>
void write_kv(const WriteKvArgs& args) {
  if (args.type == KvType::kQ8_0) return ref::write_kv(args);
  const int64_t n = args.head_dim;
  const auto write = [&](auto* keys, auto* values, auto store) {
    __typeof__(*keys) lanes[L::kCount];
    for_lanes<L>(n, [&](int64_t i, auto part) {
      store(values + args.token * n + i, part, L::load(args.v + i, part));
      store(lanes, typename L::All{}, L::load(args.k + i, part));
      for (int64_t r = 0; r < L::kCount && i + r < n; ++r) {
        keys[key_index(n, args.token, i + r)] = lanes[r];
      }
    });
  };
  if (args.type == KvType::kF32) {
    write(static_cast<float*>(args.keys), static_cast<float*>(args.values),
          [](float* p, auto part, typename L::Vec x) { L::store(p, part, x); });
  } else {
    write(static_cast<uint16_t*>(args.keys), static_cast<uint16_t*>(args.values),
          [](uint16_t* p, auto part, typename L::Vec x) { L::store_f16(p, part, x); });
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
  float* sums;  // [16]: the row's sum is that of these
  float* out;   // [padded]
  int64_t padded;
};

// Turns the page's scores of a row into weights, 0 outside [first, last), and brings the row's
// state up to date with them (Milakov and Gimelshein 2018).
template <typename L>
void weigh(const Row& row, int64_t first, int64_t last, float softcap) {
  using Vec = typename L::Vec;
  constexpr int64_t kLanes = L::kCount;
  constexpr int kVectors = kKvPageTokens / kLanes;
  const bool masked = first > 0 || last < kKvPageTokens;
  Vec largest = L::set(kMinusInfinity);
  Vec scores[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    scores[v] = L::load(row.scores + v * kLanes, {});
    if (softcap > 0) scores[v] = soft_cap<L>(scores[v], softcap);
    if (masked) {
      scores[v] =
          L::keep_range(first - v * kLanes, last - v * kLanes, scores[v], L::set(kMinusInfinity));
    }
    largest = L::max(largest, scores[v]);
  }
  // After the first pages the maximum seldom grows.
  if (L::any_above(largest, *row.max)) {
    const float old_max = *row.max;
    *row.max = L::max_of(largest);
    if (old_max != kMinusInfinity) {
      const Vec shrink = exp<L>(L::set(old_max - *row.max));
      const auto scale_by = [&](float* x) { L::store(x, {}, L::mul(L::load(x, {}), shrink)); };
      for (int64_t i = 0; i < kSumLanes; i += kLanes) scale_by(row.sums + i);
      for (int64_t i = 0; i < row.padded; i += kLanes) scale_by(row.out + i);
    }
  }
  // Where no key is seen yet, the maximum is -inf, and -inf - -inf would be NaN.
  const Vec shift = L::set(*row.max == kMinusInfinity ? 0.0f : *row.max);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Vec weight = exp<L>(L::sub(scores[v], shift));
    L::store(row.scores + v * kLanes, {}, weight);
    float* sum = row.sums + v * kLanes % kSumLanes;
    L::store(sum, {}, L::add(L::load(sum, {}), weight));
  }
}

// Up to kAttendRows rows from row `begin` on.
template <typename L, KvType kType>
void attend_rows(const AttendArgs& args, int64_t begin, int64_t rows) {
  const int64_t head_dim = args.head_dim;
  const int64_t padded = attend_padded_dim(head_dim);
  const AttendScratch parts = attend_scratch(args.scratch, head_dim, args.rows);
  const bool split = args.partial != nullptr;
  // Pages that fewer rows see take the same tile: a wider one might not fit the head.
  const bool one_tile = rows <= L::kTileRows && head_dim % one_tile_cols<L>(rows) == 0;

  int64_t firsts[kAttendRows];
  int64_t lasts[kAttendRows];
  int64_t first = INT64_MAX;
  int64_t last = 0;
  int64_t seen = 0;  // by the last row, in the keys of other splits too
  for (int64_t r = 0; r < rows; ++r) {
    firsts[r] = args.first[begin + r];
    lasts[r] = args.last[begin + r];
    if (lasts[r] > seen) seen = lasts[r];
    if (split && firsts[r] < args.split_begin) firsts[r] = args.split_begin;
    if (split && lasts[r] > args.split_end) lasts[r] = args.split_end;
    if (firsts[r] < first) first = firsts[r];
    if (lasts[r] > last) last = lasts[r];
    parts.max[r] = kMinusInfinity;
    for (int64_t i = 0; i < kSumLanes; i += L::kCount) {
      L::store(parts.sums + r * kSumLanes + i, {}, L::set(0));
    }
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

    const uint8_t* stored_keys = args.pages[page] + args.key_offset;
    const uint8_t* stored_values = args.pages[page] + args.value_offset;
    // Pages lie apart, so the hardware does not see them coming. Where none follows, what is asked
    // for is there already.
    const uint8_t* next_keys =
        start + kKvPageTokens < seen ? args.pages[page + 1] + args.key_offset : stored_values;
    const uint8_t* next_values =
        start + kKvPageTokens < seen ? args.pages[page + 1] + args.value_offset : stored_values;

    auto keys = cursor_of<L, kType, KeyCursor>(stored_keys, head_dim, parts.scales);
    Product score = {.a = parts.q + r0 * head_dim,
                     .a_stride = head_dim,
                     .k = head_dim,
                     .c = scores,
                     .c_stride = kKvPageTokens,
                     .cols = kKvPageTokens,
                     .accumulate = false};
    if (one_tile) {
      const int64_t cols = one_tile_cols<L>(rows);
      const int64_t skipped = t0 / cols * cols;
      keys.skip(skipped);
      score.c += skipped;
      score.cols = (t1 - skipped + cols - 1) / cols * cols;
      product_of_one_tile<L>(score, keys, r1 - r0, rows, next_keys);
    } else {
      unpack_keys<L, kType>(keys, t0, t1, parts.keys);
      product<L>(score, {parts.keys, kKvPageTokens}, r1 - r0);
    }
    for (int64_t r = r0; r < r1; ++r) {
      weigh<L>({.scores = parts.scores + r * kKvPageTokens,
                .max = parts.max + r,
                .sums = parts.sums + r * kSumLanes,
                .out = parts.out + r * padded,
                .padded = padded},
               firsts[r] - start, lasts[r] - start, args.softcap);
    }

    auto values = cursor_of<L, kType, ValueCursor>(stored_values, head_dim, parts.scales);
    const Product sum = {.a = scores + t0,
                         .a_stride = kKvPageTokens,
                         .k = t1 - t0,
                         .c = parts.out + r0 * padded,
                         .c_stride = padded,
                         .cols = padded,
                         .accumulate = true};
    if (one_tile) {
      for (int64_t t = 0; t < t0; ++t) values.next();
      product_of_one_tile<L>(sum, values, r1 - r0, rows, next_values);
    } else {
      unpack_values<L, kType>(values, t0, t1, parts.values);
      product<L>(sum, {parts.values + t0 * padded, padded}, r1 - r0);
    }
  }

  for (int64_t r = 0; r < rows; ++r) {
    typename L::Vec sums = L::set(0);
    for (int64_t i = 0; i < kSumLanes; i += L::kCount) {
      sums = L::add(sums, L::load(parts.sums + r * kSumLanes + i, {}));
    }
    const float sum = L::sum_of(sums);
    float factor = 1.0f;
    if (split) {
      args.partial[2 * (begin + r)] = parts.max[r];
      args.partial[2 * (begin + r) + 1] = sum;
    } else if (sum > 0) {
      factor = 1.0f / sum;
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
