#include "text/chat_template/lexer.h"

#include <algorithm>
#include <cstring>

#include "base/utf8.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

constexpr size_t kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Length of (\d+_)*\d+ at text[at]; 0 when there is none.
size_t digits_length(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() &&
         (is_digit(text[end]) || (text[end] == '_' && end > at && text[end - 1] != '_'))) {
    ++end;
  }
  while (end > at && text[end - 1] == '_') --end;
  return end - at;
}

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();  // keep_trailing_newline is off
  return out;
}

}  // namespace

void fail_syntax(Position at, std::string_view message, std::string_view kind) {
  throw TemplateError(kind, message, at.line, at.column);
}

Lexer::Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

Position Lexer::position(size_t at) {
  for (; known_at_ < at; ++known_at_) {
    if (source_[known_at_] == '\n') {
      ++known_.line;
      known_.column = 1;
    } else if ((source_[known_at_] & 0xC0) != 0x80) {
      ++known_.column;
    }
  }
  return known_;
}

bool Lexer::has(std::string_view text, size_t at) const {
  return source_.compare(at, text.size(), text) == 0;
}

size_t Lexer::skip_space(size_t at) const {
  while (at < source_.size()) {
    const DecodedCodePoint point = decode_utf8(source_, at);
    if (!is_space(point.code_point)) break;
    at += static_cast<size_t>(point.length);
  }
  return at;
}

// The end of "%}", "-%}" with the white space after it, "+%}", or "%}" with one line end
// (trim_blocks); kNone where no such mark stands.
size_t Lexer::match_block_end(size_t at, std::string_view mark) const {
  if (at >= source_.size()) return kNone;
  if (source_[at] == '+' && has(mark, at + 1)) return at + 1 + mark.size();
  if (source_[at] == '-' && has(mark, at + 1)) return skip_space(at + 1 + mark.size());
  if (!has(mark, at)) return kNone;
  const size_t end = at + mark.size();
  return end < source_.size() && source_[end] == '\n' ? end + 1 : end;
}

size_t Lexer::match_raw_begin(size_t at) const {
  at += 2;
  if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
  at = skip_space(at);
  if (!has("raw", at)) return kNone;
  at = skip_space(at + 3);
  if (has("-%}", at)) return skip_space(at + 3);
  return has("%}", at) ? at + 2 : kNone;
}

size_t Lexer::match_raw_end(size_t at) const {
  at += 2;
  if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
  at = skip_space(at);
  if (!has("endraw", at)) return kNone;
  return match_block_end(skip_space(at + 6), "%}");
}

// Data before a tag, less what the tag's sign or lstrip_blocks takes off its end.
std::string_view Lexer::stripped_data(size_t begin, size_t end, char sign, bool is_variable) const {
  const std::string_view text = std::string_view(source_).substr(begin, end - begin);
  if (sign == '-') return strip(text, Side::kRight);
  if (sign == '+' || is_variable) return text;
  const size_t line_end = text.rfind('\n');
  const size_t line = line_end == kNone ? 0 : line_end + 1;
  if (line == 0 && !line_starting_) return text;
  return strip(text.substr(line), Side::kBoth).empty() ? text.substr(0, line) : text;
}

Token Lexer::make(TokenType type, size_t begin) {
  Token token;
  token.type = type;
  token.at = position(begin);
  return token;
}

Token Lexer::next() {
  Token token;
  while (at_ < source_.size()) {
    switch (state_) {
      case State::kRoot:
        if (root_token(token)) return token;
        break;
      case State::kRaw:
        if (raw_token(token)) return token;
        break;
      case State::kBlock:
      case State::kVariable: {
        const size_t after_space = skip_space(at_);
        if (open_brackets_.empty() && end_token(token)) return token;
        if (after_space > at_) {
          at_ = after_space;
          break;
        }
        return expression_token();
      }
    }
  }
  return make(TokenType::kEnd, source_.size());
}

// Data up to the next tag, then the tag itself. False when a tag was passed that makes no token.
bool Lexer::root_token(Token& token) {
  const size_t begin = at_;
  size_t tag = begin;
  do {
    tag = source_.find('{', tag);
    if (tag == kNone || tag + 1 >= source_.size()) {
      tag = source_.size();
      break;
    }
    const char c = source_[tag + 1];
    if (c == '%' || c == '{' || c == '#') break;
    ++tag;
  } while (true);
  if (tag == source_.size()) {
    token = make(TokenType::kData, begin);
    token.text = source_.substr(begin);
    at_ = source_.size();
    return true;
  }
  const char kind = source_[tag + 1];
  const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
  const bool has_sign = sign == '-' || sign == '+';
  if (tag > begin) {
    // The tag is read by the next call, which finds no data before it.
    const std::string_view data = stripped_data(begin, tag, sign, kind == '{');
    at_ = tag;
    line_starting_ = false;
    if (data.empty()) return false;
    token = make(TokenType::kData, begin);
    token.text = data;
    return true;
  }
  if (kind == '%') {
    if (const size_t end = match_raw_begin(tag); end != kNone) {
      line_starting_ = source_[end - 1] == '\n';
      at_ = end;
      state_ = State::kRaw;
      return false;
    }
  }
  at_ = tag + (has_sign ? 3 : 2);
  if (kind == '#') return comment();
  token = make(kind == '%' ? TokenType::kBlockBegin : TokenType::kVariableBegin, tag);
  state_ = kind == '%' ? State::kBlock : State::kVariable;
  return true;
}

bool Lexer::comment() {
  if (at_ >= source_.size()) return false;  // jinja2 lets "{#" at the very end pass
  const Position begin = position(at_);
  size_t at = at_, end = kNone;
  for (; at < source_.size(); ++at) {
    end = match_block_end(at, "#}");
    if (end != kNone) break;
  }
  if (end == kNone) fail_syntax(begin, "Missing end of comment tag");
  line_starting_ = source_[end - 1] == '\n';
  at_ = end;
  return false;
}

bool Lexer::raw_token(Token& token) {
  const size_t begin = at_;
  for (size_t tag = source_.find("{%", begin); tag != kNone; tag = source_.find("{%", tag + 1)) {
    const size_t end = match_raw_end(tag);
    if (end == kNone) continue;
    const std::string_view data = stripped_data(begin, tag, source_[tag + 2], false);
    if (!data.empty()) {
      token = make(TokenType::kData, begin);
      token.text = data;
    }
    line_starting_ = source_[end - 1] == '\n';
    at_ = end;
    state_ = State::kRoot;
    return !data.empty();
  }
  fail_syntax(position(begin), "Missing end of raw directive");
}

bool Lexer::end_token(Token& token) {
  size_t end = kNone;
  if (state_ == State::kBlock) {
    end = match_block_end(at_, "%}");
  } else if (has("}}", at_)) {
    end = at_ + 2;
  } else if (has("-}}", at_)) {
    end = skip_space(at_ + 3);
  }
  if (end == kNone) return false;
  token = make(state_ == State::kBlock ? TokenType::kBlockEnd : TokenType::kVariableEnd, at_);
  line_starting_ = source_[end - 1] == '\n';
  at_ = end;
  state_ = State::kRoot;
  return true;
}

Token Lexer::number_token() {
  Token token;
  const std::string_view text = source_;
  const size_t begin = at_;
  const auto at = [&](size_t i) { return i < text.size() ? text[i] : '\0'; };
  // A float, unless it would begin right after a dot.
  const size_t whole = digits_length(text, begin);
  if (begin == 0 || text[begin - 1] != '.') {
    size_t end = begin + whole;
    bool is_float = false;
    if (at(end) == '.' && digits_length(text, end + 1) > 0) {
      end += 1 + digits_length(text, end + 1);
      is_float = true;
    }
    if ((at(end) | 0x20) == 'e') {
      const size_t sign = at(end + 1) == '+' || at(end + 1) == '-' ? 1 : 0;
      if (const size_t digits = digits_length(text, end + 1 + sign); digits > 0) {
        end += 1 + sign + digits;
        is_float = true;
      }
    }
    if (is_float) {
      token = make(TokenType::kFloat, begin);
      parse_float(text.substr(begin, end - begin), token.number);
      at_ = end;
      return token;
    }
  }
  size_t end = begin;
  int base = 10;
  const char mark = static_cast<char>(at(begin + 1) | 0x20);
  if (text[begin] == '0' && (mark == 'x' || mark == 'o' || mark == 'b')) {
    const std::string_view allowed = mark == 'x'   ? "0123456789abcdefABCDEF"
                                     : mark == 'o' ? "01234567"
                                                   : "01";
    size_t last = begin + 2;
    while (allowed.find(at(last)) != kNone ||
           (at(last) == '_' && allowed.find(at(last + 1)) != kNone)) {
      ++last;
    }
    if (last > begin + 2) {
      end = last;
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
    }
  }
  if (end == begin) {
    end = begin + whole;
    if (text[begin] == '0') {  // only zeros: "007" is three tokens to Python too
      end = begin + 1;
      while (at(end) == '0' || (at(end) == '_' && at(end + 1) == '0')) ++end;
    }
  }
  token = make(TokenType::kInteger, begin);
  if (parse_int(text.substr(begin, end - begin), base, token.integer) != IntParse::kOk) {
    fail_syntax(token.at, "an integer beyond 64 bits, which zhiyin's templates do not have");
  }
  at_ = end;
  return token;
}

Token Lexer::expression_token() {
  Token token;
  const size_t begin = at_;
  const char c = source_[begin];
  if (is_digit(c)) return number_token();
  size_t end = begin;
  while (end < source_.size()) {
    const DecodedCodePoint point = decode_utf8(source_, end);
    if (!point.ok || !is_word(point.code_point)) break;
    end += static_cast<size_t>(point.length);
  }
  if (end > begin) {
    token = make(TokenType::kName, begin);
    token.text = source_.substr(begin, end - begin);
    if (!is_identifier(token.text)) fail_syntax(token.at, "Invalid character in identifier");
    at_ = end;
    return token;
  }
  if (c == '\'' || c == '"') {
    for (end = begin + 1; end < source_.size() && source_[end] != c; ++end) {
      if (source_[end] == '\\') ++end;
    }
    if (end < source_.size()) {
      token = make(TokenType::kString, begin);
      token.text = unescape(std::string_view(source_).substr(begin + 1, end - begin - 1), token.at);
      at_ = end + 1;
      return token;
    }
  }
  static constexpr std::string_view kOperators[] = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  for (const std::string_view symbol : kOperators) {
    if (!has(symbol, begin)) continue;
    token = make(TokenType::kOperator, begin);
    token.text = symbol;
    if (c == '(' || c == '[' || c == '{') {
      open_brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open_brackets_.empty()) fail_syntax(token.at, cat("unexpected '", c, "'"));
      const char expected = open_brackets_.back();
      open_brackets_.pop_back();
      if (expected != c) {
        fail_syntax(token.at, cat("unexpected '", c, "', expected '", expected, "'"));
      }
    }
    at_ += symbol.size();
    return token;
  }
  const auto length = static_cast<size_t>(decode_utf8(source_, begin).length);
  fail_syntax(position(begin), cat("unexpected char ", repr_string(source_.substr(begin, length)),
                                   " at ", count_code_points(source_.substr(0, begin))));
}

// Python's unicode-escape, applied as jinja2 does: a backslash before a character beyond ASCII
// meets that character's own escape and turns it into text.
std::string Lexer::unescape(std::string_view body, Position at) const {
  std::string out;
  out.reserve(body.size());
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\' || i + 1 >= body.size()) {
      out += body[i];
      continue;
    }
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    const char c = body[++i];
    if (const size_t simple = kFrom.find(c); simple != kNone) {
      out += kTo[simple];
    } else if (c == '\n') {
      // a line continued
    } else if (c >= '0' && c <= '7') {
      char32_t code = 0;
      size_t end = i;
      while (end < std::min(i + 3, body.size()) && body[end] >= '0' && body[end] <= '7') {
        code = code * 8 + static_cast<char32_t>(body[end++] - '0');
      }
      append_utf8(out, code);
      i = end - 1;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      int64_t code = -1;
      const std::string_view digits = body.substr(i + 1, count);
      const bool hex =
          digits.size() == count && digits.find_first_not_of("0123456789abcdefABCDEF") == kNone;
      if (!hex) {
        fail_syntax(at, cat("truncated \\", c, std::string(count, 'X'), " escape"));
      }
      parse_int(digits, 16, code);
      if (code > 0x10FFFF) fail_syntax(at, "illegal Unicode character");
      append_utf8(out, static_cast<char32_t>(code));
      i += count;
    } else if (c == 'N') {
      fail_syntax(at, "character names (\\N{...}) are not known to zhiyin's templates");
    } else if ((c & 0x80) != 0) {
      const DecodedCodePoint point = decode_utf8(body, i);
      out += ascii_escape(point.code_point);
      i += static_cast<size_t>(point.length) - 1;
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace zhiyin::jinja
