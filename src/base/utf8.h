// UTF-8: decode, encode, validate. Code points are char32_t; ill-formed bytes are reported, never
// passed over in silence (Unicode 15, table 3-7).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct DecodedCodePoint {
  char32_t code_point = kReplacementCharacter;
  int length = 1;   // bytes taken; 1 for an ill-formed byte
  bool ok = false;  // false: ill-formed or cut off at the end of the text
};

// The code point that starts at text[at]; at < text.size().
DecodedCodePoint decode_utf8(std::string_view text, size_t at);

// Ill-formed bytes become U+FFFD, one each.
std::u32string utf8_to_utf32(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);
std::string utf32_to_utf8(std::u32string_view text);

// Offset of the first ill-formed byte, or npos.
size_t find_invalid_utf8(std::string_view text);

// Number of bytes at the end of text that begin a sequence not yet complete: 0 to 3. What streams
// text holds these back.
size_t incomplete_utf8_suffix(std::string_view text);

// Every ill-formed byte replaced by U+FFFD.
std::string sanitize_utf8(std::string_view text);

// Text from a file for use in a message: ill-formed bytes and control characters replaced by
// U+FFFD, cut to max_bytes.
std::string printable(std::string_view text, size_t max_bytes = 80);

// Columns a terminal needs, with East Asian wide characters and emoji counted as two.
size_t display_width(std::string_view text);

}  // namespace zhiyin
