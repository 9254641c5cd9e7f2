#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/every_table.h"
#include "quant/formats.h"

namespace zhiyin::testing {
namespace {

using AttendTest = EveryTable;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// One head of cached keys or values, with its pages and the values they decode to.
struct Cache {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<const void*> pages;
  std::vector<float> decoded;  // [tokens][head_dim]

  Cache(KvType type, int64_t tokens, int64_t head_dim, uint64_t seed) {
    const Format format = type == KvType::kF32   ? Format::kF32
                          : type == KvType::kF16 ? Format::kF16
                                                 : Format::kQ8_0;
    const auto values = random_floats(tokens * head_dim, seed);
    const int64_t row = row_bytes(format, head_dim);
    const int64_t page_count = (tokens + kKvPageTokens - 1) / kKvPageTokens;
    decoded.resize(static_cast<size_t>(tokens * head_dim));
    for (int64_t p = 0; p < page_count; ++p) {
      // Unused tokens hold NaNs: no row may see them.
      bytes.emplace_back(static_cast<size_t>(kKvPageTokens * row), uint8_t{0xff});
      pages.push_back(bytes.back().data());
    }
    for (int64_t t = 0; t < tokens; ++t) {
      uint8_t* target =
          bytes[static_cast<size_t>(t / kKvPageTokens)].data() + t % kKvPageTokens * row;
      format_info(format).pack(values.data() + t * head_dim, target, head_dim, nullptr);
      format_info(format).unpack(target, decoded.data() + t * head_dim, head_dim);
    }
  }
};

struct Case {
  KvType type = KvType::kF32;
  int64_t head_dim = 64;
  int64_t tokens = 100;  // in the cache
  std::vector<int64_t> first = {}, last = {};
  float softcap = 0;
};

class Attention {
 public:
  explicit Attention(const Case& c)
      : c_(c),
        rows_(static_cast<int64_t>(c.first.size())),
        keys_(c.type, c.tokens, c.head_dim, 1),
        values_(c.type, c.tokens, c.head_dim, 2),
        q_(random_floats(rows_ * c.head_dim, 3, 2.0)) {}

  int64_t rows() const { return rows_; }
  Cache& keys() { return keys_; }
  Cache& values() { return values_; }

  Guarded<float> run(const KernelTable& table, float* partial = nullptr, int64_t split_begin = 0,
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
    table.attend({.type = c_.type,
                  .head_dim = c_.head_dim,
                  .key_pages = keys_.pages.data(),
                  .value_pages = values_.pages.data(),
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
                  .scratch = scratch.data()});
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
        score += double{q_[r * n + i]} * double{keys_.decoded[static_cast<size_t>(t * n + i)]};
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
            scores[t] / sum *
            static_cast<double>(values_.decoded[static_cast<size_t>(token * n + i)]);
      }
    }
    return result;
  }

  void check(const KernelTable& table) const {
    const Guarded<float> out = run(table);
    for (int64_t r = 0; r < rows_; ++r) {
      const std::vector<double> row = expected(r);
      for (int64_t i = 0; i < c_.head_dim; ++i) {
        ASSERT_TRUE(close(out[r * c_.head_dim + i], row[static_cast<size_t>(i)], 1e-5, 1e-5))
            << "row " << r << ", element " << i;
      }
    }
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(c_.head_dim)); }

  Case c_;
  int64_t rows_;
  Cache keys_, values_;
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

TEST_P(AttendTest, DecodesForTheHeadsOfAGroup) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const int64_t head_dim : {32, 64, 128}) {
      for (const int64_t tokens : {1, 63, 64, 130}) {
        for (const size_t rows : {1, 3, 7}) {
          SCOPED_TRACE(::testing::Message() << static_cast<int>(type) << " " << head_dim << " "
                                            << tokens << " " << rows);
          Case c{.type = type, .head_dim = head_dim, .tokens = tokens};
          c.first.assign(rows, 0);
          c.last.assign(rows, tokens);
          Attention(c).check(table());
        }
      }
    }
  }
}

TEST_P(AttendTest, TakesAnyEvenHeadSize) {
  for (const KvType type : {KvType::kF32, KvType::kF16}) {
    for (const int64_t head_dim : {2, 16, 18, 24, 40, 66, 80, 144, 256}) {
      SCOPED_TRACE(head_dim);
      Attention(causal(type, head_dim, 70, 9)).check(table());
    }
  }
}

TEST_P(AttendTest, MasksTheFuture) {
  for (const int64_t rows : {1, 5, 16, 33, 63, 64, 65, 129, 150}) {
    SCOPED_TRACE(rows);
    Attention(causal(KvType::kF16, 32, rows + 7, rows)).check(table());
  }
}

TEST_P(AttendTest, SlidesItsWindow) {
  for (const int64_t window : {1, 10, 64, 100}) {
    SCOPED_TRACE(window);
    Case c = causal(KvType::kF16, 32, 300, 140);
    for (size_t r = 0; r < c.first.size(); ++r) {
      c.first[r] = std::max<int64_t>(0, c.last[r] - window);
    }
    Attention(c).check(table());
  }
}

TEST_P(AttendTest, CapsScores) {
  Case c = causal(KvType::kF32, 64, 90, 20);
  c.softcap = 1.5f;
  Attention(c).check(table());
}

TEST_P(AttendTest, TouchesNoPageThatNoRowSees) {
  Case c{.type = KvType::kF16, .head_dim = 64, .tokens = 320};
  c.first = {130, 140};
  c.last = {150, 200};
  Attention attention(c);
  for (const size_t page : {0, 1, 4}) {
    attention.keys().pages[page] = nullptr;
    attention.values().pages[page] = nullptr;
  }
  attention.check(table());
}

TEST_P(AttendTest, GivesZerosWhereARowSeesNothing) {
  Case c = causal(KvType::kF32, 16, 40, 3);
  c.first = {0, 0, 20};
  c.last = {0, 0, 40};
  const Guarded<float> out = Attention(c).run(table());
  for (int64_t i = 0; i < 2 * 16; ++i) ASSERT_EQ(out[i], 0.0f);
  ASSERT_NE(out[2 * 16], 0.0f);
}

// Flash decoding: parts joined by their maxima and sums are the whole.
TEST_P(AttendTest, SplitsJoinToTheWhole) {
  Case c = causal(KvType::kF16, 64, 230, 7);
  c.first[2] = 100;  // sees nothing of the first split
  const Attention attention(c);
  const Guarded<float> whole = attention.run(table());
  const int64_t bounds[] = {0, 64, 128, 230, 400};
  constexpr size_t kSplits = 4;
  std::vector<std::vector<float>> partials;
  std::vector<Guarded<float>> outs;
  for (size_t s = 0; s < kSplits; ++s) {
    partials.emplace_back(static_cast<size_t>(2 * attention.rows()));
    outs.push_back(attention.run(table(), partials[s].data(), bounds[s], bounds[s + 1]));
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
      ASSERT_TRUE(close(value / sum, whole[r * 64 + i], 1e-5, 1e-6)) << r << ", " << i;
    }
  }
}

// A prompt computed at once is the same as token by token.
TEST_P(AttendTest, RowsDoNotDependOnTheirNeighbours) {
  const Case all = causal(KvType::kF16, 64, 100, 100);
  const Guarded<float> together = Attention(all).run(table());
  Case one = causal(KvType::kF16, 64, 100, 1);
  one.last[0] = 1;  // the first row has the same query in both
  const Guarded<float> alone = Attention(one).run(table());
  for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(alone[i], together[i]);
}

ZHIYIN_EVERY_TABLE(AttendTest);

}  // namespace
}  // namespace zhiyin::testing
