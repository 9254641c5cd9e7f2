// The hand-written scanners against PCRE2, on random text and on the cases that bite.
#include "text/scanner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "text/regex.h"

namespace zhiyin {
namespace {

std::vector<std::string> matches(std::string_view text, const auto& find) {
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size();) {
    const TextSpan match = find(text, at);
    if (match.begin == kNoMatch) break;
    found.push_back(cat(match.begin, ":", text.substr(match.begin, match.end - match.begin)));
    at = match.end;
  }
  return found;
}

// Characters of every class that a pattern names, in short runs so that all neighbours occur. All
// of them are as old as Unicode 10, so that two versions of its tables agree.
std::string random_text(std::mt19937& random, bool line_breaks) {
  static constexpr std::u32string_view kKinds[] = {U"abcxyz",
                                                   U"ABCXYZ",
                                                   U"'",
                                                   U"'s't're've'm'll'd",
                                                   U"'S'T'RE'VE'M'LL'D",
                                                   U"0123456789",
                                                   U"½²Ⅷ३๗",
                                                   U" ",
                                                   U"  ",
                                                   U"\t\v",
                                                   U"\u00A0\u3000",
                                                   U"!?.,;:-_/",
                                                   U"+=<>|~^`$",
                                                   U"中文我的是你",
                                                   U"ぁいうアイウ",
                                                   U"가나다",
                                                   U"éüßñ",
                                                   U"ÀÉÜ",
                                                   U"аяБЯ",
                                                   U"\u0301\u0308\u093F",
                                                   U"ǅǈ",
                                                   U"ʰʷˮ",
                                                   U"कखग",
                                                   U"😀🚀",
                                                   U"\u200D\uFE0F",
                                                   U"、。！？「」～",
                                                   U"ſ",
                                                   U"\u0085",
                                                   U"µºª",
                                                   U"ａｂＡＢ"};
  static constexpr std::u32string_view kBreaks[] = {U"\n", U"\r", U"\r\n", U"\n\n", U" \n "};
  std::string text;
  for (size_t runs = 1 + random() % 12; runs > 0; --runs) {
    if (line_breaks && random() % 5 == 0) {
      text += utf32_to_utf8(kBreaks[random() % std::size(kBreaks)]);
      continue;
    }
    const std::u32string_view kind = kKinds[random() % std::size(kKinds)];
    for (size_t length = 1 + random() % 4; length > 0; --length) {
      append_utf8(text, kind[random() % kind.size()]);
    }
  }
  return text;
}

TEST(Scanner, AgreesWithPcre2OnRandomText) {
  for (const std::string_view pattern : scanned_patterns()) {
    const Regex regex{std::string(pattern)};
    const Scanner scanner = find_scanner(pattern);
    // At line breaks $ matches in PCRE2; DeepSeek's tokenizer has cut them away before.
    const bool line_breaks = pattern != pattern::kTrailingSpace;
    std::mt19937 random(3);
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(random, line_breaks);
      const auto by_regex =
          matches(text, [&](std::string_view t, size_t from) { return regex.find(t, from); });
      ASSERT_EQ(matches(text, scanner), by_regex) << pattern << "\non: [" << text << "]";
    }
  }
}

TEST(Scanner, SplitsAsDocumented) {
  const auto words = [](const char* pattern, std::string_view text) {
    std::string joined;
    for (size_t at = 0; at < text.size();) {
      const TextSpan match = find_scanner(pattern)(text, at);
      joined += cat("[", text.substr(match.begin, match.end - match.begin), "]");
      at = match.end;
    }
    return joined;
  };
  EXPECT_EQ(words(pattern::kGpt2, "I'LL they'll  go 123456 !?"),
            "[I]['][LL][ they]['ll][ ][ go][ 123456][ !?]");
  EXPECT_EQ(words(pattern::kQwen2, "I'LL go\n\n  x 12 a.b"),
            "[I]['LL][ go][\n\n][ ][ x][ ][1][2][ a][.b]");
  EXPECT_EQ(words(pattern::kLlama3, "1234567!!\n\n"), "[123][456][7][!!\n\n]");
  EXPECT_EQ(words(pattern::kGpt4o, "HelloWORLDfoo's a/b//\n"), "[Hello][WORLDfoo's][ a][/b][//\n]");
}

TEST(Scanner, IllFormedBytesAreWordsLikeAnyOther) {
  for (const std::string_view pattern : scanned_patterns()) {
    const Scanner scanner = find_scanner(pattern);
    for (const std::string_view text :
         {"\xFF\xFE", "a\xE4\xB8", "\x80 b", "\xF0\x9F\x98", "\xC3("}) {
      size_t at = 0;
      while (at < text.size()) {
        const TextSpan match = scanner(text, at);
        if (match.begin == kNoMatch) break;
        ASSERT_GE(match.begin, at);
        ASSERT_GT(match.end, match.begin);
        ASSERT_LE(match.end, text.size());
        at = match.end;
      }
    }
  }
}

TEST(Regex, RefusesWhatDoesNotCompile) {
  try {
    Regex regex("(unclosed");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("(unclosed"), std::string::npos);
  }
}

TEST(Regex, StopsCatastrophicBacktracking) {
  const Regex regex("(a+)+$");
  EXPECT_THROW(regex.find(std::string(200, 'a') + "b", 0), Error);
}

TEST(Regex, TakesLongWordsOfNestedRepetitions) {
  const Regex regex(R"([^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})");
  const std::string word(100'000, 'a');
  EXPECT_EQ(regex.find(word, 0), (TextSpan{0, word.size()}));
}

TEST(Regex, EscapedTextMatchesItself) {
  const std::string text = "a.b*c[d]{2}\\|▁ ^$()";
  EXPECT_EQ(Regex(Regex::escape(text)).find("xx" + text, 0), (TextSpan{2, 2 + text.size()}));
}

}  // namespace
}  // namespace zhiyin
