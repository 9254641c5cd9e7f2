#include "text/chat_template/resolver.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "text/chat_template/filters.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/symbols.h"
#include "text/chat_template/tests.h"

namespace zhiyin::jinja {
namespace {

// A scope while it is being resolved (jinja2.compiler.Frame).
struct ScopeFrame {
  Symbols* symbols = nullptr;
  bool toplevel = false;
  bool soft = false;     // in an if: unknown filters fail only when they run
  bool in_loop = false;  // break and continue have a loop to end
};

class Resolver {
 public:
  explicit Resolver(Tree& tree) : tree_(tree) {}

  void run() {
    for_each_stmt(tree_.body, [this](Stmt* stmt) {
      if (stmt->kind == StmtKind::kBlock) collect_block(static_cast<BlockStmt*>(stmt));
    });
    FunctionSlots* function = new_function(nullptr);
    ScopeFrame frame{new_symbols(nullptr, function)};
    frame.toplevel = true;
    SymbolVisitor(*frame.symbols).visit(tree_.body);
    tree_.scope = scope_of(*frame.symbols);
    resolve_body(tree_.body, frame);
    tree_.slots = function->count();
    for (BlockStmt* block : blocks_) resolve_block(block);
  }

 private:
  void collect_block(BlockStmt* block) {
    for (const BlockStmt* other : blocks_) {
      if (other->name == block->name) {
        fail_syntax(block->at, cat("block ", repr_string(block->name), " defined twice"),
                    "TemplateAssertionError");
      }
    }
    blocks_.push_back(block);
  }

  FunctionSlots* new_function(FunctionSlots* outer) { return &functions_.emplace_back(outer); }
  Symbols* new_symbols(Symbols* parent, FunctionSlots* function) {
    return &symbols_.emplace_back(parent, function);
  }
  ScopeFrame inner(const ScopeFrame& frame, FunctionSlots* function = nullptr) {
    ScopeFrame out{new_symbols(frame.symbols, function ? function : frame.symbols->function())};
    out.in_loop = function == nullptr && frame.in_loop;
    return out;
  }

  static Slot slot_of(const std::string& name, const ScopeFrame& frame) {
    return frame.symbols->slot(*frame.symbols->find(name));
  }

  static Scope scope_of(const Symbols& symbols) {
    Scope scope;
    for (const auto& [variable, load] : symbols.loads()) {
      scope.variables.push_back(variable.index);
      switch (load.from) {
        case Load::From::kParameter:
          break;
        case Load::From::kContext:
          scope.loads.push_back({ScopeLoad::From::kContext, variable.index, load.name, {}});
          break;
        case Load::From::kOuter:
          scope.loads.push_back(
              {ScopeLoad::From::kOuter, variable.index, {}, symbols.slot(load.outer)});
          break;
        case Load::From::kUnset:
          scope.loads.push_back({ScopeLoad::From::kUnset, variable.index, {}, {}});
          break;
      }
    }
    return scope;
  }

  // --- statements ----------------------------------------------------------------------------

  void resolve_body(const Body& body, const ScopeFrame& frame) {
    for (Stmt* stmt : body) resolve_stmt(stmt, frame);
  }

  // The body of a block with a filter, in a scope of its own, which is returned.
  template <typename Block>
  ScopeFrame resolve_filtered_body(Block* block, const ScopeFrame& frame) {
    const ScopeFrame scope = inner(frame);
    SymbolVisitor visitor(*scope.symbols);
    visitor.visit(block->body);
    visitor.visit(block->filter);
    block->scope = scope_of(*scope.symbols);
    resolve_body(block->body, scope);
    return scope;
  }

  void resolve_stmt(Stmt* stmt, const ScopeFrame& frame) {
    switch (stmt->kind) {
      case StmtKind::kOutput:
        for (auto& part : static_cast<OutputStmt*>(stmt)->parts) resolve_expr(part.expr, frame);
        return;
      case StmtKind::kIf:
        return resolve_if(static_cast<IfStmt*>(stmt), frame);
      case StmtKind::kFor:
        return resolve_for(static_cast<ForNode*>(stmt), frame);
      case StmtKind::kMacro: {
        auto* macro = static_cast<MacroNode*>(stmt);
        resolve_macro(macro, frame);
        macro->slot = slot_of(macro->name, frame);
        macro->exported = exports(frame);
        return;
      }
      case StmtKind::kCallBlock:
      case StmtKind::kGeneration: {
        auto* block = static_cast<MacroNode*>(stmt);
        resolve_macro(block, frame);
        resolve_expr(block->call, frame);
        return;
      }
      case StmtKind::kAssign: {
        auto* assign = static_cast<AssignStmt*>(stmt);
        resolve_expr(assign->target, frame);
        resolve_expr(assign->value, frame);
        assign->exported = exports(frame);
        return;
      }
      case StmtKind::kSetBlock: {
        auto* block = static_cast<SetBlockStmt*>(stmt);
        const ScopeFrame scope = resolve_filtered_body(block, frame);
        resolve_expr(block->target, frame);
        resolve_expr(block->filter, scope);
        block->exported = exports(frame);
        return;
      }
      case StmtKind::kFilterBlock: {
        auto* block = static_cast<FilterBlockStmt*>(stmt);
        resolve_expr(block->filter, resolve_filtered_body(block, frame));
        return;
      }
      case StmtKind::kWith:
        return resolve_with(static_cast<WithStmt*>(stmt), frame);
      case StmtKind::kAutoescape: {
        auto* block = static_cast<AutoescapeStmt*>(stmt);
        const ScopeFrame scope = inner(frame);
        SymbolVisitor visitor(*scope.symbols);
        visitor.visit(block->enabled);
        visitor.visit(block->body);
        block->scope = scope_of(*scope.symbols);
        resolve_expr(block->enabled, scope);
        resolve_body(block->body, scope);
        return;
      }
      case StmtKind::kBlock:
        return;  // a function of its own: resolve_block
      case StmtKind::kLoader: {
        auto* loader = static_cast<LoaderStmt*>(stmt);
        if (loader->extends && !frame.toplevel) {
          fail_syntax(loader->at, "cannot use extend from a non top-level scope",
                      "TemplateAssertionError");
        }
        resolve_expr(loader->source, frame);
        return;
      }
      case StmtKind::kBreak:
        if (!frame.in_loop) fail_syntax(stmt->at, "'break' outside loop", "SyntaxError");
        return;
      case StmtKind::kContinue:
        if (!frame.in_loop) fail_syntax(stmt->at, "'continue' not properly in loop", "SyntaxError");
        return;
    }
  }

  // Whether blocks get to see what is set here.
  bool exports(const ScopeFrame& frame) const { return frame.toplevel && !blocks_.empty(); }

  void resolve_if(IfStmt* node, const ScopeFrame& frame) {
    ScopeFrame soft = frame;
    soft.soft = true;
    for (auto& [test, body] : node->branches) {
      resolve_expr(test, soft);
      resolve_body(body, soft);
    }
    resolve_body(node->otherwise, soft);
  }

  void resolve_for(ForNode* node, const ScopeFrame& frame) {
    FunctionSlots* outer = frame.symbols->function();
    FunctionSlots* function = node->recursive ? new_function(outer) : nullptr;
    ScopeFrame loop = inner(frame, function), otherwise = inner(frame, function);
    loop.in_loop = true;
    Undeclared undeclared({"loop"});
    undeclared.visit(node->body);
    if (node->recursive || undeclared.contains("loop")) {
      node->loop_variable = loop.symbols->declare_parameter("loop").index;
    }
    SymbolVisitor visitor(*loop.symbols);
    visitor.visit_parameters(node->target);
    visitor.visit(node->body);
    SymbolVisitor(*otherwise.symbols).visit(node->otherwise);
    if (node->test != nullptr) resolve_loop_test(node, frame);
    forbid_loop_targets(node);
    resolve_expr(node->target, loop);
    resolve_expr(node->iterable, frame);
    node->scope = scope_of(*loop.symbols);
    node->else_scope = scope_of(*otherwise.symbols);
    resolve_body(node->body, loop);
    resolve_body(node->otherwise, otherwise);
    if (function != nullptr) node->function_slots = function->count();
  }

  void resolve_loop_test(ForNode* node, const ScopeFrame& frame) {
    FunctionSlots* function = new_function(frame.symbols->function());
    const ScopeFrame scope = inner(frame, function);
    SymbolVisitor visitor(*scope.symbols);
    visitor.visit_parameters(node->target);
    visitor.visit(node->test);
    node->test_scope = scope_of(*scope.symbols);
    node->test_target = copy_target(node->target);
    resolve_expr(node->test_target, scope);
    resolve_expr(node->test, scope);
    node->test_slots = function->count();
  }

  Expr* copy_target(const Expr* target) {
    if (target->kind == ExprKind::kTuple) {
      auto* copy = tree_.make<ItemsExpr>(ExprKind::kTuple, target->at);
      for (const Expr* item : static_cast<const ItemsExpr*>(target)->items) {
        copy->items.push_back(copy_target(item));
      }
      return copy;
    }
    auto* copy = tree_.make<NameExpr>(target->at, static_cast<const NameExpr*>(target)->name);
    copy->store = true;
    return copy;
  }

  static void forbid_loop_targets(ForNode* node) {
    const auto check = [](Expr* expr) {
      if (expr->kind != ExprKind::kName) return;
      const auto* name = static_cast<NameExpr*>(expr);
      if (name->store && name->name == "loop") {
        fail_syntax(expr->at, "Can't assign to special loop variable in for-loop target",
                    "TemplateAssertionError");
      }
    };
    for_each_expr(static_cast<Stmt*>(node), check);
  }

  void resolve_macro(MacroNode* node, const ScopeFrame& frame) {
    FunctionSlots* function = new_function(frame.symbols->function());
    const ScopeFrame scope = inner(frame, function);
    Symbols& symbols = *scope.symbols;
    SymbolVisitor visitor(symbols);
    for (NameExpr* parameter : node->parameters) visitor.visit_parameters(parameter);
    for (Expr* expr : node->defaults) visitor.visit(expr);
    visitor.visit(node->body);
    Undeclared special({"caller", "kwargs", "varargs"});
    special.visit(node->body);
    std::set<std::string> names;
    for (const NameExpr* parameter : node->parameters) {
      if (!names.insert(parameter->name).second) {
        fail_syntax(parameter->at,
                    cat("duplicate argument 'l_", symbols.level(), "_", parameter->name,
                        "' in function definition"),
                    "SyntaxError");
      }
    }
    node->explicit_caller = names.contains("caller");
    if (special.contains("caller")) {
      if (!node->explicit_caller) {
        node->caller = symbols.declare_parameter("caller").index;
      } else if (!has_default(*node, "caller")) {
        fail_syntax(node->at,
                    "When defining macros or call blocks the special \"caller\" argument must be"
                    " omitted or be given a default.",
                    "TemplateAssertionError");
      }
    }
    if (special.contains("kwargs") && !names.contains("kwargs")) {
      node->kwargs = symbols.declare_parameter("kwargs").index;
    }
    if (special.contains("varargs") && !names.contains("varargs")) {
      node->varargs = symbols.declare_parameter("varargs").index;
    }
    node->scope = scope_of(symbols);
    for (NameExpr* parameter : node->parameters) resolve_expr(parameter, scope);
    for (Expr* expr : node->defaults) resolve_expr(expr, scope);
    resolve_body(node->body, scope);
    node->slots = function->count();
  }

  static bool has_default(const MacroNode& node, std::string_view name) {
    for (size_t i = 0; i < node.parameters.size(); ++i) {
      if (node.parameters[i]->name == name) {
        return i + node.defaults.size() >= node.parameters.size();
      }
    }
    return false;
  }

  void resolve_with(WithStmt* node, const ScopeFrame& frame) {
    const ScopeFrame scope = inner(frame);
    SymbolVisitor visitor(*scope.symbols);
    for (auto& [target, value] : node->bindings) visitor.visit_parameters(target);
    visitor.visit(node->body);
    node->scope = scope_of(*scope.symbols);
    for (auto& [target, value] : node->bindings) {
      resolve_expr(target, scope);
      resolve_expr(value, frame);
    }
    resolve_body(node->body, scope);
  }

  void resolve_block(BlockStmt* block) {
    FunctionSlots* function = new_function(nullptr);
    const ScopeFrame frame{new_symbols(nullptr, function)};
    SymbolVisitor(*frame.symbols).visit(block->body);
    block->scope = scope_of(*frame.symbols);
    resolve_body(block->body, frame);
    block->slots = function->count();
  }

  // --- expressions ---------------------------------------------------------------------------

  void resolve_expr(Expr* expr, const ScopeFrame& frame) {
    if (expr == nullptr) return;
    switch (expr->kind) {
      case ExprKind::kName: {
        auto* name = static_cast<NameExpr*>(expr);
        name->slot = slot_of(name->name, frame);
        return;
      }
      case ExprKind::kNamespaceRef: {
        auto* reference = static_cast<NamespaceRefExpr*>(expr);
        reference->slot = slot_of(reference->name, frame);
        return;
      }
      case ExprKind::kFilter: {
        auto* filter = static_cast<FilterExpr*>(expr);
        filter->filter = find_filter(filter->name);
        if (filter->filter == nullptr) check_known("filter", filter->name, expr->at, frame);
        break;
      }
      case ExprKind::kTest: {
        auto* test = static_cast<TestExpr*>(expr);
        test->test = find_test(test->name);
        if (test->test == nullptr) check_known("test", test->name, expr->at, frame);
        break;
      }
      case ExprKind::kCondition: {
        ScopeFrame soft = frame;
        soft.soft = true;
        for_each_child(expr, [&](Expr* child) { resolve_expr(child, soft); });
        return;
      }
      default:
        break;
    }
    for_each_child(expr, [&](Expr* child) { resolve_expr(child, frame); });
  }

  static void check_known(std::string_view what, const std::string& name, Position at,
                          const ScopeFrame& frame) {
    if (frame.soft) return;
    fail_syntax(at, cat("No ", what, " named ", repr_string(name), "."), "TemplateAssertionError");
  }

  Tree& tree_;
  std::vector<BlockStmt*> blocks_;
  std::deque<FunctionSlots> functions_;
  std::deque<Symbols> symbols_;
};

}  // namespace

void resolve(Tree& tree) { Resolver(tree).run(); }

}  // namespace zhiyin::jinja
