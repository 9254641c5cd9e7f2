#include "generate/name_spans.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "generate/sampler.h"

namespace zhiyin {
namespace {

constexpr int32_t kOpenerId = 256;

// A vocabulary with every byte, some brackets, and pieces of the names.
std::vector<std::string> vocabulary_for(const std::vector<std::string>& names, Random& random) {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* text :
       {"[[", "]]", "]][[", "[[[", "a[", "[[]]", "]]]", "x[[y", "好[[", "]]。"}) {
    pieces.emplace_back(text);
  }
  for (const std::string& name : names) {
    const auto begin = static_cast<size_t>(random.below(name.size()));
    const auto length = static_cast<size_t>(1 + random.below(name.size() - begin));
    pieces.push_back(name.substr(begin, length));
    if (random.below(4) == 0) pieces.push_back("[[" + name.substr(0, length));
    if (random.below(4) == 0) pieces.push_back(name.substr(begin) + "]]");
    if (random.below(8) == 0) pieces.push_back(name + "]]好");
  }
  pieces.emplace_back();  // a special token
  return pieces;
}

std::vector<std::string_view> views(const std::vector<std::string>& pieces) {
  return {pieces.begin(), pieces.end()};
}

// Many names, some the beginning of others, some with emoji.
std::vector<std::string> many_names(size_t count, Random& random) {
  const std::vector<std::string> parts{"猫", "狗", "哭", "笑", "点赞", "😀", "👍🏽",
                                       "ok", "a",  "ab", " ",  "1",    "图"};
  std::set<std::string> names;
  while (names.size() < count) {
    std::string name;
    for (uint64_t n = 1 + random.below(5); n > 0; --n) name += parts[random.below(parts.size())];
    names.insert(name);
  }
  return {names.begin(), names.end()};
}

SamplerOptions hot() {
  SamplerOptions o;
  o.seed = 3;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  o.temperature = 2;
  return o;
}

TEST(NameSpans, EverySpanResolvesAtAnyTemperature) {
  Random random(7);
  const std::vector<std::string> names = many_names(1870, random);
  const std::set<std::string> known(names.begin(), names.end());
  const std::vector<std::string> pieces = vocabulary_for(names, random);
  const NameSpans spans(views(pieces), names);
  Sampler sampler(hot());
  std::set<std::string> seen;
  int written = 0;
  while (written < 10'000) {
    NameSpanState state(spans);
    state.accept(kOpenerId);
    std::string text(NameSpans::kOpener);
    int32_t position = spans.advance(NameSpans::kOutside, text);
    while (position != NameSpans::kOutside && position != 1) {
      std::vector<float> logits(pieces.size());
      for (float& logit : logits) logit = static_cast<float>(6 * random.uniform() - 3);
      state.mask(logits);
      const int32_t id = sampler.sample(logits);
      ASSERT_FALSE(pieces[static_cast<size_t>(id)].empty());
      state.accept(id);
      text += pieces[static_cast<size_t>(id)];
      position = spans.advance(position, pieces[static_cast<size_t>(id)]);
      ASSERT_NE(position, NameSpans::kImpossible) << text;
    }
    // A token may have ended this span and opened the next: all of them must be names.
    for (size_t at = text.find("[["); at != std::string::npos; at = text.find("[[", at + 2)) {
      const size_t end = text.find("]]", at);
      ASSERT_NE(end, std::string::npos) << text;
      const std::string name = text.substr(at + 2, end - at - 2);
      ASSERT_TRUE(known.contains(name)) << text;
      seen.insert(name);
      ++written;
    }
  }
  EXPECT_GT(seen.size(), 1000U);  // it is no short list that is written again and again
}

TEST(NameSpans, ForbidsWhatCannotFollowAndNothingElse) {
  const std::vector<std::string> pieces{"[",   "[[",  "ab",   "a",   "b",     "]]",     "]",
                                        "[[a", "[[c", "x[[b", "b]]", "b]]ok", "b]][[c", ""};
  const NameSpans spans(views(pieces), {"a", "ab", "好"});
  const auto allowed = [&](const char* before) {
    std::vector<float> logits(pieces.size(), 1.0f);
    spans.mask(spans.advance(NameSpans::kOutside, before), logits);
    std::vector<std::string> out;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (logits[i] > 0) out.push_back(pieces[i]);
    }
    return out;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(allowed("so "),
            (Pieces{"[", "[[", "ab", "a", "b", "]]", "]", "[[a", "b]]", "b]]ok", ""}));
  // Half an opener: the token that begins with the other half goes on into the names.
  EXPECT_EQ(allowed("["), (Pieces{"[", "ab", "a", "b", "]]", "]", "b]]", "b]]ok", ""}));
  EXPECT_EQ(allowed("[["), (Pieces{"ab", "a"}));
  EXPECT_EQ(allowed("[[a"), (Pieces{"b", "]]", "]", "b]]", "b]]ok"}));
  EXPECT_EQ(allowed("[[ab]"), (Pieces{"]]", "]"}));  // the second bracket is text
  EXPECT_EQ(allowed("[[ab]]").size(), allowed("").size());
}

TEST(NameSpans, KeepsTheProportionsOfWhatRemains) {
  const std::vector<std::string> pieces{"a", "b", "c", "]]"};
  const NameSpans spans(views(pieces), {"a", "b"});
  std::vector<float> logits{1.5f, -2.0f, 9.0f, 4.0f};
  spans.mask(spans.advance(NameSpans::kOutside, "[["), logits);
  EXPECT_EQ(logits[0], 1.5f);
  EXPECT_EQ(logits[1], -2.0f);
  EXPECT_EQ(logits[2], -INFINITY);
  EXPECT_EQ(logits[3], -INFINITY);
}

TEST(NameSpans, RefusesWhatItCannotSpell) {
  const std::vector<std::string> pieces{"a", "]"};
  EXPECT_THROW(NameSpans(views(pieces), {}), Error);
  EXPECT_THROW(NameSpans(views(pieces), {"a[b"}), Error);
  EXPECT_THROW(NameSpans(views(pieces), {""}), Error);
  const NameSpans spans(views(pieces), {"az"});
  std::vector<float> logits(2);
  EXPECT_THROW(spans.mask(spans.advance(NameSpans::kOutside, "[[a"), logits), Error);
}

}  // namespace
}  // namespace zhiyin
