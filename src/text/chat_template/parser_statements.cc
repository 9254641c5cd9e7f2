#include "text/chat_template/parser_impl.h"

namespace zhiyin::jinja {

Body Parser::subparse(const Names* end_names) {
  Body body;
  OutputStmt* output = nullptr;
  if (end_names != nullptr) end_stack_.push_back(*end_names);
  const auto part = [&](Position at) -> OutputStmt::Part& {
    if (output == nullptr) {
      output = tree_.make<OutputStmt>(at);
      body.push_back(output);
    }
    return output->parts.emplace_back();
  };
  while (current().type != TokenType::kEnd) {
    if (current().type == TokenType::kData) {
      part(current().at).data = current().text;
      stream_.next();
    } else if (current().type == TokenType::kVariableBegin) {
      const Position at = stream_.next().at;
      part(at).expr = parse_tuple();
      stream_.expect_type(TokenType::kVariableEnd);
    } else {
      output = nullptr;
      stream_.next();  // block_begin: nothing else stands between data and expressions
      if (end_names != nullptr && at_any(*end_names)) break;
      body.push_back(parse_statement());
      stream_.expect_type(TokenType::kBlockEnd);
    }
  }
  if (end_names != nullptr) end_stack_.pop_back();
  return body;
}

Body Parser::parse_statements(const Names& end_names, bool drop_needle) {
  stream_.skip_operator(":");
  stream_.expect_type(TokenType::kBlockEnd);
  const Open open(*this);
  Body body = subparse(&end_names);
  if (current().type == TokenType::kEnd) {
    std::vector<Names> stack = end_stack_;
    stack.push_back(end_names);
    fail_tag(nullptr, stack, current().at);
  }
  if (drop_needle) stream_.next();
  return body;
}

void Parser::fail_tag(const std::string* name, const std::vector<Names>& stack, Position at) {
  std::string message = name == nullptr ? "Unexpected end of template."
                                        : cat("Encountered unknown tag ", repr_string(*name), ".");
  if (!stack.empty()) {
    std::vector<std::string> looking;
    bool expected = false;
    for (const std::string_view tag : stack.back()) looking.push_back(repr_string(tag));
    for (const Names& names : stack) {
      for (const std::string_view tag : names)
        expected = expected || (name != nullptr && *name == tag);
    }
    const std::string list = join(looking, " or ");
    message += expected ? cat(" You probably made a nesting mistake. Jinja is expecting this tag,"
                              " but currently looking for ",
                              list, ".")
                        : cat(" Jinja was looking for the following tags: ", list, ".");
  }
  if (!tag_stack_.empty()) {
    message += cat(" The innermost block that needs to be closed is ",
                   repr_string(tag_stack_.back()), ".");
  }
  fail_syntax(at, message);
}

Stmt* Parser::parse_statement() {
  if (current().type != TokenType::kName) fail_syntax(current().at, "tag name expected");
  const Token token = current();
  tag_stack_.push_back(token.text);
  Stmt* node = parse_known_statement(token.text);
  tag_stack_.pop_back();
  if (node == nullptr) fail_tag(&token.text, end_stack_, token.at);
  return node;
}

Stmt* Parser::parse_known_statement(const std::string& tag) {
  if (tag == "for") return parse_for();
  if (tag == "if") return parse_if();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "print") return parse_print();
  if (tag == "block") return parse_block();
  if (tag == "autoescape") return parse_autoescape();
  if (tag == "generation") return parse_generation();
  if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
    return parse_loader(tag);
  }
  if (tag == "break") return tree_.make<Stmt>(StmtKind::kBreak, stream_.next().at);
  if (tag == "continue") return tree_.make<Stmt>(StmtKind::kContinue, stream_.next().at);
  return nullptr;
}

Stmt* Parser::parse_for() {
  static const Names kIn = {"in"}, kRecursive = {"recursive"};
  auto* node = tree_.make<ForNode>(stream_.expect_name("for").at);
  node->target = parse_target(&kIn);
  stream_.expect_name("in");
  node->iterable = parse_tuple(false, false, &kRecursive);
  if (stream_.skip_name("if")) node->test = parse_expression();
  node->recursive = stream_.skip_name("recursive");
  node->body = parse_statements({"endfor", "else"}, false);
  if (stream_.next().text == "else") node->otherwise = parse_statements({"endfor"}, true);
  return node;
}

Stmt* Parser::parse_if() {
  auto* node = tree_.make<IfStmt>(stream_.expect_name("if").at);
  while (true) {
    Expr* test = parse_tuple(false, false);
    Body body = parse_statements({"elif", "else", "endif"}, false);
    node->branches.emplace_back(test, std::move(body));
    const Token token = stream_.next();
    if (token.text == "elif") continue;
    if (token.text == "else") node->otherwise = parse_statements({"endif"}, true);
    return node;
  }
}

Stmt* Parser::parse_set() {
  const Position at = stream_.next().at;
  Expr* target = parse_target(nullptr, true);
  if (stream_.skip_operator("=")) {
    auto* node = tree_.make<AssignStmt>(at);
    node->target = target;
    node->value = parse_tuple();
    return node;
  }
  auto* node = tree_.make<SetBlockStmt>(at);
  node->target = target;
  node->filter = parse_filter(nullptr);
  node->body = parse_statements({"endset"}, true);
  return node;
}

Stmt* Parser::parse_with() {
  auto* node = tree_.make<WithStmt>(stream_.next().at);
  while (current().type != TokenType::kBlockEnd) {
    if (!node->bindings.empty()) stream_.expect_operator(",");
    Expr* target = parse_target();
    stream_.expect_operator("=");
    node->bindings.emplace_back(target, parse_expression());
  }
  node->body = parse_statements({"endwith"}, true);
  return node;
}

Stmt* Parser::parse_autoescape() {
  auto* node = tree_.make<AutoescapeStmt>(stream_.next().at);
  node->enabled = parse_expression();
  node->body = parse_statements({"endautoescape"}, true);
  return node;
}

Stmt* Parser::parse_block() {
  auto* node = tree_.make<BlockStmt>(stream_.next().at);
  node->name = stream_.expect_type(TokenType::kName).text;
  stream_.skip_name("scoped");
  node->required = stream_.skip_name("required");
  if (at_operator("-")) {
    fail_syntax(current().at,
                "Block names in Jinja have to be valid Python identifiers and may not contain"
                " hyphens, use an underscore instead.");
  }
  node->body = parse_statements({"endblock"}, true);
  if (node->required) {
    for (const Stmt* stmt : node->body) {
      bool blank = stmt->kind == StmtKind::kOutput;
      if (blank) {
        for (const auto& part : static_cast<const OutputStmt*>(stmt)->parts) {
          blank = blank && part.expr == nullptr && all_of_class(part.data, CharClass::kSpace);
        }
      }
      if (!blank) {
        fail_syntax(current().at, "Required blocks can only contain comments or whitespace");
      }
    }
  }
  stream_.skip_name(node->name);
  return node;
}

void Parser::parse_import_context() {
  if ((current().is_name("with") || current().is_name("without")) &&
      stream_.look().is_name("context")) {
    stream_.next();
    stream_.next();
  }
}

void Parser::parse_import_names(LoaderStmt* node) {
  stream_.expect_name("import");
  bool first = true;
  while (true) {
    if (!first) stream_.expect_operator(",");
    if (current().type != TokenType::kName) stream_.expect_type(TokenType::kName);
    const bool context = current().is_name("with") || current().is_name("without");
    if (context && stream_.look().is_name("context")) {
      parse_import_context();
      return;
    }
    first = false;
    NameExpr* target = parse_name_target();
    if (target->name.starts_with("_")) {
      fail_syntax(target->at, "names starting with an underline can not be imported",
                  "TemplateAssertionError");
    }
    if (stream_.skip_name("as")) target = parse_name_target();
    node->targets.push_back(target);
    parse_import_context();
    if (!at_operator(",")) return;
  }
}

Stmt* Parser::parse_loader(const std::string& tag) {
  auto* node = tree_.make<LoaderStmt>(stream_.next().at);
  node->extends = tag == "extends";
  node->source = parse_expression();
  if (tag == "from") {
    parse_import_names(node);
    return node;
  }
  if (tag == "import") {
    stream_.expect_name("as");
    node->targets.push_back(parse_name_target());
  }
  if (tag == "include" && current().is_name("ignore") && stream_.look().is_name("missing")) {
    stream_.next();
    stream_.next();
  }
  if (tag != "extends") parse_import_context();
  return node;
}

void Parser::parse_signature(MacroNode* node) {
  stream_.expect_operator("(");
  while (!at_operator(")")) {
    if (!node->parameters.empty()) stream_.expect_operator(",");
    NameExpr* parameter = parse_name_target();
    if (stream_.skip_operator("=")) {
      node->defaults.push_back(parse_expression());
    } else if (!node->defaults.empty()) {
      fail_syntax(current().at, "non-default argument follows default argument");
    }
    node->parameters.push_back(parameter);
  }
  stream_.expect_operator(")");
}

Stmt* Parser::parse_macro() {
  auto* node = tree_.make<MacroNode>(StmtKind::kMacro, stream_.next().at);
  node->name = parse_name_target()->name;
  parse_signature(node);
  node->body = parse_statements({"endmacro"}, true);
  return node;
}

Stmt* Parser::parse_call_block() {
  auto* node = tree_.make<MacroNode>(StmtKind::kCallBlock, stream_.next().at);
  if (at_operator("(")) parse_signature(node);
  Expr* call = parse_expression();
  if (call->kind != ExprKind::kCall) fail_syntax(node->at, "expected call");
  node->call = static_cast<CallExpr*>(call);
  node->body = parse_statements({"endcall"}, true);
  return node;
}

Stmt* Parser::parse_generation() {
  auto* node = tree_.make<MacroNode>(StmtKind::kGeneration, stream_.next().at);
  node->body = parse_statements({"endgeneration"}, true);
  return node;
}

Stmt* Parser::parse_filter_block() {
  auto* node = tree_.make<FilterBlockStmt>(stream_.next().at);
  node->filter = parse_filter(nullptr, true);
  node->body = parse_statements({"endfilter"}, true);
  return node;
}

Stmt* Parser::parse_print() {
  auto* node = tree_.make<OutputStmt>(stream_.next().at);
  while (current().type != TokenType::kBlockEnd) {
    if (!node->parts.empty()) stream_.expect_operator(",");
    node->parts.emplace_back().expr = parse_expression();
  }
  return node;
}

}  // namespace zhiyin::jinja
