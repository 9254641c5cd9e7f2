// The parser's own declarations, shared by parser.cc and parser_statements.cc.
#pragma once

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/ast.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {

inline constexpr int kMaxOpen = 120;  // expressions and statements inside each other
inline constexpr int kMaxDepth =
    1000;  // of an expression's tree, so of chains such as a.b.c or a + b + c

// A token as jinja2's messages name it.
std::string describe_type(TokenType type);
std::string describe(const Token& token);

class TokenStream {
 public:
  explicit TokenStream(std::string_view source) : lexer_(source) { next(); }

  const Token& current() const { return current_; }

  const Token& look() {
    if (pushed_.empty()) pushed_.push_back(lexer_.next());
    return pushed_.front();
  }

  // Goes on and returns the token that was current.
  Token next() {
    Token old = std::move(current_);
    if (pushed_.empty()) {
      current_ = lexer_.next();
    } else {
      current_ = std::move(pushed_.front());
      pushed_.pop_front();
    }
    if (current_.type == TokenType::kEnd) current_.at = old.at;
    return old;
  }

  bool skip_name(std::string_view name) { return skip(current_.is_name(name)); }
  bool skip_operator(std::string_view symbol) { return skip(current_.is_operator(symbol)); }

  Token expect_type(TokenType type) { return expect(current_.type == type, describe_type(type)); }
  Token expect_name(std::string_view name) { return expect(current_.is_name(name), name); }
  Token expect_operator(std::string_view symbol) {
    return expect(current_.is_operator(symbol), symbol);
  }

 private:
  bool skip(bool matches) {
    if (matches) next();
    return matches;
  }

  Token expect(bool matches, std::string_view wanted) {
    if (matches) return next();
    if (current_.type == TokenType::kEnd) {
      fail_syntax(current_.at,
                  cat("unexpected end of template, expected ", repr_string(wanted), "."));
    }
    fail_syntax(current_.at, cat("expected token ", repr_string(wanted), ", got ",
                                 repr_string(describe(current_))));
  }

  Lexer lexer_;
  Token current_;
  std::deque<Token> pushed_;
};

using Names = std::vector<std::string_view>;

class Parser {
 public:
  explicit Parser(std::string_view source) : stream_(source) {}

  Tree parse() {
    tree_.body = subparse(nullptr);
    return std::move(tree_);
  }

 private:
  // Counts what is open, so that hostile nesting ends in an error and not in the stack.
  class Open {
   public:
    explicit Open(Parser& parser) : parser_(parser) {
      if (parser_.open_ >= kMaxOpen) {
        fail_syntax(parser_.stream_.current().at, "maximum recursion depth exceeded",
                    "RecursionError");
      }
      ++parser_.open_;
    }
    ~Open() { --parser_.open_; }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    Parser& parser_;
  };

  const Token& current() const { return stream_.current(); }
  bool at_operator(std::string_view symbol) const { return current().is_operator(symbol); }
  bool at_any(const Names& names) const {
    return current().type == TokenType::kName &&
           std::find(names.begin(), names.end(), current().text) != names.end();
  }

  template <typename T>
  T* with_depth(T* node, std::initializer_list<const Expr*> children) {
    for (const Expr* child : children) add_depth(node, child);
    return node;
  }
  static void add_depth(Expr* node, const Expr* child) {
    if (child == nullptr) return;
    node->depth = std::max(node->depth, child->depth + 1);
    if (node->depth > kMaxDepth) {
      fail_syntax(node->at, "maximum recursion depth exceeded", "RecursionError");
    }
  }
  static void add_depth(Expr* node, const Arguments& arguments) {
    for (const Expr* expr : arguments.positional) add_depth(node, expr);
    for (const auto& [name, expr] : arguments.named) add_depth(node, expr);
    add_depth(node, arguments.star);
    add_depth(node, arguments.double_star);
  }

  // parser_statements.cc
  Body subparse(const Names* end_names);
  Body parse_statements(const Names& end_names, bool drop_needle);
  Stmt* parse_statement();
  Stmt* parse_known_statement(const std::string& tag);
  Stmt* parse_for();
  Stmt* parse_if();
  Stmt* parse_set();
  Stmt* parse_with();
  Stmt* parse_autoescape();
  Stmt* parse_block();
  Stmt* parse_loader(const std::string& tag);
  void parse_import_names(LoaderStmt* node);
  void parse_import_context();
  Stmt* parse_macro();
  Stmt* parse_call_block();
  Stmt* parse_generation();
  Stmt* parse_filter_block();
  Stmt* parse_print();
  void parse_signature(MacroNode* node);
  [[noreturn]] void fail_tag(const std::string* name, const std::vector<Names>& stack, Position at);

  // parser.cc
  Expr* parse_expression(bool with_condition = true);
  Expr* parse_condition();
  Expr* parse_or();
  Expr* parse_and();
  Expr* parse_not();
  Expr* parse_compare();
  Expr* parse_sum();
  Expr* parse_concat();
  Expr* parse_product();
  Expr* parse_power();
  Expr* parse_unary(bool with_filter = true);
  Expr* parse_primary(bool with_namespace = false);
  Expr* parse_name(bool with_namespace);
  Expr* parse_tuple(bool simplified = false, bool with_condition = true,
                    const Names* end_names = nullptr, bool parentheses = false,
                    bool with_namespace = false);
  Expr* parse_list();
  Expr* parse_dict();
  Expr* parse_postfix(Expr* node);
  Expr* parse_filters_and_tests(Expr* node);
  Expr* parse_subscript(Expr* node);
  Expr* parse_subscribed(Expr* object, Position at);
  Arguments parse_arguments();
  CallExpr* parse_call(Expr* callee);
  FilterExpr* parse_filter(Expr* operand, bool start_inline = false);
  Expr* parse_test(Expr* operand);
  Expr* parse_target(const Names* end_names = nullptr, bool with_namespace = false);
  NameExpr* parse_name_target();
  Expr* make_target(Expr* target);
  BinaryExpr* make_binary(ExprKind kind, Position at, Expr* left, Expr* right);

  Tree tree_;
  TokenStream stream_;
  std::vector<std::string> tag_stack_;
  std::vector<Names> end_stack_;
  int open_ = 0;
};

}  // namespace zhiyin::jinja
