// Text helpers that know ASCII alone, and so leave UTF-8 as it is.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace zhiyin::chats {

inline constexpr std::string_view kBlank = " \t\r\n\v\f";

inline std::string_view trim_left(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kBlank), text.size()));
}

inline std::string_view trim_right(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlank) + 1);  // npos + 1 is 0
}

inline std::string_view trim(std::string_view text) { return trim_left(trim_right(text)); }

// The first character behind a byte order mark and blanks; '\0' where there is none.
inline char first_character(std::string_view text) {
  const size_t at = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return at == std::string_view::npos ? '\0' : text[at];
}

inline std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace zhiyin::chats
