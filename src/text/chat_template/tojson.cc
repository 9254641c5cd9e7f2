#include "text/chat_template/tojson.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/utf8.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/merge_sort.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}

  void write(const Value& value) {
    spend_steps();
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        return;
      case Kind::kBool:
        out_ += value.as_bool() ? "true" : "false";
        return;
      case Kind::kInt:
        out_ += std::to_string(value.as_int());
        return;
      case Kind::kFloat:
        out_ += number(value.as_double());
        return;
      case Kind::kString:
        string(value.text());
        return;
      case Kind::kList:
      case Kind::kTuple:
        sequence(value.items());
        return;
      case Kind::kDict:
        dict(value.as<Dict>());
        return;
      default:
        raise("TypeError", "Object of type ", type_name(value), " is not JSON serializable");
    }
  }

  std::string take() { return std::move(out_); }

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return repr_float(value);
  }

  void hex_escape(unsigned code) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", code);
    out_ += buffer;
  }

  void string(std::string_view text) {
    spend_bytes(text.size());
    out_ += '"';
    for (size_t at = 0; at < text.size();) {
      const DecodedCodePoint point = decode_utf8(text, at);
      const char32_t c = point.code_point;
      static constexpr std::string_view kPlain = "\"\\\n\r\t\b\f", kShort = "\"\\nrtbf";
      const size_t simple = c < 0x80 ? kPlain.find(static_cast<char>(c)) : std::string_view::npos;
      if (simple != std::string_view::npos) {
        out_ += '\\';
        out_ += kShort[simple];
      } else if (c < 0x20 || (style_.ensure_ascii && c > 0x7E && c < 0x10000)) {
        hex_escape(static_cast<unsigned>(c));
      } else if (style_.ensure_ascii && c >= 0x10000) {
        hex_escape(static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
        hex_escape(static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
      } else {
        out_ += text.substr(at, static_cast<size_t>(point.length));
      }
      at += static_cast<size_t>(point.length);
    }
    out_ += '"';
  }

  void new_line() {
    spend_bytes(style_.indent.size() * static_cast<size_t>(depth_) + 1);
    out_ += '\n';
    for (int i = 0; i < depth_; ++i) out_ += style_.indent;
  }

  void open(char bracket) {
    if (++depth_ > kMaxNesting) {
      raise("RecursionError", "maximum recursion depth exceeded while encoding a JSON object");
    }
    out_ += bracket;
    if (style_.pretty) new_line();
  }

  void separate() {
    spend_bytes(style_.item_separator.size());
    out_ += style_.item_separator;
    if (style_.pretty) new_line();
  }

  void close(char bracket) {
    --depth_;
    if (style_.pretty) new_line();
    out_ += bracket;
  }

  void sequence(const std::vector<Value>& items) {
    if (items.empty()) {
      out_ += "[]";
      return;
    }
    open('[');
    bool first = true;
    for (const Value& item : items) {
      if (!first) separate();
      first = false;
      write(item);
    }
    close(']');
  }

  void key(const Value& key) {
    switch (key.kind()) {
      case Kind::kString:
        return string(key.text());
      case Kind::kNone:
        return string("null");
      case Kind::kBool:
        return string(key.as_bool() ? "true" : "false");
      case Kind::kInt:
        return string(std::to_string(key.as_int()));
      case Kind::kFloat:
        return string(number(key.as_double()));
      default:
        raise("TypeError", "keys must be str, int, float, bool or None, not ", type_name(key));
    }
  }

  void dict(const Dict& dict) {
    if (dict.size() == 0) {
      out_ += "{}";
      return;
    }
    std::vector<const Dict::Item*> items;
    items.reserve(dict.size());
    for (const Dict::Item& item : dict.items()) items.push_back(&item);
    if (style_.sort_keys) {
      merge_sort(items,
                 [](const Dict::Item* a, const Dict::Item* b) { return less(a->first, b->first); });
    }
    open('{');
    bool first = true;
    for (const Dict::Item* item : items) {
      if (!first) separate();
      first = false;
      key(item->first);
      spend_bytes(style_.key_separator.size());
      out_ += style_.key_separator;
      write(item->second);
    }
    close('}');
  }

  const JsonStyle& style_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  writer.write(value);
  return writer.take();
}

}  // namespace zhiyin::jinja
