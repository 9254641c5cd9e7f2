#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/every_table.h"
#include "kernels/kv_page.h"
#include "quant/blocks.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

using AttendTest = EveryTable;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Format format_of(KvType type) {
  return type == KvType::kF32 ? Format::kF32 : type == KvType::kF16 ? Format::kF16 : Format::kQ8_0;
}

// One head of cached keys and values in its pages, and the values they decode to.
struct Cache {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<const uint8_t*> pages;
  int64_t value_offset;
  Guarded<float> keys, values;  // [tokens][head_dim]

  Cache(const KernelTable& table, KvType type, int64_t tokens, int64_t head_dim)
      : value_offset(kv_page_bytes(type, head_dim)),
        keys(random_floats(tokens * head_dim, 1)),
        values(random_floats(tokens * head_dim, 2)) {
    for (int64_t t = 0; t < tokens; ++t) {
      if (t % kKvPageTokens == 0) {
        // Unused tokens hold NaNs: no row may see them.
        bytes.emplace_back(static_cast<size_t>(2 * value_offset), uint8_t{0xff});
        pages.push_back(bytes.back().data());
      }
      uint8_t* page = bytes.back().data();
      table.write_kv({type, head_dim, t % kKvPageTokens, keys.data() + t * head_dim,
                      values.data() + t * head_dim, page, page + value_offset});
    }
    for (Guarded<float>* all : {&keys, &values}) {
      const FormatInfo& info = format_info(format_of(type));
      std::vector<uint8_t> packed(static_cast<size_t>(row_bytes(info.format, head_dim)));
      for (int64_t t = 0; t < tokens; ++t) {
        info.pack(all->data() + t * head_dim, packed.data(), head_dim, nullptr);
        info.unpack(packed.data(), all->data() + t * head_dim, head_dim);
      }
    }
  }
};

struct Case {
  KvType type = KvType::kF32;
  int64_t head_dim = 64;
  int64_t tokens = 100;  // in the cache
  std::vector<int64_t> first = {}, last = {};
  float softcap = 0;
  bool bf16 = false;
};

class Attention {
 public:
  Attention(const KernelTable& table, const Case& c)
      : table_(table),
        c_(c),
        rows_(static_cast<int64_t>(c.first.size())),
        cache_(table, c.type, c.tokens, c.head_dim),
        q_(random_floats(rows_ * c.head_dim, 3, 2.0)) {}

  int64_t rows() const { return rows_; }
  Cache& cache() { return cache_; }

  Guarded<float> run(float* partial = nullptr, int64_t split_begin = 0,
                     int64_t split_end = 0) const {
    Guarded<float> out(rows_ * c_.head_dim);
    std::vector<const float*> q;
    std::vector<float*> targets;
    for (int64_t r = 0; r < rows_; ++r) {
      q.push_back(q_.data() + r * c_.head_dim);
      targets.push_back(out.data() + r * c_.head_dim);
    }
    Guarded<float> scratch(attend_scratch_floats(rows_, c_.head_dim));
    std::fill_n(scratch.data(), scratch.size(), kNan);
    table_.attend({.type = c_.type,
                   .head_dim = c_.head_dim,
                   .pages = cache_.pages.data(),
                   .key_offset = 0,
                   .value_offset = cache_.value_offset,
                   .q = q.data(),
                   .out = targets.data(),
                   .first = c_.first.data(),
                   .last = c_.last.data(),
                   .rows = rows_,
                   .scale = scale(),
                   .softcap = c_.softcap,
                   .split_begin = split_begin,
                   .split_end = split_end,
                   .partial = partial,
                   .scratch = scratch.data(),
                   .bf16 = c_.bf16});
    EXPECT_TRUE(out.intact());
    EXPECT_TRUE(scratch.intact());
    return out;
  }

  // softmax(scale * q . k) . v of one row in double precision.
  std::vector<double> expected(int64_t r) const {
    const int64_t n = c_.head_dim;
    std::vector<double> result(static_cast<size_t>(n));
    std::vector<double> scores;
    double largest = -1e300, sum = 0;
    for (int64_t t = c_.first[static_cast<size_t>(r)]; t < c_.last[static_cast<size_t>(r)]; ++t) {
      double score = 0;
      for (int64_t i = 0; i < n; ++i) {
        score += double{q_[r * n + i]} * double{cache_.keys[t * n + i]};
      }
      score *= static_cast<double>(scale());
      const double cap = static_cast<double>(c_.softcap);
      if (cap > 0) score = cap * std::tanh(score / cap);
      scores.push_back(score);
      largest = std::max(largest, score);
    }
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (size_t t = 0; t < scores.size(); ++t) {
      const int64_t token = c_.first[static_cast<size_t>(r)] + static_cast<int64_t>(t);
      for (int64_t i = 0; i < n; ++i) {
        result[static_cast<size_t>(i)] +=
            scores[t] / sum * static_cast<double>(cache_.values[token * n + i]);
      }
    }
    return result;
  }

  void check() const {
    const Guarded<float> out = run();
    for (int64_t r = 0; r < rows_; ++r) {
      const std::vector<double> row = expected(r);
      for (int64_t i = 0; i < c_.head_dim; ++i) {
        // bf16 keeps 8 bits of queries, keys, weights and values that are about 1.
        const double bound = c_.bf16 ? 3e-2 : 1e-5;
        ASSERT_TRUE(close(out[r * c_.head_dim + i], row[static_cast<size_t>(i)], bound, bound))
            << "row " << r << ", element " << i;
      }
    }
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(c_.head_dim)); }

  const KernelTable& table_;
  Case c_;
  int64_t rows_;
  Cache cache_;
  Guarded<float> q_;
};

// The last `rows` tokens of a sequence, each seeing itself and what comes before.
Case causal(KvType type, int64_t head_dim, int64_t tokens, int64_t rows) {
  Case c{.type = type, .head_dim = head_dim, .tokens = tokens};
  for (int64_t r = 0; r < rows; ++r) {
    c.first.push_back(0);
    c.last.push_back(tokens - rows + 1 + r);
  }
  return c;
}

TEST_P(AttendTest, WritesWhereTheLayoutSays) {
  constexpr int64_t kTokens = 70;
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const int64_t n : {32, 64, 40}) {
      if (type == KvType::kQ8_0 && n % kScaleBlock != 0) continue;
      const FormatInfo& info = format_info(format_of(type));
      const auto k = random_floats(n, 5), v = random_floats(n, 6);
      std::vector<uint8_t> key(static_cast<size_t>(row_bytes(info.format, n))), value(key);
      info.pack(k.data(), key.data(), n, nullptr);
      info.pack(v.data(), value.data(), n, nullptr);
      const int64_t t = kTokens % kKvPageTokens;
      const int64_t bytes = kv_page_bytes(type, n);
      Guarded<float> page(2 * bytes / 4);
      auto* keys = reinterpret_cast<uint8_t*>(page.data());
      table().write_kv({type, n, t, k.data(), v.data(), keys, keys + bytes});
      ASSERT_TRUE(page.intact());
      const int64_t size = type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t block = i / kScaleBlock;
        // Of kQ8_0 in the packed row: behind the scale of each block.
        const int64_t source = size == 1 ? i + 2 * (block + 1) : i * size;
        const uint8_t* stored = keys + key_index(n, t, i) * size;
        ASSERT_EQ(std::memcmp(stored, key.data() + source, static_cast<size_t>(size)), 0) << i;
        stored = keys + bytes + (t * n + i) * size;
        ASSERT_EQ(std::memcmp(stored, value.data() + source, static_cast<size_t>(size)), 0) << i;
        if (size > 1) continue;
        const int64_t scale = block * static_cast<int64_t>(sizeof(BlockQ8_0));
        ASSERT_EQ(
            std::memcmp(page_scales(keys, n) + block * kKvPageTokens + t, key.data() + scale, 2),
            0);
        ASSERT_EQ(std::memcmp(page_scales(keys + bytes, n) + t * (n / kScaleBlock) + block,
                              value.data() + scale, 2),
                  0);
      }
    }
  }
}

TEST_P(AttendTest, DecodesForTheHeadsOfAGroup) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const int64_t head_dim : {32, 64, 96, 128}) {
      for (const int64_t tokens : {1, 17, 63, 64, 130}) {
        for (const size_t rows : {1, 2, 3, 7, 12, 13}) {
          SCOPED_TRACE(::testing::Message() << static_cast<int>(type) << " " << head_dim << " "
                                            << tokens << " " << rows);
          Case c{.type = type, .head_dim = head_dim, .tokens = tokens};
          c.first.assign(rows, 0);
          c.last.assign(rows, tokens);
          Attention(table(), c).check();
        }
      }
    }
  }
}

TEST_P(AttendTest, TakesAnyEvenHeadSize) {
  for (const KvType type : {KvType::kF32, KvType::kF16}) {
    for (const int64_t head_dim : {2, 16, 18, 24, 40, 66, 80, 144, 256}) {
      SCOPED_TRACE(head_dim);
      Attention(table(), causal(type, head_dim, 70, 9)).check();
    }
  }
}

TEST_P(AttendTest, MasksTheFuture) {
  for (const int64_t rows : {1, 5, 16, 33, 63, 64, 65, 129, 150}) {
    SCOPED_TRACE(rows);
    Attention(table(), causal(KvType::kF16, 32, rows + 7, rows)).check();
  }
}

TEST_P(AttendTest, SlidesItsWindow) {
  for (const int64_t window : {1, 10, 64, 100}) {
    SCOPED_TRACE(window);
    Case c = causal(KvType::kF16, 32, 300, 140);
    for (size_t r = 0; r < c.first.size(); ++r) {
      c.first[r] = std::max<int64_t>(0, c.last[r] - window);
    }
    Attention(table(), c).check();
  }
}

TEST_P(AttendTest, CapsScores) {
  Case c = causal(KvType::kF32, 64, 90, 20);
  c.softcap = 1.5f;
  Attention(table(), c).check();
}

TEST_P(AttendTest, TouchesNoPageThatNoRowSees) {
  Case c{.type = KvType::kF16, .head_dim = 64, .tokens = 320};
  c.first = {130, 140};
  c.last = {150, 200};
  Attention attention(table(), c);
  for (const size_t page : {0, 1, 4}) {
    attention.cache().pages[page] = nullptr;
  }
  attention.check();
}

TEST_P(AttendTest, GivesZerosWhereARowSeesNothing) {
  Case c = causal(KvType::kF32, 16, 40, 3);
  c.first = {0, 0, 20};
  c.last = {0, 0, 40};
  const Guarded<float> out = Attention(table(), c).run();
  for (int64_t i = 0; i < 2 * 16; ++i) ASSERT_EQ(out[i], 0.0f);
  ASSERT_NE(out[2 * 16], 0.0f);
}

// With rounding to bf16 allowed: every type, head sizes that fill no panel, rows that fill no tile,
// more keys than a step, windows, and a split.
TEST_P(AttendTest, RoundsToBf16WithinItsPrecision) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const int64_t head_dim : {32, 64, 128, 16, 40, 66}) {
      if (type == KvType::kQ8_0 && head_dim % kScaleBlock != 0) continue;
      for (const int64_t rows : {17, 32, 100}) {
        for (const int64_t tokens : {100, 321, 600}) {
          for (const int64_t window : {0, 90}) {
            SCOPED_TRACE(::testing::Message() << static_cast<int>(type) << " " << head_dim << " "
                                              << rows << " " << tokens << " " << window);
            Case c = causal(type, head_dim, tokens, rows);
            c.bf16 = true;
            for (size_t r = 0; window > 0 && r < c.first.size(); ++r) {
              c.first[r] = std::max<int64_t>(0, c.last[r] - window);
            }
            Attention(table(), c).check();
          }
        }
      }
    }
  }
  Case c = causal(KvType::kF16, 64, 90, 20);
  c.softcap = 1.5f;
  c.bf16 = true;
  Attention(table(), c).check();
}

TEST_P(AttendTest, GivesZerosInBf16WhereARowSeesNothing) {
  Case c = causal(KvType::kF16, 16, 40, 3);
  c.first = {0, 0, 20};
  c.last = {0, 0, 40};
  c.bf16 = true;
  const Guarded<float> out = Attention(table(), c).run();
  for (int64_t i = 0; i < 2 * 16; ++i) ASSERT_EQ(out[i], 0.0f);
  ASSERT_NE(out[2 * 16], 0.0f);
}

// Flash decoding: parts joined by their maxima and sums are the whole.
void check_splits(const KernelTable& table, bool bf16) {
  Case c = causal(KvType::kF16, 64, 230, 7);
  c.first[2] = 100;  // sees nothing of the first split
  c.bf16 = bf16;
  const Attention attention(table, c);
  const Guarded<float> whole = attention.run();
  const int64_t bounds[] = {0, 64, 128, 230, 400};
  constexpr size_t kSplits = 4;
  std::vector<std::vector<float>> partials;
  std::vector<Guarded<float>> outs;
  for (size_t s = 0; s < kSplits; ++s) {
    partials.emplace_back(static_cast<size_t>(2 * attention.rows()));
    outs.push_back(attention.run(partials[s].data(), bounds[s], bounds[s + 1]));
  }
  for (int64_t r = 0; r < attention.rows(); ++r) {
    const size_t m = static_cast<size_t>(2 * r);
    EXPECT_EQ(partials[3][m], -kInfinity);
    EXPECT_EQ(partials[3][m + 1], 0.0f);
    if (r == 2) {
      EXPECT_EQ(partials[0][m], -kInfinity);
    }
    float largest = -kInfinity;
    for (const auto& partial : partials) largest = std::max(largest, partial[m]);
    for (int64_t i = 0; i < 64; ++i) {
      float sum = 0, value = 0;
      for (size_t s = 0; s < kSplits; ++s) {
        const float factor = std::exp(partials[s][m] - largest);
        sum += factor * partials[s][m + 1];
        value += factor * outs[s][r * 64 + i];
      }
      const double bound = bf16 ? 1e-2 : 1e-5;
      ASSERT_TRUE(close(value / sum, whole[r * 64 + i], bound, bound / 10)) << r << ", " << i;
    }
  }
}
TEST_P(AttendTest, SplitsJoinToTheWhole) {
  check_splits(table(), false);
  check_splits(table(), true);
}

// A prompt computed at once is the same as token by token.
TEST_P(AttendTest, RowsDoNotDependOnTheirNeighbours) {
  const Case all = causal(KvType::kF16, 64, 100, 100);
  const Guarded<float> together = Attention(table(), all).run();
  Case one = causal(KvType::kF16, 64, 100, 1);
  one.last[0] = 1;  // the first row has the same query in both
  const Guarded<float> alone = Attention(table(), one).run();
  for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(alone[i], together[i]);
}

ZHIYIN_EVERY_TABLE(AttendTest);

}  // namespace
}  // namespace zhiyin::testing
