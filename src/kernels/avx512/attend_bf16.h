// Attention of many rows with products in bf16: 32 rows against up to 256 keys at a time, so that
// scores and weights of a step stay in the caches (Dao et al. 2022). Queries, keys, weights and
// values are rounded to bf16; scores, their exponentials and all sums are f32.
//
// The product is a parameter: vectors here, tiles where the CPU has AMX.
#pragma once

#include "kernels/avx512/lanes.h"
#include "kernels/wide/attend.h"

namespace zhiyin::avx512 {
namespace {

constexpr int64_t kRowGroup = 32;
constexpr float kLog2E = 1.44269504f;

// 16 floats and 16 others, rounded to bf16 and interleaved: a[0] b[0] a[1] b[1] ...
[[gnu::always_inline]] inline void store_bf16_pairs(uint16_t* target, __m512 a, __m512 b) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(b, a);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  _mm512_storeu_si512(target, _mm512_permutexvar_epi16(order, halves));
}

// 2^x, relative error below 1e-4, where bf16 keeps 4e-3. 0 for -inf.
[[gnu::always_inline]] inline __m512 power_of_two(__m512 x) {
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);  // in [0, 1)
  __m512 p = _mm512_set1_ps(0.07706717f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.22764485f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69511682f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);  // 2^floor(x)
}

// panel[padded_dim / 2][32 tokens][2] from the keys of two blocks of tokens.
template <KvType kType>
void key_panel(wide::KeyCursor<Lanes, kType> cursor, int64_t padded_dim, uint16_t* panel) {
  for (int64_t i = 0; i < cursor.head_dim; i += 2) {
    wide::KeyCursor<Lanes, kType> odd = cursor;
    odd.next();
    store_bf16_pairs(panel, cursor.load(0), odd.load(0));
    store_bf16_pairs(panel + kPanelCols, cursor.load(1), odd.load(1));
    panel += 2 * kPanelCols;
    odd.next();
    cursor = odd;
  }
  for (int64_t i = cursor.head_dim; i < padded_dim; ++i, panel += kPanelCols) {
    _mm512_storeu_si512(panel, _mm512_setzero_si512());
  }
}

// Rows [row, row + 64) of panels[padded_dim / 32][kAttendBf16Keys / 2][32][2] from the values of a
// page, with zeros for the tokens outside [begin, end), which may hold anything.
template <KvType kType>
void value_panels(wide::ValueCursor<Lanes, kType> cursor, int64_t begin, int64_t end,
                  int64_t padded_dim, int64_t row, uint16_t* panels) {
  for (int64_t t = 0; t < kKvPageTokens; t += 2) {
    wide::ValueCursor<Lanes, kType> odd = cursor;
    odd.next();
    for (int64_t i = 0; i < padded_dim; i += Lanes::kCount) {
      const Lanes::Some part(cursor.head_dim - i);
      const int v = static_cast<int>(i / Lanes::kCount);
      const __m512 zero = _mm512_setzero_ps();
      const bool some = i < cursor.head_dim;
      const __m512 a = some && t >= begin && t < end ? cursor.load(v, part) : zero;
      const __m512 b = some && t + 1 >= begin && t + 1 < end ? odd.load(v, part) : zero;
      uint16_t* panel = panels + i / kPanelCols * kPanelCols * kAttendBf16Keys;
      store_bf16_pairs(panel + (row + t) * kPanelCols + i % kPanelCols * 2, a, b);
    }
    odd.next();
    cursor = odd;
  }
}

// Turns a row's scores, in powers of two, of n keys into weights, 0 outside [first, last), and
// brings its state up to date with them.
struct Bf16Row {
  float* scores;
  uint16_t* weights;
  float* max;
  float* sums;  // [16]: the row's sum is that of these
  float* out;
  int64_t padded;
};
inline void weigh_bf16(const Bf16Row& row, int64_t n, int64_t first, int64_t last, float softcap) {
  const __m512 nothing = _mm512_set1_ps(wide::kMinusInfinity);
  if (first > 0 || last < n || softcap > 0) {
    for (int64_t t = 0; t < n; t += Lanes::kCount) {
      __m512 score = _mm512_loadu_ps(row.scores + t);
      if (softcap > 0) score = wide::soft_cap<Lanes>(score, softcap * kLog2E);
      _mm512_storeu_ps(row.scores + t, Lanes::keep_range(first - t, last - t, score, nothing));
    }
  }
  __m512 largest = nothing, second = nothing;
  for (int64_t t = 0; t < n; t += 2 * Lanes::kCount) {
    largest = _mm512_max_ps(largest, _mm512_loadu_ps(row.scores + t));
    second = _mm512_max_ps(second, _mm512_loadu_ps(row.scores + t + Lanes::kCount));
  }
  const float step_max = Lanes::max_of(_mm512_max_ps(largest, second));
  // What was added up before is scaled anew only where the weights would grow large.
  constexpr float kMostAbove = 8;
  if (step_max > *row.max + kMostAbove) {
    const __m512 shrink = power_of_two(_mm512_set1_ps(*row.max - step_max));
    *row.max = step_max;
    _mm512_storeu_ps(row.sums, _mm512_mul_ps(_mm512_loadu_ps(row.sums), shrink));
    for (int64_t i = 0; i < row.padded; i += Lanes::kCount) {
      _mm512_storeu_ps(row.out + i, _mm512_mul_ps(_mm512_loadu_ps(row.out + i), shrink));
    }
  }
  // Where no key is seen yet, the maximum is -inf, and -inf - -inf would be NaN.
  const __m512 shift = _mm512_set1_ps(*row.max == wide::kMinusInfinity ? 0.0f : *row.max);
  __m512 sum = _mm512_loadu_ps(row.sums), other = _mm512_setzero_ps();
  for (int64_t t = 0; t < n; t += 2 * Lanes::kCount) {
    const __m512 a = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(row.scores + t), shift));
    const __m512 b =
        power_of_two(_mm512_sub_ps(_mm512_loadu_ps(row.scores + t + Lanes::kCount), shift));
    sum = _mm512_add_ps(sum, a);
    other = _mm512_add_ps(other, b);
    _mm512_storeu_si512(row.weights + t, (__m512i)_mm512_cvtne2ps_pbh(b, a));
  }
  _mm512_storeu_ps(row.sums, _mm512_add_ps(sum, other));
}

// multiply(GemmPanelBf16Args) is the product.
template <KvType kType, typename Multiply>
void attend_bf16_of(const AttendArgs& args, const Multiply& multiply) {
  const int64_t head_dim = args.head_dim, rows = args.rows;
  const int64_t padded = attend_bf16_padded_dim(head_dim);
  const AttendBf16Scratch parts = attend_bf16_scratch(args.scratch, head_dim, rows);
  const bool split = args.partial != nullptr;

  int64_t first = INT64_MAX, last = 0;
  const auto first_of = [&](int64_t r) {
    return split && args.first[r] < args.split_begin ? args.split_begin : args.first[r];
  };
  const auto last_of = [&](int64_t r) {
    return split && args.last[r] > args.split_end ? args.split_end : args.last[r];
  };
  for (int64_t r = 0; r < rows; ++r) {
    if (first_of(r) < first) first = first_of(r);
    if (last_of(r) > last) last = last_of(r);
    parts.max[r] = wide::kMinusInfinity;
    _mm512_storeu_ps(parts.sums + r * Lanes::kCount, _mm512_setzero_ps());
    uint16_t* q = parts.q + r * padded;
    const __m512 factor = _mm512_set1_ps(args.scale * kLog2E);
    for (int64_t i = 0; i < padded; i += Lanes::kCount) {
      const Lanes::Some part(head_dim - i);
      const __m512 x = i < head_dim ? Lanes::load(args.q[r] + i, part) : _mm512_setzero_ps();
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + i),
                          (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(x, factor)));
      _mm512_storeu_ps(parts.out + r * padded + i, _mm512_setzero_ps());
    }
  }

  for (int64_t start = first / kKvPageTokens * kKvPageTokens; start < last;
       start += kAttendBf16Keys) {
    const int64_t left = last - start;
    const int64_t keys = left >= kAttendBf16Keys
                             ? kAttendBf16Keys
                             : (left + kPanelCols - 1) / kPanelCols * kPanelCols;
    for (int64_t t = 0; t < keys; t += kKvPageTokens) {
      const int64_t page = (start + t) / kKvPageTokens;
      const uint8_t* stored = args.pages[page];
      auto cursor = wide::cursor_of<Lanes, kType, wide::KeyCursor>(stored + args.key_offset,
                                                                   head_dim, parts.scales);
      for (int64_t p = 0; p < kKvPageTokens && t + p < keys; p += kPanelCols) {
        key_panel<kType>(cursor, padded, parts.keys + (t + p) * padded);
        cursor.skip(kPanelCols);
      }
      value_panels<kType>(wide::cursor_of<Lanes, kType, wide::ValueCursor>(
                              stored + args.value_offset, head_dim, parts.scales),
                          first - start - t, last - start - t, padded, t, parts.values);
    }
    for (int64_t group = 0; group < rows; group += kRowGroup) {
      const int64_t count = rows - group < kRowGroup ? rows - group : kRowGroup;
      // Rows are in the order of their last keys.
      const int64_t group_last = last_of(group + count - 1) - start;
      int64_t group_first = INT64_MAX;
      for (int64_t r = group; r < group + count; ++r) {
        if (first_of(r) - start < group_first) group_first = first_of(r) - start;
      }
      if (group_last <= 0 || group_first >= keys) continue;
      const int64_t seen =
          group_last >= keys ? keys : (group_last + kPanelCols - 1) / kPanelCols * kPanelCols;
      for (int64_t t = 0; t < seen; t += kPanelCols) {
        multiply({parts.q + group * padded, padded, parts.keys + t * padded, padded, count,
                  parts.scores + t, kAttendBf16Keys, kPanelCols, false});
      }
      for (int64_t r = 0; r < count; ++r) {
        const int64_t row = group + r;
        weigh_bf16(
            {parts.scores + r * kAttendBf16Keys, parts.weights + r * kAttendBf16Keys,
             parts.max + row, parts.sums + row * Lanes::kCount, parts.out + row * padded, padded},
            seen, first_of(row) - start, last_of(row) - start, args.softcap);
      }
      for (int64_t i = 0; i < padded; i += kPanelCols) {
        multiply({parts.weights, kAttendBf16Keys, parts.values + i * kAttendBf16Keys, seen, count,
                  parts.out + group * padded + i, padded, kPanelCols, true});
      }
    }
  }

  for (int64_t r = 0; r < rows; ++r) {
    const float sum = Lanes::sum_of(_mm512_loadu_ps(parts.sums + r * Lanes::kCount));
    float factor = 1.0f;
    if (split) {
      args.partial[2 * r] = parts.max[r] / kLog2E;
      args.partial[2 * r + 1] = sum;
    } else if (sum > 0) {
      factor = 1.0f / sum;
    }
    wide::scale<Lanes>(factor, parts.out + r * padded, args.out[r], head_dim);
  }
}

template <typename Multiply>
void attend_bf16(const AttendArgs& args, const Multiply& multiply) {
  switch (args.type) {
    case KvType::kF32:
      return attend_bf16_of<KvType::kF32>(args, multiply);
    case KvType::kF16:
      return attend_bf16_of<KvType::kF16>(args, multiply);
    case KvType::kQ8_0:
      return attend_bf16_of<KvType::kQ8_0>(args, multiply);
  }
}

}  // namespace
}  // namespace zhiyin::avx512
