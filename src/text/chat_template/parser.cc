#include "text/chat_template/parser.h"

#include "text/chat_template/parser_impl.h"

namespace zhiyin::jinja {

Value Tree::constant(std::string text) {
  auto object = std::make_unique<Str>();
  object->text = std::move(text);
  object->length = static_cast<int64_t>(count_code_points(object->text));
  object->references = Object::kImmortal;
  constants_.push_back(std::move(object));
  return Value::object(Kind::kString, constants_.back().get());
}

std::string describe_type(TokenType type) {
  switch (type) {
    case TokenType::kData:
      return "template data / text";
    case TokenType::kVariableBegin:
      return "begin of print statement";
    case TokenType::kVariableEnd:
      return "end of print statement";
    case TokenType::kBlockBegin:
      return "begin of statement block";
    case TokenType::kBlockEnd:
      return "end of statement block";
    case TokenType::kName:
      return "name";
    case TokenType::kString:
      return "string";
    case TokenType::kInteger:
      return "integer";
    case TokenType::kFloat:
      return "float";
    case TokenType::kOperator:
      return "operator";
    case TokenType::kEnd:
      return "end of template";
  }
  return {};
}

std::string describe(const Token& token) {
  const bool own_text = token.type == TokenType::kName || token.type == TokenType::kOperator;
  return own_text ? token.text : describe_type(token.type);
}

Expr* Parser::make_target(Expr* target) {
  std::string_view unassignable;
  switch (target->kind) {
    case ExprKind::kName:
      static_cast<NameExpr*>(target)->store = true;
      return target;
    case ExprKind::kNamespaceRef:
      return target;
    case ExprKind::kTuple:
      for (Expr* item : static_cast<ItemsExpr*>(target)->items) {
        const bool fits = item->kind == ExprKind::kName || item->kind == ExprKind::kNamespaceRef ||
                          item->kind == ExprKind::kTuple;
        if (!fits) fail_syntax(target->at, "can't assign to 'tuple'");
        make_target(item);
      }
      return target;
    case ExprKind::kConst:
      unassignable = "const";
      break;
    case ExprKind::kList:
      unassignable = "list";
      break;
    default:
      unassignable = "dict";
  }
  fail_syntax(target->at, cat("can't assign to '", unassignable, "'"));
}

Expr* Parser::parse_target(const Names* end_names, bool with_namespace) {
  return make_target(parse_tuple(true, true, end_names, false, with_namespace));
}

NameExpr* Parser::parse_name_target() {
  const Token token = stream_.expect_type(TokenType::kName);
  static const Names kConstants = {"true", "false", "none", "True", "False", "None"};
  if (std::find(kConstants.begin(), kConstants.end(), token.text) != kConstants.end()) {
    fail_syntax(token.at, "can't assign to 'name'");
  }
  auto* node = tree_.make<NameExpr>(token.at, token.text);
  node->store = true;
  return node;
}

Expr* Parser::parse_expression(bool with_condition) {
  const Open open(*this);
  return with_condition ? parse_condition() : parse_or();
}

Expr* Parser::parse_condition() {
  Position at = current().at;
  Expr* then = parse_or();
  while (stream_.skip_name("if")) {
    auto* node = tree_.make<ConditionExpr>(at);
    node->then = then;
    node->test = parse_or();
    if (stream_.skip_name("else")) {
      const Open open(*this);
      node->otherwise = parse_condition();
    }
    then = with_depth(node, {node->test, node->then, node->otherwise});
    at = current().at;
  }
  return then;
}

BinaryExpr* Parser::make_binary(ExprKind kind, Position at, Expr* left, Expr* right) {
  auto* node = tree_.make<BinaryExpr>(kind, at);
  node->left = left;
  node->right = right;
  return with_depth(node, {left, right});
}

Expr* Parser::parse_or() {
  Position at = current().at;
  Expr* left = parse_and();
  while (stream_.skip_name("or")) {
    left = make_binary(ExprKind::kOr, at, left, parse_and());
    at = current().at;
  }
  return left;
}

Expr* Parser::parse_and() {
  Position at = current().at;
  Expr* left = parse_not();
  while (stream_.skip_name("and")) {
    left = make_binary(ExprKind::kAnd, at, left, parse_not());
    at = current().at;
  }
  return left;
}

Expr* Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Open open(*this);
  auto* node = tree_.make<UnaryExpr>(ExprKind::kNot, stream_.next().at);
  node->operand = parse_not();
  return with_depth(node, {node->operand});
}

Expr* Parser::parse_compare() {
  static constexpr std::pair<std::string_view, CompareOp> kOperators[] = {
      {"==", CompareOp::kEq}, {"!=", CompareOp::kNe}, {"<", CompareOp::kLt},
      {"<=", CompareOp::kLe}, {">", CompareOp::kGt},  {">=", CompareOp::kGe}};
  const Position at = current().at;
  Expr* first = parse_sum();
  CompareExpr* node = nullptr;
  while (true) {
    CompareOp op = CompareOp::kEq;
    const auto* known = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& entry) { return at_operator(entry.first); });
    if (known != std::end(kOperators)) {
      op = known->second;
      stream_.next();
    } else if (stream_.skip_name("in")) {
      op = CompareOp::kIn;
    } else if (current().is_name("not") && stream_.look().is_name("in")) {
      op = CompareOp::kNotIn;
      stream_.next();
      stream_.next();
    } else {
      return node == nullptr ? first : node;
    }
    if (node == nullptr) {
      node = tree_.make<CompareExpr>(at);
      node->first = first;
      add_depth(node, first);
    }
    node->rest.emplace_back(op, parse_sum());
    add_depth(node, node->rest.back().second);
  }
}

Expr* Parser::parse_sum() {
  Position at = current().at;
  Expr* left = parse_concat();
  while (at_operator("+") || at_operator("-")) {
    const BinaryOp op = stream_.next().text == "+" ? BinaryOp::kAdd : BinaryOp::kSub;
    BinaryExpr* node = make_binary(ExprKind::kBinary, at, left, parse_concat());
    node->op = op;
    left = node;
    at = current().at;
  }
  return left;
}

Expr* Parser::parse_concat() {
  const Position at = current().at;
  Expr* first = parse_product();
  if (!at_operator("~")) return first;
  auto* node = tree_.make<ItemsExpr>(ExprKind::kConcat, at);
  node->items.push_back(first);
  while (stream_.skip_operator("~")) node->items.push_back(parse_product());
  for (const Expr* item : node->items) add_depth(node, item);
  return node;
}

Expr* Parser::parse_product() {
  static constexpr std::pair<std::string_view, BinaryOp> kOperators[] = {
      {"*", BinaryOp::kMul},
      {"/", BinaryOp::kDiv},
      {"//", BinaryOp::kFloorDiv},
      {"%", BinaryOp::kMod}};
  Position at = current().at;
  Expr* left = parse_power();
  while (true) {
    const auto* known = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& entry) { return at_operator(entry.first); });
    if (known == std::end(kOperators)) return left;
    stream_.next();
    BinaryExpr* node = make_binary(ExprKind::kBinary, at, left, parse_power());
    node->op = known->second;
    left = node;
    at = current().at;
  }
}

Expr* Parser::parse_power() {
  Position at = current().at;
  Expr* left = parse_unary();
  while (stream_.skip_operator("**")) {
    BinaryExpr* node = make_binary(ExprKind::kBinary, at, left, parse_unary());
    node->op = BinaryOp::kPow;
    left = node;
    at = current().at;
  }
  return left;
}

Expr* Parser::parse_unary(bool with_filter) {
  Expr* node = nullptr;
  if (at_operator("-") || at_operator("+")) {
    const Open open(*this);
    const Token sign = stream_.next();
    auto* unary =
        tree_.make<UnaryExpr>(sign.text == "-" ? ExprKind::kNegate : ExprKind::kPositive, sign.at);
    unary->operand = parse_unary(false);
    node = with_depth(unary, {unary->operand});
  } else {
    node = parse_primary();
  }
  node = parse_postfix(node);
  return with_filter ? parse_filters_and_tests(node) : node;
}

Expr* Parser::parse_name(bool with_namespace) {
  const Token token = stream_.next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") {
    return tree_.make<ConstExpr>(token.at, Value::boolean(true));
  }
  if (name == "false" || name == "False") {
    return tree_.make<ConstExpr>(token.at, Value::boolean(false));
  }
  if (name == "none" || name == "None") return tree_.make<ConstExpr>(token.at, Value::none());
  if (with_namespace && stream_.skip_operator(".")) {
    return tree_.make<NamespaceRefExpr>(token.at, name, stream_.expect_type(TokenType::kName).text);
  }
  return tree_.make<NameExpr>(token.at, name);
}

Expr* Parser::parse_primary(bool with_namespace) {
  const Position at = current().at;
  switch (current().type) {
    case TokenType::kName:
      return parse_name(with_namespace);
    case TokenType::kString: {
      std::string text = stream_.next().text;
      while (current().type == TokenType::kString) text += stream_.next().text;
      return tree_.make<ConstExpr>(at, tree_.constant(std::move(text)));
    }
    case TokenType::kInteger:
      return tree_.make<ConstExpr>(at, Value::integer(stream_.next().integer));
    case TokenType::kFloat:
      return tree_.make<ConstExpr>(at, Value::number(stream_.next().number));
    default:
      break;
  }
  if (at_operator("(")) {
    const Open open(*this);
    stream_.next();
    Expr* node = parse_tuple(false, true, nullptr, true);
    stream_.expect_operator(")");
    return node;
  }
  if (at_operator("[")) return parse_list();
  if (at_operator("{")) return parse_dict();
  fail_syntax(at, cat("unexpected ", repr_string(describe(current()))));
}

Expr* Parser::parse_tuple(bool simplified, bool with_condition, const Names* end_names,
                          bool parentheses, bool with_namespace) {
  Position at = current().at;
  std::vector<Expr*> items;
  bool is_tuple = false;
  const auto at_end = [&] {
    return current().type == TokenType::kVariableEnd || current().type == TokenType::kBlockEnd ||
           at_operator(")") || (end_names != nullptr && at_any(*end_names));
  };
  while (true) {
    if (!items.empty()) stream_.expect_operator(",");
    if (at_end()) break;
    items.push_back(simplified ? parse_primary(with_namespace) : parse_expression(with_condition));
    if (!at_operator(",")) break;
    is_tuple = true;
    at = current().at;
  }
  if (!is_tuple) {
    if (!items.empty()) return items[0];
    if (!parentheses) {
      fail_syntax(current().at,
                  cat("Expected an expression, got ", repr_string(describe(current()))));
    }
  }
  auto* node = tree_.make<ItemsExpr>(ExprKind::kTuple, at);
  node->items = std::move(items);
  for (const Expr* item : node->items) add_depth(node, item);
  return node;
}

Expr* Parser::parse_list() {
  auto* node = tree_.make<ItemsExpr>(ExprKind::kList, stream_.expect_operator("[").at);
  while (!at_operator("]")) {
    if (!node->items.empty()) stream_.expect_operator(",");
    if (at_operator("]")) break;
    node->items.push_back(parse_expression());
    add_depth(node, node->items.back());
  }
  stream_.expect_operator("]");
  return node;
}

Expr* Parser::parse_dict() {
  auto* node = tree_.make<DictExpr>(stream_.expect_operator("{").at);
  while (!at_operator("}")) {
    if (!node->items.empty()) stream_.expect_operator(",");
    if (at_operator("}")) break;
    Expr* key = parse_expression();
    stream_.expect_operator(":");
    node->items.emplace_back(key, parse_expression());
    with_depth(node, {key, node->items.back().second});
  }
  stream_.expect_operator("}");
  return node;
}

Expr* Parser::parse_postfix(Expr* node) {
  while (true) {
    if (at_operator(".") || at_operator("[")) {
      node = parse_subscript(node);
    } else if (at_operator("(")) {
      node = parse_call(node);
    } else {
      return node;
    }
  }
}

Expr* Parser::parse_filters_and_tests(Expr* node) {
  while (true) {
    if (at_operator("|")) {
      node = parse_filter(node);
    } else if (current().is_name("is")) {
      node = parse_test(node);
    } else if (at_operator("(")) {
      node = parse_call(node);
    } else {
      return node;
    }
  }
}

Expr* Parser::parse_subscript(Expr* object) {
  const Token token = stream_.next();
  if (token.text == ".") {
    const Token member = stream_.next();
    if (member.type == TokenType::kName) {
      auto* node = tree_.make<AttributeExpr>(token.at);
      node->object = object;
      node->name = member.text;
      return with_depth(node, {object});
    }
    if (member.type != TokenType::kInteger) fail_syntax(member.at, "expected name or number");
    auto* node = tree_.make<ItemExpr>(token.at);
    node->object = object;
    node->key = tree_.make<ConstExpr>(member.at, Value::integer(member.integer));
    return with_depth(node, {object});
  }
  std::vector<Expr*> keys;
  while (!at_operator("]")) {
    if (!keys.empty()) stream_.expect_operator(",");
    keys.push_back(parse_subscribed(object, token.at));
  }
  stream_.expect_operator("]");
  if (keys.size() == 1 && keys[0]->kind == ExprKind::kSlice &&
      static_cast<SliceExpr*>(keys[0])->object == object) {
    return keys[0];
  }
  auto* node = tree_.make<ItemExpr>(token.at);
  node->object = object;
  if (keys.size() == 1) {
    node->key = keys[0];
  } else {
    auto* tuple = tree_.make<ItemsExpr>(ExprKind::kTuple, token.at);
    for (Expr* key : keys) {
      const bool slice =
          key->kind == ExprKind::kSlice && static_cast<SliceExpr*>(key)->object == object;
      if (slice) fail_syntax(token.at, "invalid syntax", "SyntaxError");  // as Python, of the code
      add_depth(tuple, key);
    }
    tuple->items = std::move(keys);
    node->key = tuple;
  }
  return with_depth(node, {object, node->key});
}

// One subscript: an expression, or a slice of the object.
Expr* Parser::parse_subscribed(Expr* object, Position at) {
  Expr* start = nullptr;
  if (!at_operator(":")) {
    start = parse_expression();
    if (!at_operator(":")) return start;
  }
  stream_.next();
  const auto part = [&]() -> Expr* {
    return at_operator("]") || at_operator(",") || at_operator(":") ? nullptr : parse_expression();
  };
  auto* node = tree_.make<SliceExpr>(at);
  node->object = object;
  node->start = start;
  node->stop = part();
  if (stream_.skip_operator(":")) {
    node->step = at_operator("]") || at_operator(",") ? nullptr : parse_expression();
  }
  return with_depth(node, {object, node->start, node->stop, node->step});
}

Arguments Parser::parse_arguments() {
  const Position at = stream_.expect_operator("(").at;
  const Open open(*this);
  Arguments out;
  const auto ensure = [&](bool ok) {
    if (!ok) fail_syntax(at, "invalid syntax for function call expression");
  };
  bool first = true;
  while (!at_operator(")")) {
    if (!first) {
      stream_.expect_operator(",");
      if (at_operator(")")) break;
    }
    first = false;
    if (stream_.skip_operator("*")) {
      ensure(out.star == nullptr && out.double_star == nullptr);
      out.star = parse_expression();
    } else if (stream_.skip_operator("**")) {
      ensure(out.double_star == nullptr);
      out.double_star = parse_expression();
    } else if (current().type == TokenType::kName && stream_.look().is_operator("=")) {
      ensure(out.double_star == nullptr);
      const Token name = stream_.next();
      stream_.next();
      for (const auto& [other, value] : out.named) {
        if (other == name.text) {
          fail_syntax(name.at, cat("keyword argument repeated: ", name.text), "SyntaxError");
        }
      }
      out.named.emplace_back(name.text, parse_expression());
    } else {
      ensure(out.star == nullptr && out.double_star == nullptr && out.named.empty());
      out.positional.push_back(parse_expression());
    }
  }
  stream_.expect_operator(")");
  return out;
}

CallExpr* Parser::parse_call(Expr* callee) {
  auto* node = tree_.make<CallExpr>(current().at);
  node->callee = callee;
  node->arguments = parse_arguments();
  add_depth(node, callee);
  add_depth(node, node->arguments);
  return node;
}

FilterExpr* Parser::parse_filter(Expr* operand, bool start_inline) {
  Expr* node = operand;
  FilterExpr* filter = nullptr;
  while (at_operator("|") || start_inline) {
    if (!start_inline) stream_.next();
    start_inline = false;
    const Token token = stream_.expect_type(TokenType::kName);
    filter = tree_.make<FilterExpr>(token.at);
    filter->operand = node;
    filter->name = token.text;
    while (stream_.skip_operator(".")) {
      filter->name += "." + stream_.expect_type(TokenType::kName).text;
    }
    if (at_operator("(")) filter->arguments = parse_arguments();
    add_depth(filter, filter->operand);
    add_depth(filter, filter->arguments);
    node = filter;
  }
  return filter;
}

Expr* Parser::parse_test(Expr* operand) {
  const Position at = stream_.next().at;
  const bool negated = stream_.skip_name("not");
  auto* node = tree_.make<TestExpr>(at);
  node->operand = operand;
  node->name = stream_.expect_type(TokenType::kName).text;
  while (stream_.skip_operator(".")) {
    node->name += "." + stream_.expect_type(TokenType::kName).text;
  }
  static const Names kEndsTest = {"else", "or", "and"};
  const bool value_follows =
      current().type == TokenType::kName || current().type == TokenType::kString ||
      current().type == TokenType::kInteger || current().type == TokenType::kFloat ||
      at_operator("[") || at_operator("{");
  if (at_operator("(")) {
    node->arguments = parse_arguments();
  } else if (value_follows && !at_any(kEndsTest)) {
    if (current().is_name("is")) {
      fail_syntax(current().at, "You cannot chain multiple tests with is");
    }
    node->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  add_depth(node, operand);
  add_depth(node, node->arguments);
  if (!negated) return node;
  auto* negation = tree_.make<UnaryExpr>(ExprKind::kNot, at);
  negation->operand = node;
  return with_depth(negation, {node});
}

Tree parse_template(std::string_view source) { return Parser(source).parse(); }

}  // namespace zhiyin::jinja
