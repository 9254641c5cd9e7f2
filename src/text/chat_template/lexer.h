// Cuts a template into tokens as jinja2.lexer does with trim_blocks and lstrip_blocks: the same
// white space goes, the same errors come, at the same moment (tokens are made on demand).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

struct Position {
  int line = 1, column = 1;  // from 1; columns count code points
};

// Throws a syntax error of this class at a place.
[[noreturn]] void fail_syntax(Position at, std::string_view message,
                              std::string_view kind = "TemplateSyntaxError");

enum class TokenType : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string text;     // data, name, string contents, operator
  int64_t integer = 0;  // kInteger
  double number = 0;    // kFloat
  Position at;

  bool is(TokenType wanted, std::string_view wanted_text) const {
    return type == wanted && text == wanted_text;
  }
  bool is_name(std::string_view name) const { return is(TokenType::kName, name); }
  bool is_operator(std::string_view symbol) const { return is(TokenType::kOperator, symbol); }
};

class Lexer {
 public:
  explicit Lexer(std::string_view source);
  // kEnd from the end on. Throws TemplateSyntaxError.
  Token next();

 private:
  enum class State : uint8_t { kRoot, kBlock, kVariable, kRaw };

  bool root_token(Token& token);
  bool comment();
  bool raw_token(Token& token);
  bool end_token(Token& token);
  Token expression_token();
  Token make(TokenType type, size_t begin);
  Token number_token();
  size_t skip_space(size_t at) const;
  bool has(std::string_view text, size_t at) const;
  std::string_view stripped_data(size_t begin, size_t end, char sign, bool is_variable) const;
  size_t match_raw_begin(size_t at) const;
  size_t match_raw_end(size_t at) const;
  size_t match_block_end(size_t at, std::string_view mark) const;
  std::string unescape(std::string_view body, Position at) const;
  Position position(size_t at);

  std::string source_;
  size_t at_ = 0;
  State state_ = State::kRoot;
  bool line_starting_ = true;  // nothing but a line end stands before at_
  std::string open_brackets_;  // closing brackets still to come
  // position() goes forward from here
  size_t known_at_ = 0;
  Position known_;
};

}  // namespace zhiyin::jinja
