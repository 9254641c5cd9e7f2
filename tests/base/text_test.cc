#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/cat.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "base/utf8.h"

namespace zhiyin {
namespace {

TEST(Utf8, EveryCodePointComesBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const DecodedCodePoint decoded = decode_utf8(text, 0);
    ASSERT_TRUE(decoded.ok) << static_cast<uint32_t>(c);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(static_cast<size_t>(decoded.length), text.size());
    // Every proper beginning is held back as incomplete, the whole is not.
    ASSERT_EQ(incomplete_utf8_suffix(text), 0u);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(incomplete_utf8_suffix(text.substr(0, cut)), cut);
    }
  }
}

TEST(Utf8, ReportsWhatIsIllFormed) {
  // Unicode 15, table 3-7: overlong forms, surrogates, beyond U+10FFFF, stray and missing bytes.
  for (const char* text :
       {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xff", "\xe4\xbd", "\xc3("}) {
    const DecodedCodePoint decoded = decode_utf8(text, 0);
    EXPECT_FALSE(decoded.ok) << printable(text);
    EXPECT_EQ(decoded.length, 1);
    EXPECT_EQ(find_invalid_utf8("ok " + std::string(text)), 3u);
    EXPECT_EQ(find_invalid_utf8(sanitize_utf8(text)), std::string::npos);
  }
  EXPECT_EQ(find_invalid_utf8("知音 👍"), std::string::npos);
  EXPECT_EQ(sanitize_utf8("a\xff"
                          "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(utf32_to_utf8(utf8_to_utf32("知音 👍")), "知音 👍");
}

TEST(Utf8, PrintableIsOneShortLine) {
  EXPECT_EQ(printable("a\nb\xff"),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  const std::string cut = printable("知知知知知", 7);
  EXPECT_EQ(find_invalid_utf8(cut), std::string::npos);
  EXPECT_EQ(cut.rfind("知知", 0), 0u);
}

TEST(Utf8, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("知音a"), 5u);
  EXPECT_EQ(display_width(""), 0u);
}

TEST(Cat, JoinsValues) {
  EXPECT_EQ(cat("a", 1, ' ', -2L, ' ', true, ' ', 0.1), "a1 -2 true 0.1");
  EXPECT_EQ(number_text(1e-5), "1e-05");
  EXPECT_EQ(join(std::vector<int>{1, 2, 3}), "1, 2, 3");
  EXPECT_EQ(join(std::vector<std::string>{}, "/"), "");
}

TEST(Nearest, FindsTheLikeliestName) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  const std::vector<std::string> names = {"lora_rank", "lora_alpha", "learning_rate"};
  EXPECT_EQ(nearest("lora_rnk", names), "lora_rank");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Progress, WritesDurations) {
  EXPECT_EQ(duration_text(0), "0:00");
  EXPECT_EQ(duration_text(65), "1:05");
  EXPECT_EQ(duration_text(7384), "2:03:04");
}

}  // namespace
}  // namespace zhiyin
