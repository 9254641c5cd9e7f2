// cat(...): joins values into one string; the library of g++ 12 has no <format>.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace zhiyin {

// Shortest text that reads back as the same double, as 0.1 or 1e-05.
std::string number_text(double value);

inline void append_text(std::string& out, std::string_view value) { out += value; }
inline void append_text(std::string& out, char value) { out += value; }
template <std::integral T>
void append_text(std::string& out, T value) {
  if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else {
    out += std::to_string(value);
  }
}
template <std::floating_point T>
void append_text(std::string& out, T value) {
  out += number_text(static_cast<double>(value));
}

template <typename... Values>
std::string cat(const Values&... values) {
  std::string out;
  (append_text(out, values), ...);
  return out;
}

// "a, b, c" for any range of things cat() takes.
template <typename Range>
std::string join(const Range& range, std::string_view separator = ", ") {
  std::string out;
  bool first = true;
  for (const auto& value : range) {
    if (!first) out += separator;
    first = false;
    append_text(out, value);
  }
  return out;
}

}  // namespace zhiyin
