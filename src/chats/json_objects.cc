#include "chats/json_objects.h"

#include <algorithm>

#include "base/utf8.h"

namespace zhiyin::chats {
namespace {

constexpr size_t kChunk = size_t{1} << 20;
constexpr std::string_view kBlanks = " \t\r\n\xEF\xBB\xBF";  // and the byte order mark

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// The four digits at text[at], or -1.
int hex4(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return -1;
  int value = 0;
  for (const char c : text.substr(at, 4)) {
    if (!is_hex(c)) return -1;
    value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

bool is_high(int unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(int unit) { return unit >= 0xDC00 && unit < 0xE000; }

void append_escaped(std::string& out, unsigned char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[c >> 4];
  out += kDigits[c & 15];
}

// The escape at text[at], a backslash inside a string; moves at behind it.
void mend_escape(std::string_view text, size_t& at, std::string& out) {
  const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
  if (kind == 'u') {
    const int unit = hex4(text, at + 2);
    const bool pair =
        is_high(unit) && text.substr(at + 6, 2) == "\\u" && is_low(hex4(text, at + 8));
    if (unit < 0) {
      out += "\\\\";
      ++at;
    } else if (pair) {
      out += text.substr(at, 12);
      at += 12;
    } else {
      out += is_high(unit) || is_low(unit) ? std::string_view("\\ufffd") : text.substr(at, 6);
      at += 6;
    }
  } else if (kind == 'x' && at + 3 < text.size() && is_hex(text[at + 2]) && is_hex(text[at + 3])) {
    out += "\\u00";
    out += text.substr(at + 2, 2);
    at += 4;
  } else if (std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos &&
             at + 1 < text.size()) {
    out += text.substr(at, 2);
    at += 2;
  } else {
    out += "\\\\";
    ++at;
  }
}

}  // namespace

bool JsonObjects::fill() {
  if (end_) return false;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    at_ -= begin_;
    dropped_ += begin_;
    begin_ = 0;
  }
  const size_t before = buffer_.size();
  buffer_.resize(before + kChunk);
  const size_t got = reader_.read(buffer_.data() + before, kChunk);
  buffer_.resize(before + got);
  end_ = got == 0;
  return !end_;
}

void JsonObjects::skip_blanks() {
  while (!at_end() && kBlanks.find(buffer_[at_]) != std::string_view::npos) begin_ = ++at_;
}

bool JsonObjects::skip_past(std::string_view mark) {
  for (;;) {
    const size_t found = buffer_.find(mark, at_);
    if (found != std::string::npos) {
      begin_ = at_ = found + mark.size();
      return true;
    }
    // A mark may lie across the border of two chunks.
    if (buffer_.size() >= mark.size()) begin_ = at_ = std::max(at_, buffer_.size() - mark.size());
    if (!fill()) return false;
  }
}

bool JsonObjects::capture() {
  begin_ = at_;
  int64_t depth = 0;
  bool in_string = false, escaped = false;
  for (;; ++at_) {
    if (at_end() || at_ - begin_ > kLongestPiece) return false;
    const char c = buffer_[at_];
    if (in_string) {
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        in_string = false;
        if (depth == 0) break;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at_ > begin_;  // belongs to what is around the value
      if (--depth == 0) break;
    } else if (depth == 0 && (c == ',' || c == ':' || kBlanks.find(c) != std::string_view::npos)) {
      return at_ > begin_;
    }
  }
  ++at_;
  return true;
}

void JsonObjects::give(JsonPiece& piece, bool whole) const {
  piece.text = std::string_view(buffer_).substr(begin_, at_ - begin_);
  piece.offset = dropped_ + begin_;
  piece.whole = whole;
}

// A key with its value, or the end of the outer object. False at the end of the stream.
bool JsonObjects::step_outer(JsonPiece& piece, bool& given) {
  if (buffer_[at_] == '}') {
    begin_ = at_;
    ++at_;
    level_ = Level::kTop;
    in_outer_ = false;
    done_ = one_value_;
    if (list_met_) return true;
    // No list: the object itself is what was looked for.
    outer_ += '}';
    piece = {outer_, dropped_ + begin_, true};
    given = true;
    return true;
  }
  if (buffer_[at_] == ',' || buffer_[at_] == ':') {
    begin_ = ++at_;
    return true;
  }
  if (!capture()) return false;
  const std::string key = buffer_.substr(begin_, at_ - begin_);
  begin_ = at_;
  skip_blanks();
  if (at_end() || buffer_[at_] != ':') return !at_end();
  begin_ = ++at_;
  skip_blanks();
  if (at_end()) return false;
  if (buffer_[at_] == '[' && key == "\"" + list_key_ + "\"") {
    begin_ = ++at_;
    level_ = Level::kList;
    list_met_ = true;
    return true;
  }
  const bool whole = capture();
  // What stands behind the list is of no use, and a long rest is none either.
  if (!list_met_ && outer_.size() + (at_ - begin_) <= kLongestPiece) {
    if (outer_.size() > 1) outer_ += ',';
    outer_ += key;
    outer_ += ':';
    outer_.append(buffer_, begin_, at_ - begin_);
  }
  begin_ = at_;
  return whole;
}

bool JsonObjects::next(JsonPiece& piece) {
  for (;;) {
    if (done_) return false;
    begin_ = at_;
    skip_blanks();
    if (at_end()) {
      // An object that the stream ends in before its list was met.
      if (level_ == Level::kOuter && !list_met_ && outer_.size() > 1) {
        piece = {outer_, dropped_ + at_, false};
        level_ = Level::kTop;
        return true;
      }
      return false;
    }
    const char c = buffer_[at_];
    if (level_ == Level::kOuter) {
      bool given = false;
      if (!step_outer(piece, given)) {
        if (list_met_) return false;
        piece = {outer_, dropped_ + begin_, false};
        level_ = Level::kTop;
        begin_ = at_;
        return true;
      }
      if (given) return true;
    } else if (c == ',' || c == ':' || c == '}') {
      ++at_;
    } else if (level_ == Level::kTop && c == '#') {
      if (!skip_past("\n")) return false;
    } else if (c == ']') {
      ++at_;
      level_ = in_outer_ ? Level::kOuter : Level::kTop;
      done_ = one_value_ && level_ == Level::kTop;
    } else if (level_ == Level::kTop && c == '[') {
      ++at_;
      level_ = Level::kList;
    } else if (level_ == Level::kTop && c == '{' && !list_key_.empty()) {
      ++at_;
      level_ = Level::kOuter;
      in_outer_ = true;
      list_met_ = false;
      outer_ = "{";
    } else {
      const bool whole = capture();
      give(piece, whole);
      return true;
    }
  }
}

void JsonObjects::recover() {
  // Another element follows as "}, {", or on a line of its own: inside a piece that is no element
  // this finds false starts too, which turn out not to be what is looked for.
  level_ = Level::kList;
  size_t from = std::min(begin_ + 1, buffer_.size());
  for (;;) {
    at_ = from;
    while (at_ < buffer_.size() && buffer_[at_] != '{') ++at_;
    if (at_ >= buffer_.size()) {
      begin_ = at_;
      if (!fill()) return;
      from = at_;
      continue;
    }
    size_t before = at_;
    bool border = false, brace = false;
    while (before > 0 && !brace) {
      const char c = buffer_[--before];
      border = border || c == ',' || c == '\n';
      if (c == '}' && border) {
        brace = true;
      } else if (c != ',' && kBlanks.find(c) == std::string_view::npos) {
        break;
      }
    }
    if (brace) {
      begin_ = at_;
      return;
    }
    from = at_ + 1;
  }
}

std::string mend_json(std::string_view text) {
  const std::string valid = sanitize_utf8(text);
  text = valid;
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  bool in_string = false;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (in_string && c == '\\') {
      mend_escape(text, at, out);
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
      append_escaped(out, static_cast<unsigned char>(c));
      ++at;
      continue;
    }
    bool replaced = false;
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (in_string || !text.substr(at).starts_with(word)) continue;
      out += "null";
      at += word.size();
      replaced = true;
      break;
    }
    if (replaced) continue;
    out += c;
    ++at;
  }
  return out;
}

Json parse_tolerantly(std::string_view text) {
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = Json::parse(mend_json(text), nullptr, false);
  return value;
}

}  // namespace zhiyin::chats
