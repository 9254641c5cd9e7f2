#include "text/normalizer.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>

#include "text/unicode.h"

namespace zhiyin {
namespace {

using Kind = NormalizerStep::Kind;

NormalizerStep step(Kind kind, std::string pattern = {}, std::string content = {}) {
  NormalizerStep made{};
  made.kind = kind;
  made.pattern = std::move(pattern);
  made.content = std::move(content);
  return made;
}

std::string run(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string buffer;
  return std::string(Normalizer(steps).apply(text, buffer));
}

TEST(Normalizer, NormalForms) {
  EXPECT_EQ(run({step(Kind::kNfc)}, "e\u0301"), "é");
  EXPECT_EQ(run({step(Kind::kNfd)}, "é"), "e\u0301");
  EXPECT_EQ(run({step(Kind::kNfkc)}, "ﬁ①"), "fi1");
  EXPECT_EQ(run({step(Kind::kNfkd)}, "ﬁé"), "fie\u0301");
  EXPECT_EQ(run({step(Kind::kNfc)}, "각"), "각");
  EXPECT_EQ(run({step(Kind::kNfc)},
                "a\xFF"
                "e\u0301\xE4"),
            "a\xFF"
            "é\xE4");  // bytes stay
}

// Every code point that is_surely_nfc() lets pass is its own NFC, alone and behind any character
// that it might join.
TEST(Normalizer, TheQuickCheckForNfcIsRight) {
  std::vector<bool> joins(0x110000);  // not the first of some decomposition
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string one;
    append_utf8(one, c);
    const std::u32string parts = utf8_to_utf32(normalize(one, NormalForm::kNfd));
    for (size_t i = 1; i < parts.size(); ++i) joins[parts[i]] = true;
  }
  int passed = 0;
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string one;
    append_utf8(one, c);
    if (!is_surely_nfc(one)) continue;
    ++passed;
    ASSERT_EQ(normalize(one, NormalForm::kNfc), one) << std::hex << static_cast<uint32_t>(c);
    ASSERT_FALSE(joins[c]) << std::hex << static_cast<uint32_t>(c);
    ASSERT_EQ(utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class, 0)
        << std::hex << static_cast<uint32_t>(c);
  }
  EXPECT_GT(passed, 40000);
}

// NFC works on parts of the text; utf8proc on all of it.
TEST(Normalizer, ComposesPartsAsItWouldTheWhole) {
  static constexpr std::u32string_view kCharacters =
      U"aeo \u0301\u0308\u0323\u0327中가\u1100\u1161\u11A8\u09C7\u09BE\u212B\u0958\u0344ぁ\u3099";
  std::mt19937 random(5);
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) {
      append_utf8(text, kCharacters[random() % kCharacters.size()]);
    }
    utf8proc_uint8_t* const whole =
        utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    const std::string expected = reinterpret_cast<const char*>(whole);
    std::free(whole);
    ASSERT_EQ(normalize(text, NormalForm::kNfc), expected) << text;
  }
}

TEST(Normalizer, CaseAndAccents) {
  EXPECT_EQ(run({step(Kind::kLowercase)}, "ÀÉΣ İ"), "àéσ i\u0307");
  EXPECT_EQ(run({step(Kind::kNfd), step(Kind::kStripAccents)}, "Crème brûlée"), "Creme brulee");
}

TEST(Normalizer, ReplaceStripPrepend) {
  EXPECT_EQ(run({step(Kind::kPrepend, {}, "▁"), step(Kind::kReplaceLiteral, " ", "▁")}, "a b"),
            "▁a▁b");
  EXPECT_EQ(run({step(Kind::kPrepend, {}, "▁")}, ""), "");
  EXPECT_EQ(run({step(Kind::kReplace, " {2,}", " ")}, "a   b c"), "a b c");
  NormalizerStep strip = step(Kind::kStrip);
  strip.strip_left = true;
  EXPECT_EQ(run({strip}, " \u3000a "), "a ");
  EXPECT_EQ(run({step(Kind::kCollapseSpaces)}, "  a   b "), "a b");
}

TEST(Normalizer, Bert) {
  NormalizerStep bert = step(Kind::kBert);
  bert.clean_text = bert.ideographs = bert.strip_accents = bert.lowercase = true;
  EXPECT_EQ(run({bert}, "Héllo\tWörld\x01中文!\uFFFD"), "hello world 中  文 !");
}

TEST(Normalizer, RefusesToGrowWithoutBounds) {
  const std::vector<NormalizerStep> steps(16, step(Kind::kReplaceLiteral, "a", "aaaa"));
  EXPECT_THROW(run(steps, std::string(100, 'a')), Error);
  EXPECT_THROW(run({step(Kind::kReplaceLiteral, "a", std::string(1000, 'b'))}, "a"), Error);
}

// A map with one entry, A -> bc, written by hand: the root's children begin at 0, so A lies at
// unit 'A' with its value at unit 'A' ^ 1.
TEST(Charsmap, ReplacesTheLongestPrefix) {
  std::vector<uint32_t> units(256, 0);
  units['A'] = 'A' | (1u << 8) | (1u << 10);
  units['A' ^ 1] = 0 | (1u << 31);
  std::string blob;
  const uint32_t size = 256 * 4;
  blob.append(reinterpret_cast<const char*>(&size), 4);
  blob.append(reinterpret_cast<const char*>(units.data()), size);
  blob.append("bc\0", 3);
  EXPECT_EQ(Charsmap(blob).apply("xAA中\xFF"), "xbcbc中\xFF");
  EXPECT_THROW(Charsmap("abc"), Error);
  EXPECT_THROW(Charsmap(std::string("\xFF\xFF\xFF\xFF", 4)), Error);
}

}  // namespace
}  // namespace zhiyin
