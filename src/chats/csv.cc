#include "chats/csv.h"

#include <algorithm>

namespace zhiyin::chats {

bool CsvReader::at_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }

void CsvReader::skip_line_end() {
  if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
  ++at_;
  ++line_;
}

size_t CsvReader::closing_quote() const {
  for (size_t end = at_ + 1; (end = text_.find('"', end)) != std::string_view::npos; end += 2) {
    if (end + 1 == text_.size()) return end;
    const char next = text_[end + 1];
    if (next == '"') continue;  // a doubled quote stands for one
    return next == delimiter_ || next == '\n' || next == '\r' ? end : std::string_view::npos;
  }
  return std::string_view::npos;
}

void CsvReader::read_field(std::string& field) {
  const size_t close =
      at_ < text_.size() && text_[at_] == '"' ? closing_quote() : std::string_view::npos;
  if (close == std::string_view::npos) {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != delimiter_ && !at_line_end()) ++at_;
    field = text_.substr(begin, at_ - begin);
    return;
  }
  for (size_t i = at_ + 1; i < close; ++i) {
    if (text_[i] == '"') ++i;
    if (text_[i] == '\n') ++line_;
    field += text_[i];
  }
  at_ = close + 1;
}

bool CsvReader::next(CsvRecord& record) {
  while (at_ < text_.size() && at_line_end()) skip_line_end();
  if (at_ >= text_.size()) return false;
  record.line = line_;
  record.fields.clear();
  for (;;) {
    read_field(record.fields.emplace_back());
    if (at_ >= text_.size()) return true;
    if (at_line_end()) {
      skip_line_end();
      return true;
    }
    ++at_;  // the delimiter
  }
}

char guess_delimiter(std::string_view text) {
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
  return std::max({',', ';', '\t'}, [&](char a, char b) { return count(a) < count(b); });
}

}  // namespace zhiyin::chats
