// Reading JSON that may be anything: a field that is absent or of another type is empty.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace zhiyin::chats {

using Json = nlohmann::json;

// The field, or a null that lives on.
inline const Json& field(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

inline std::string text_field(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// Whole seconds of a time that may be a float; 0 where there is none.
inline int64_t time_field(const Json& object, const char* key) {
  const Json& value = field(object, key);
  constexpr double kLatest = 1e11;  // beyond it no time, and no int64_t either
  if (!value.is_number()) return 0;
  const double seconds = value.get<double>();
  return seconds > 0 && seconds < kLatest ? static_cast<int64_t>(seconds) : 0;
}

}  // namespace zhiyin::chats
