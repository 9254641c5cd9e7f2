// CSV (RFC 4180) that takes what people's spreadsheets leave: any line end, comma, semicolon or
// tab, and a quote that never closes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin::chats {

struct CsvRecord {
  std::vector<std::string> fields;
  int64_t line = 0;  // where it starts, from 1
};

class CsvReader {
 public:
  // text must outlive the reader.
  CsvReader(std::string_view text, char delimiter) : text_(text), delimiter_(delimiter) {}

  // The next record that is not an empty line; false at the end. A field that opens with a quote
  // but has no closing one before a delimiter or line end is read as plain text instead, so a lost
  // quote costs its own record, not those after it.
  bool next(CsvRecord& record);

 private:
  size_t closing_quote() const;  // of the quoted field at at_; npos when it has none
  void read_field(std::string& field);
  bool at_line_end() const;
  void skip_line_end();

  std::string_view text_;
  char delimiter_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

// The most frequent of comma, semicolon and tab in the first line.
char guess_delimiter(std::string_view text);

}  // namespace zhiyin::chats
