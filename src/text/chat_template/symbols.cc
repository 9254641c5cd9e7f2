#include "text/chat_template/symbols.h"

#include <algorithm>

namespace zhiyin::jinja {

const Variable* Symbols::find(const std::string& name) const {
  const auto found = variables_.find(name);
  if (found != variables_.end()) return &found->second;
  return parent_ == nullptr ? nullptr : parent_->find(name);
}

Slot Symbols::slot(const Variable& variable) const {
  Slot slot{0, variable.index};
  for (const FunctionSlots* f = function_; f != variable.function; f = f->outer()) ++slot.hops;
  return slot;
}

void Symbols::set_load(const Variable& variable, Load load) {
  const auto known = std::find_if(loads_.begin(), loads_.end(),
                                  [&](const auto& entry) { return entry.first == variable; });
  if (known == loads_.end()) {
    loads_.emplace_back(variable, std::move(load));
  } else {
    known->second = std::move(load);
  }
}

Variable Symbols::define(const std::string& name, Load load) {
  const Variable variable{function_, function_->index(level_, name)};
  variables_[name] = variable;
  set_load(variable, std::move(load));
  return variable;
}

void Symbols::load(const std::string& name) {
  if (find(name) == nullptr) define(name, {Load::From::kContext, name, {}});
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (variables_.contains(name)) return;
  const Variable* outer = parent_ == nullptr ? nullptr : parent_->find(name);
  if (outer != nullptr) {
    define(name, {Load::From::kOuter, {}, *outer});
  } else {
    define(name, {Load::From::kUnset, {}, {}});
  }
}

Variable Symbols::declare_parameter(const std::string& name) {
  stores_.insert(name);
  return define(name, {Load::From::kParameter, {}, {}});
}

void Symbols::update_from_branches(const std::vector<Symbols>& branches) {
  std::set<std::string> assigned;
  for (const Symbols& branch : branches) {
    for (const std::string& name : branch.stores_) {
      if (!stores_.contains(name)) assigned.insert(name);
    }
  }
  for (const Symbols& branch : branches) {
    for (const auto& [name, variable] : branch.variables_) variables_[name] = variable;
    for (const auto& [variable, load] : branch.loads_) set_load(variable, load);
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  for (const std::string& name : assigned) {
    const Variable target = *find(name);
    const Variable* outer = parent_ == nullptr ? nullptr : parent_->find(name);
    if (outer != nullptr) {
      set_load(target, {Load::From::kOuter, {}, *outer});
    } else {
      set_load(target, {Load::From::kContext, name, {}});
    }
  }
}

void SymbolVisitor::visit(const Body& body) {
  for (Stmt* stmt : body) visit(stmt);
}

void SymbolVisitor::visit(Expr* expr) {
  for_each_expr(expr, [this](Expr* node) {
    if (node->kind == ExprKind::kName) {
      const auto* name = static_cast<NameExpr*>(node);
      if (name->store) {
        symbols_->store(name->name);
      } else {
        symbols_->load(name->name);
      }
    } else if (node->kind == ExprKind::kNamespaceRef) {
      symbols_->load(static_cast<NamespaceRefExpr*>(node)->name);
    }
  });
}

void SymbolVisitor::visit_parameters(Expr* target) {
  for_each_expr(target, [this](Expr* node) {
    if (node->kind == ExprKind::kName) {
      symbols_->declare_parameter(static_cast<NameExpr*>(node)->name);
    }
  });
}

void SymbolVisitor::visit(Stmt* stmt) {
  switch (stmt->kind) {
    case StmtKind::kOutput:
      for (auto& part : static_cast<OutputStmt*>(stmt)->parts) visit(part.expr);
      return;
    case StmtKind::kIf:
      return visit_if(static_cast<IfStmt*>(stmt));
    case StmtKind::kFor:
      return visit(static_cast<ForNode*>(stmt)->iterable);
    case StmtKind::kMacro:
      return symbols_->store(static_cast<MacroNode*>(stmt)->name);
    case StmtKind::kCallBlock:
      return visit(static_cast<MacroNode*>(stmt)->call);
    case StmtKind::kAssign:
      visit(static_cast<AssignStmt*>(stmt)->value);
      return visit(static_cast<AssignStmt*>(stmt)->target);
    case StmtKind::kSetBlock:
      return visit(static_cast<SetBlockStmt*>(stmt)->target);
    case StmtKind::kFilterBlock:
      return visit(static_cast<FilterBlockStmt*>(stmt)->filter);
    case StmtKind::kWith:
      for (auto& [target, value] : static_cast<WithStmt*>(stmt)->bindings) visit(value);
      return;
    case StmtKind::kLoader:
      visit(static_cast<LoaderStmt*>(stmt)->source);
      for (NameExpr* target : static_cast<LoaderStmt*>(stmt)->targets) visit(target);
      return;
    case StmtKind::kGeneration:
    case StmtKind::kAutoescape:
    case StmtKind::kBlock:
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      return;
  }
}

// The condition and body of one branch; what follows it counts as one alternative, as jinja2's
// elif nests. Python visits all elifs from the state before the first body.
void SymbolVisitor::visit_if(IfStmt* node) {
  visit(node->branches[0].first);
  Symbols* original = symbols_;
  std::vector<Symbols> branches;
  const auto branch = [&](const auto& visit_parts) {
    Symbols copy = *original;
    symbols_ = &copy;
    visit_parts();
    symbols_ = original;
    branches.push_back(std::move(copy));
  };
  branch([&] { visit(node->branches[0].second); });
  branch([&] {
    for (size_t i = 1; i < node->branches.size(); ++i) {
      visit(node->branches[i].first);
      Symbols* before = symbols_;
      Symbols copy = *before;
      symbols_ = &copy;
      visit(node->branches[i].second);
      symbols_ = before;
      before->update_from_branches({std::move(copy), *before, *before});
    }
  });
  branch([&] { visit(node->otherwise); });
  original->update_from_branches(branches);
}

void Undeclared::visit(Body& body) {
  for (Stmt* stmt : body) {
    if (stmt->kind == StmtKind::kBlock) continue;
    for_each_part(
        stmt,
        [this](Expr* expr) {
          for_each_expr(expr, [this](Expr* node) {
            if (node->kind != ExprKind::kName) return;
            const auto* name = static_cast<NameExpr*>(node);
            if (!name->store && names_.contains(name->name)) {
              found_.insert(name->name);
            } else {
              names_.erase(name->name);
            }
          });
        },
        [this](Body& inner) { visit(inner); });
  }
}

}  // namespace zhiyin::jinja
