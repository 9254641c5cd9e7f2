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

bool JsonObjects::scan_value() {
  const size_t first = at_ - begin_;  // kept as a distance, since fill() moves both
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
      if (depth == 0) return at_ > begin_ + first;  // belongs to what is around it
      if (--depth == 0) break;
    } else if (depth == 0 && (c == ',' || c == ':' || kBlanks.find(c) != std::string_view::npos)) {
      return at_ > begin_ + first;
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

JsonObjects::Outer JsonObjects::scan_outer() {
  const std::string wanted = "\"" + list_key_ + "\"";
  begin_ = at_++;
  std::string_view key;
  for (;;) {
    if (at_end()) return Outer::kCut;
    const char c = buffer_[at_];
    if (c == ',' || c == ':' || kBlanks.find(c) != std::string_view::npos) {
      ++at_;
      continue;
    }
    if (c == '}') {
      ++at_;
      return Outer::kWhole;
    }
    const size_t from = at_ - begin_;
    if (!scan_value()) return Outer::kCut;
    key = std::string_view(buffer_).substr(begin_ + from, at_ - begin_ - from);
    if (c != '"' || key != wanted) continue;
    // The key, or a value of the same text: a list must follow.
    while (!at_end() &&
           (buffer_[at_] == ':' || kBlanks.find(buffer_[at_]) != std::string_view::npos))
      ++at_;
    if (at_end() || buffer_[at_] != '[') continue;
    outer_ = buffer_.substr(begin_, from);
    outer_.erase(outer_.find_last_not_of(", \t\r\n") + 1);
    outer_ += '}';
    begin_ = ++at_;
    return Outer::kList;
  }
}

bool JsonObjects::next(JsonPiece& piece) {
  for (;;) {
    if (done_) return false;
    begin_ = at_;
    skip_blanks();
    if (at_end()) return false;
    const char c = buffer_[at_];
    if (level_ == Level::kTop && c == '#') {
      if (!skip_past("\n")) return false;
    } else if (c == ']') {
      ++at_;
      if (level_ == Level::kList) level_ = in_outer_ ? Level::kRest : Level::kTop;
      done_ = one_value_ && level_ == Level::kTop;
    } else if (c == ',' || c == ':' || c == '}') {
      ++at_;
      if (c == '}' && level_ == Level::kRest) {
        level_ = Level::kTop;
        in_outer_ = false;
        done_ = one_value_;
      }
    } else if (level_ == Level::kRest) {
      if (!scan_value()) return false;
    } else if (level_ == Level::kTop && c == '[') {
      ++at_;
      level_ = Level::kList;
    } else if (level_ == Level::kTop && c == '{' && !list_key_.empty()) {
      const Outer found = scan_outer();
      if (found == Outer::kList) {
        level_ = Level::kList;
        in_outer_ = true;
        continue;
      }
      give(piece, found == Outer::kWhole);
      done_ = one_value_;
      return true;
    } else {
      const bool whole = scan_value();
      give(piece, whole);
      return true;
    }
  }
}

// Another element follows as "}, {", or begins a line: inside a piece that is no element this finds
// false starts too, which turn out not to be what is looked for.
bool JsonObjects::is_start(size_t at) const {
  bool border = false;
  for (size_t before = at; before > 0;) {
    const char c = buffer_[--before];
    if (c == '\n' && before + 1 == at) return true;
    border = border || c == ',' || c == '\n';
    if (c == '}') return border;
    if (c != ',' && kBlanks.find(c) == std::string_view::npos) return false;
  }
  return false;
}

bool JsonObjects::recover() {
  constexpr uint64_t kMostBytes = 32 * kLongestPiece;
  looked_through_ += at_ - begin_;
  if (looked_through_ > kMostBytes) return false;
  level_ = Level::kList;
  at_ = std::min(begin_ + 1, buffer_.size());
  for (;; ++at_) {
    at_ = std::min(buffer_.find('{', at_), buffer_.size());
    // Of what is looked through only the end matters, where a border may stand.
    constexpr size_t kBorder = 64;
    if (at_ == buffer_.size()) {
      begin_ = at_ - std::min(at_, kBorder);
      const bool more = fill();
      if (!more) {
        begin_ = at_;
        return true;
      }
      --at_;
    } else if (is_start(at_)) {
      begin_ = at_;
      return true;
    }
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
