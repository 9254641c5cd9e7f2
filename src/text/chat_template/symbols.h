// Scopes at parse time (jinja2.idtracking): which names a scope reads and writes, and where each
// gets its first value. Helpers of the resolver.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "text/chat_template/ast.h"

namespace zhiyin::jinja {

// Children in the order of jinja2's fields; nullptr for absent ones.
template <typename Visit>
void for_each_argument(Arguments& arguments, const Visit& visit) {
  for (Expr* expr : arguments.positional) visit(expr);
  for (auto& [name, expr] : arguments.named) visit(expr);
  visit(arguments.star);
  visit(arguments.double_star);
}

template <typename Visit>
void for_each_child(Expr* expr, const Visit& visit) {
  switch (expr->kind) {
    case ExprKind::kConst:
    case ExprKind::kName:
    case ExprKind::kNamespaceRef:
      return;
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kConcat:
      for (Expr* item : static_cast<ItemsExpr*>(expr)->items) visit(item);
      return;
    case ExprKind::kDict:
      for (auto& [key, value] : static_cast<DictExpr*>(expr)->items) {
        visit(key);
        visit(value);
      }
      return;
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr:
      visit(static_cast<BinaryExpr*>(expr)->left);
      visit(static_cast<BinaryExpr*>(expr)->right);
      return;
    case ExprKind::kNot:
    case ExprKind::kNegate:
    case ExprKind::kPositive:
      visit(static_cast<UnaryExpr*>(expr)->operand);
      return;
    case ExprKind::kCompare:
      visit(static_cast<CompareExpr*>(expr)->first);
      for (auto& [op, operand] : static_cast<CompareExpr*>(expr)->rest) visit(operand);
      return;
    case ExprKind::kCondition: {
      auto* node = static_cast<ConditionExpr*>(expr);
      visit(node->test);
      visit(node->then);
      visit(node->otherwise);
      return;
    }
    case ExprKind::kAttribute:
      visit(static_cast<AttributeExpr*>(expr)->object);
      return;
    case ExprKind::kItem:
      visit(static_cast<ItemExpr*>(expr)->object);
      visit(static_cast<ItemExpr*>(expr)->key);
      return;
    case ExprKind::kSlice: {
      auto* node = static_cast<SliceExpr*>(expr);
      visit(node->object);
      visit(node->start);
      visit(node->stop);
      visit(node->step);
      return;
    }
    case ExprKind::kCall:
      visit(static_cast<CallExpr*>(expr)->callee);
      for_each_argument(static_cast<CallExpr*>(expr)->arguments, visit);
      return;
    case ExprKind::kFilter:
      visit(static_cast<FilterExpr*>(expr)->operand);
      for_each_argument(static_cast<FilterExpr*>(expr)->arguments, visit);
      return;
    case ExprKind::kTest:
      visit(static_cast<TestExpr*>(expr)->operand);
      for_each_argument(static_cast<TestExpr*>(expr)->arguments, visit);
      return;
  }
}

// The expressions of one statement and the bodies in it, in the order of jinja2's fields.
template <typename VisitExpr, typename VisitBody>
void for_each_part(Stmt* stmt, const VisitExpr& expr, const VisitBody& body) {
  switch (stmt->kind) {
    case StmtKind::kOutput:
      for (auto& part : static_cast<OutputStmt*>(stmt)->parts) expr(part.expr);
      return;
    case StmtKind::kIf: {
      auto* node = static_cast<IfStmt*>(stmt);
      for (auto& [test, branch] : node->branches) {
        expr(test);
        body(branch);
      }
      body(node->otherwise);
      return;
    }
    case StmtKind::kFor: {
      auto* node = static_cast<ForNode*>(stmt);
      expr(node->target);
      expr(node->iterable);
      body(node->body);
      body(node->otherwise);
      expr(node->test);
      return;
    }
    case StmtKind::kMacro:
    case StmtKind::kCallBlock:
    case StmtKind::kGeneration: {
      auto* node = static_cast<MacroNode*>(stmt);
      expr(node->call);
      for (NameExpr* parameter : node->parameters) expr(parameter);
      for (Expr* value : node->defaults) expr(value);
      body(node->body);
      return;
    }
    case StmtKind::kAssign:
      expr(static_cast<AssignStmt*>(stmt)->target);
      expr(static_cast<AssignStmt*>(stmt)->value);
      return;
    case StmtKind::kSetBlock:
      expr(static_cast<SetBlockStmt*>(stmt)->target);
      expr(static_cast<SetBlockStmt*>(stmt)->filter);
      body(static_cast<SetBlockStmt*>(stmt)->body);
      return;
    case StmtKind::kFilterBlock:
      body(static_cast<FilterBlockStmt*>(stmt)->body);
      expr(static_cast<FilterBlockStmt*>(stmt)->filter);
      return;
    case StmtKind::kWith: {
      auto* node = static_cast<WithStmt*>(stmt);
      for (auto& [target, value] : node->bindings) expr(target);
      for (auto& [target, value] : node->bindings) expr(value);
      body(node->body);
      return;
    }
    case StmtKind::kAutoescape:
      expr(static_cast<AutoescapeStmt*>(stmt)->enabled);
      body(static_cast<AutoescapeStmt*>(stmt)->body);
      return;
    case StmtKind::kBlock:
      body(static_cast<BlockStmt*>(stmt)->body);
      return;
    case StmtKind::kLoader:
      expr(static_cast<LoaderStmt*>(stmt)->source);
      return;
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      return;
  }
}

// Every statement below, parents first.
template <typename Visit>
void for_each_stmt(Body& body, const Visit& visit) {
  for (Stmt* stmt : body) {
    visit(stmt);
    for_each_part(stmt, [](Expr*) {}, [&](Body& inner) { for_each_stmt(inner, visit); });
  }
}

template <typename Visit>
void for_each_expr(Expr* expr, const Visit& visit) {
  if (expr == nullptr) return;
  visit(expr);
  for_each_child(expr, [&](Expr* child) { for_each_expr(child, visit); });
}

// Every expression of a statement and of those below it.
template <typename Visit>
void for_each_expr(Stmt* stmt, const Visit& visit) {
  for_each_part(
      stmt, [&](Expr* expr) { for_each_expr(expr, visit); },
      [&](Body& body) {
        for (Stmt* inner : body) for_each_expr(inner, visit);
      });
}

// The variables of one function of the generated code. Scopes of one level share a variable of
// one name, as they do in Python.
class FunctionSlots {
 public:
  explicit FunctionSlots(FunctionSlots* outer) : outer_(outer) {}
  FunctionSlots* outer() const { return outer_; }
  int count() const { return static_cast<int>(indices_.size()); }
  int index(int level, const std::string& name) {
    return indices_.emplace(std::pair(level, name), count()).first->second;
  }

 private:
  FunctionSlots* outer_;
  std::map<std::pair<int, std::string>, int> indices_;
};

struct Variable {
  FunctionSlots* function = nullptr;
  int index = -1;
  bool operator==(const Variable&) const = default;
};

// Where a variable gets its first value when its scope is entered.
struct Load {
  enum class From : uint8_t { kParameter, kContext, kOuter, kUnset } from = From::kUnset;
  std::string name;  // kContext
  Variable outer;    // kOuter
};

// jinja2.idtracking.Symbols
class Symbols {
 public:
  Symbols(Symbols* parent, FunctionSlots* function)
      : parent_(parent), function_(function), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

  FunctionSlots* function() const { return function_; }
  int level() const { return level_; }
  const std::vector<std::pair<Variable, Load>>& loads() const { return loads_; }

  const Variable* find(const std::string& name) const;
  // The variable as code of this scope reaches it.
  Slot slot(const Variable& variable) const;

  void load(const std::string& name);
  void store(const std::string& name);
  Variable declare_parameter(const std::string& name);
  // What the branches of a condition assign may or may not be set afterwards.
  void update_from_branches(const std::vector<Symbols>& branches);

 private:
  Variable define(const std::string& name, Load load);
  void set_load(const Variable& variable, Load load);

  Symbols* parent_;
  FunctionSlots* function_;
  int level_;
  std::map<std::string, Variable> variables_;
  std::vector<std::pair<Variable, Load>> loads_;
  std::set<std::string> stores_;
};

// Notes what the statements of one scope load and store; scopes inside are left out.
class SymbolVisitor {
 public:
  explicit SymbolVisitor(Symbols& symbols) : symbols_(&symbols) {}
  void visit(const Body& body);
  void visit(Expr* expr);
  void visit_parameters(Expr* target);

 private:
  void visit(Stmt* stmt);
  void visit_if(IfStmt* node);

  Symbols* symbols_;
};

// Which of these names a body reads before it stores them.
class Undeclared {
 public:
  explicit Undeclared(std::set<std::string> names) : names_(std::move(names)) {}
  void visit(Body& body);
  bool contains(const std::string& name) const { return found_.contains(name); }

 private:
  std::set<std::string> names_, found_;
};

}  // namespace zhiyin::jinja
