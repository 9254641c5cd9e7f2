// json.dumps of Python, as the tojson filter of transformers calls it.
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

struct JsonStyle {
  bool ensure_ascii = false;
  bool pretty = false;  // indent was given: one item a line
  std::string indent;   // of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

// Throws TypeError for what JSON cannot hold.
std::string to_json(const Value& value, const JsonStyle& style);

}  // namespace zhiyin::jinja
