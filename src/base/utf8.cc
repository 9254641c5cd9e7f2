#include "base/utf8.h"

namespace zhiyin {
namespace {

unsigned char byte_at(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// Bytes of the sequence that this lead byte opens; 0 for a byte that cannot lead one.
int sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  if (lead < 0xF5) return 4;
  return 0;
}

// Table 3-7: the second byte has a narrower range after E0, ED, F0 and F4.
bool second_byte_ok(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF && c != 0x303F) ||
         (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
         (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1F64F) ||
         (c >= 0x1F900 && c <= 0x1F9FF) || (c >= 0x20000 && c <= 0x3FFFD);
}

}  // namespace

DecodedCodePoint decode_utf8(std::string_view text, size_t at) {
  const unsigned char lead = byte_at(text, at);
  const int length = sequence_length(lead);
  if (length == 1) return {lead, 1, true};
  if (length == 0 || at + static_cast<size_t>(length) > text.size()) return {};
  if (!second_byte_ok(lead, byte_at(text, at + 1))) return {};
  static constexpr unsigned char kLeadBits[5] = {0, 0, 0x1F, 0x0F, 0x07};
  char32_t code_point = lead & kLeadBits[length];
  for (int i = 1; i < length; ++i) {
    const unsigned char next = byte_at(text, at + static_cast<size_t>(i));
    if ((next & 0xC0) != 0x80) return {};
    code_point = (code_point << 6) | (next & 0x3F);
  }
  return {code_point, length, true};
}

std::u32string utf8_to_utf32(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint next = decode_utf8(text, at);
    out.push_back(next.code_point);
    at += static_cast<size_t>(next.length);
  }
  return out;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string utf32_to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint next = decode_utf8(text, at);
    if (!next.ok) return at;
    at += static_cast<size_t>(next.length);
  }
  return std::string_view::npos;
}

size_t incomplete_utf8_suffix(std::string_view text) {
  const size_t longest = text.size() < 3 ? text.size() : 3;
  for (size_t back = 1; back <= longest; ++back) {
    const size_t at = text.size() - back;
    const unsigned char lead = byte_at(text, at);
    if ((lead & 0xC0) == 0x80) continue;
    const int length = sequence_length(lead);
    if (static_cast<size_t>(length) <= back) return 0;
    if (back >= 2 && !second_byte_ok(lead, byte_at(text, at + 1))) return 0;
    return back;
  }
  return 0;
}

std::string sanitize_utf8(std::string_view text) { return utf32_to_utf8(utf8_to_utf32(text)); }

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  for (const char32_t c : utf8_to_utf32(text.substr(0, max_bytes))) {
    append_utf8(out, c < 0x20 || (c >= 0x7F && c < 0xA0) ? kReplacementCharacter : c);
  }
  return text.size() > max_bytes ? out + "…" : out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (const char32_t c : utf8_to_utf32(text)) width += is_wide(c) ? 2 : 1;
  return width;
}

}  // namespace zhiyin
