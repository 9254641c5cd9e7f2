// The tree that the parser builds, the resolver completes and the interpreter walks. Nodes belong
// to their Tree and point to each other freely.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/chat_template/lexer.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/value.h"

namespace zhiyin::jinja {

struct FilterEntry;
struct TestEntry;

// Where a variable lives: so many functions outwards from the running one, then by index.
struct Slot {
  int hops = 0;
  int index = -1;
};

struct Node {
  explicit Node(Position position) : at(position) {}
  virtual ~Node() = default;
  Position at;
};

// --- expressions -----------------------------------------------------------------------------

enum class ExprKind : uint8_t {
  kConst,
  kName,
  kNamespaceRef,
  kList,
  kTuple,
  kDict,
  kBinary,
  kAnd,
  kOr,
  kNot,
  kNegate,
  kPositive,
  kCompare,
  kConcat,
  kCondition,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
};

struct Expr : Node {
  Expr(ExprKind expr_kind, Position position) : Node(position), kind(expr_kind) {}
  ExprKind kind;
  int depth = 1;  // of the tree below, bounded by the parser
};

struct Arguments {
  std::vector<Expr*> positional;
  std::vector<std::pair<std::string, Expr*>> named;
  Expr* star = nullptr;         // *args
  Expr* double_star = nullptr;  // **kwargs
};

struct ConstExpr : Expr {
  ConstExpr(Position position, Value constant)
      : Expr(ExprKind::kConst, position), value(std::move(constant)) {}
  Value value;
};

struct NameExpr : Expr {
  NameExpr(Position position, std::string text)
      : Expr(ExprKind::kName, position), name(std::move(text)) {}
  std::string name;
  bool store = false;  // a target of an assignment
  Slot slot;
};

struct NamespaceRefExpr : Expr {  // ns.attribute as a target
  NamespaceRefExpr(Position position, std::string text, std::string member)
      : Expr(ExprKind::kNamespaceRef, position),
        name(std::move(text)),
        attribute(std::move(member)) {}
  std::string name, attribute;
  Slot slot;
};

struct ItemsExpr : Expr {  // kList, kTuple, kConcat
  using Expr::Expr;
  std::vector<Expr*> items;
};

struct DictExpr : Expr {
  explicit DictExpr(Position position) : Expr(ExprKind::kDict, position) {}
  std::vector<std::pair<Expr*, Expr*>> items;
};

struct BinaryExpr : Expr {  // kBinary, kAnd, kOr
  using Expr::Expr;
  BinaryOp op = BinaryOp::kAdd;
  Expr* left = nullptr;
  Expr* right = nullptr;
};

struct UnaryExpr : Expr {  // kNot, kNegate, kPositive
  using Expr::Expr;
  Expr* operand = nullptr;
};

struct CompareExpr : Expr {
  explicit CompareExpr(Position position) : Expr(ExprKind::kCompare, position) {}
  Expr* first = nullptr;
  std::vector<std::pair<CompareOp, Expr*>> rest;
};

struct ConditionExpr : Expr {
  explicit ConditionExpr(Position position) : Expr(ExprKind::kCondition, position) {}
  Expr* test = nullptr;
  Expr* then = nullptr;
  Expr* otherwise = nullptr;  // nullptr: undefined
};

struct AttributeExpr : Expr {
  explicit AttributeExpr(Position position) : Expr(ExprKind::kAttribute, position) {}
  Expr* object = nullptr;
  std::string name;
};

struct ItemExpr : Expr {  // object[key]
  explicit ItemExpr(Position position) : Expr(ExprKind::kItem, position) {}
  Expr* object = nullptr;
  Expr* key = nullptr;
};

struct SliceExpr : Expr {  // object[start:stop:step]
  explicit SliceExpr(Position position) : Expr(ExprKind::kSlice, position) {}
  Expr* object = nullptr;
  Expr* start = nullptr;
  Expr* stop = nullptr;
  Expr* step = nullptr;
};

struct CallExpr : Expr {
  explicit CallExpr(Position position) : Expr(ExprKind::kCall, position) {}
  Expr* callee = nullptr;
  Arguments arguments;
};

struct FilterExpr : Expr {
  explicit FilterExpr(Position position) : Expr(ExprKind::kFilter, position) {}
  Expr* operand = nullptr;  // nullptr: the text of the filter or set block
  std::string name;
  Arguments arguments;
  const FilterEntry* filter = nullptr;  // nullptr: unknown, an error only when it runs
};

struct TestExpr : Expr {
  explicit TestExpr(Position position) : Expr(ExprKind::kTest, position) {}
  Expr* operand = nullptr;
  std::string name;
  Arguments arguments;
  const TestEntry* test = nullptr;
};

// --- statements ------------------------------------------------------------------------------

// What happens to variables when a scope is entered: each gets a value from the context or from
// an outer scope, or starts out unset.
struct ScopeLoad {
  enum class From : uint8_t { kContext, kOuter, kUnset } from = From::kUnset;
  int index = -1;    // in the running function
  std::string name;  // kContext
  Slot outer;        // kOuter
};

struct Scope {
  std::vector<ScopeLoad> loads;
  std::vector<int> variables;  // unset again when the scope is left
};

enum class StmtKind : uint8_t {
  kOutput,
  kIf,
  kFor,
  kMacro,
  kCallBlock,
  kGeneration,
  kAssign,
  kSetBlock,
  kFilterBlock,
  kWith,
  kAutoescape,
  kBlock,
  kLoader,
  kBreak,
  kContinue,
};

struct Stmt : Node {
  Stmt(StmtKind stmt_kind, Position position) : Node(position), kind(stmt_kind) {}
  StmtKind kind;
};

using Body = std::vector<Stmt*>;

struct OutputStmt : Stmt {
  explicit OutputStmt(Position position) : Stmt(StmtKind::kOutput, position) {}
  struct Part {
    std::string data;
    Expr* expr = nullptr;  // set: data is empty
  };
  std::vector<Part> parts;
};

struct IfStmt : Stmt {
  explicit IfStmt(Position position) : Stmt(StmtKind::kIf, position) {}
  std::vector<std::pair<Expr*, Body>> branches;  // if and every elif
  Body otherwise;
};

struct ForNode : Stmt {
  explicit ForNode(Position position) : Stmt(StmtKind::kFor, position) {}
  Expr* target = nullptr;
  Expr* iterable = nullptr;
  Expr* test = nullptr;
  Expr* test_target = nullptr;  // the target again, as variables of the function that filters
  bool recursive = false;
  Body body, otherwise;
  // From the resolver.
  int loop_variable = -1;  // slot of `loop`; -1: nobody looks at it
  Scope scope, else_scope, test_scope;
  int function_slots = 0;  // of a recursive loop, which is a function of its own
  int test_slots = 0;      // of the function that filters
};

// A macro, and the body of a call block or of {% generation %}.
struct MacroNode : Stmt {
  MacroNode(StmtKind stmt_kind, Position position) : Stmt(stmt_kind, position) {}
  std::string name;
  std::vector<NameExpr*> parameters;
  std::vector<Expr*> defaults;  // of the last parameters
  CallExpr* call = nullptr;     // of a call block
  Body body;
  // From the resolver.
  Slot slot;              // of the macro's name
  bool exported = false;  // a macro of the top level, which blocks see
  int slots = 0;
  int caller = -1, kwargs = -1, varargs = -1;  // slots of the special parameters, -1: not used
  bool explicit_caller = false;
  Scope scope;
};

struct AssignStmt : Stmt {
  explicit AssignStmt(Position position) : Stmt(StmtKind::kAssign, position) {}
  Expr* target = nullptr;
  Expr* value = nullptr;
  bool exported = false;
};

struct SetBlockStmt : Stmt {
  explicit SetBlockStmt(Position position) : Stmt(StmtKind::kSetBlock, position) {}
  Expr* target = nullptr;
  FilterExpr* filter = nullptr;
  Body body;
  bool exported = false;
  Scope scope;
};

struct FilterBlockStmt : Stmt {
  explicit FilterBlockStmt(Position position) : Stmt(StmtKind::kFilterBlock, position) {}
  FilterExpr* filter = nullptr;
  Body body;
  Scope scope;
};

struct WithStmt : Stmt {
  explicit WithStmt(Position position) : Stmt(StmtKind::kWith, position) {}
  std::vector<std::pair<Expr*, Expr*>> bindings;
  Body body;
  Scope scope;
};

struct AutoescapeStmt : Stmt {
  explicit AutoescapeStmt(Position position) : Stmt(StmtKind::kAutoescape, position) {}
  Expr* enabled = nullptr;
  Body body;
  Scope scope;
};

struct BlockStmt : Stmt {
  explicit BlockStmt(Position position) : Stmt(StmtKind::kBlock, position) {}
  std::string name;
  bool required = false;
  Body body;
  int slots = 0;
  Scope scope;
};

// include, import, from and extends: there is nothing to load from, so running one is an error.
struct LoaderStmt : Stmt {
  explicit LoaderStmt(Position position) : Stmt(StmtKind::kLoader, position) {}
  bool extends = false;
  Expr* source = nullptr;
  std::vector<NameExpr*> targets;
};

// --- the whole -------------------------------------------------------------------------------

class Tree {
 public:
  Tree() = default;
  Tree(Tree&&) = default;
  Tree& operator=(Tree&&) = default;

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    auto node = std::make_unique<T>(std::forward<Args>(args)...);
    T* raw = node.get();
    nodes_.push_back(std::move(node));
    return raw;
  }

  // A string that renders on several threads may share.
  Value constant(std::string text);

  Body body;
  Scope scope;
  int slots = 0;

 private:
  std::vector<std::unique_ptr<Object>> constants_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace zhiyin::jinja
