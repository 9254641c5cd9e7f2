// Runs a resolved tree. One Interpreter is one render.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/chat_template/ast.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/runtime.h"

namespace zhiyin::jinja {

// The variables of one running function: the template, a block, a macro, a recursive loop, the
// filter of a loop. Whoever may outlive the call keeps the whole frame until the render ends.
struct Frame {
  Frame* outer = nullptr;
  std::vector<Value> slots;
  bool captured = false;
};

// A piece of the output that came from {% generation %}; byte offsets.
struct Span {
  size_t begin = 0, end = 0;
};

class Interpreter : public Runtime {
 public:
  // The context outlives the interpreter.
  Interpreter(const Tree& tree, const Dict& context, int64_t max_output);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Throws TemplateError with line and column.
  std::string run();
  const std::vector<Span>& generation_spans() const { return generation_spans_; }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  class Deeper;
  class FrameScope;
  class Buffer;

  // interpreter.cc: statements
  Flow run_body(const Body& body);
  Flow run_stmt(const Stmt* stmt);
  void run_output(const OutputStmt* node);
  Flow run_if(const IfStmt* node);
  Flow run_for(const ForNode* node);
  Flow run_loop(const ForNode* node, const Value& iterable, int64_t depth);
  Flow run_loop_else(const ForNode* node);
  Value filtered(const ForNode* node, const Value& iterable);
  Value run_recursive(const ForNode* node, Frame* closure, const Value& iterable, int64_t depth);
  void run_generation(const MacroNode* node);
  void run_call_block(const MacroNode* node);
  void run_assign(const AssignStmt* node);
  Flow run_set_block(const SetBlockStmt* node);
  Flow run_filter_block(const FilterBlockStmt* node);
  Flow run_with(const WithStmt* node);
  Flow run_autoescape(const AutoescapeStmt* node);
  void run_block(const BlockStmt* node);
  void enter(const Scope& scope);
  void leave(const Scope& scope);
  void assign(const Expr* target, Value value);
  void export_target(const Expr* target);
  void write(std::string_view text);
  void write_value(const Value& value);

  // interpreter_expressions.cc
  Value eval(const Expr* expr);
  Value eval_compare(const CompareExpr* node);
  Value eval_concat(const ItemsExpr* node);
  Value eval_condition(const ConditionExpr* node);
  Value eval_call(const CallExpr* node, const Value& caller);
  Value eval_filter(const FilterExpr* node, const Value* block_text);
  Value eval_test(const TestExpr* node);
  std::vector<Value> eval_items(const std::vector<Expr*>& items);
  CallArgs eval_arguments(const Arguments& arguments, const Value* first);
  Value call(const Value& callee, CallArgs args);
  Value make_macro(const MacroNode* node);
  Value call_macro(const Macro& macro, CallArgs args);
  void bind_macro(const MacroNode& node, const std::string& name, CallArgs& args);
  Value load(const NameExpr* name) const;
  Value& variable(Slot slot) const;
  Value lookup(const std::string& name) const;

  const Tree& tree_;
  const Dict& context_;
  Dict exported_;  // what the top level has set, for blocks
  int64_t max_output_;
  std::string output_;
  std::string* out_ = &output_;
  std::vector<Span> generation_spans_;
  Frame* frame_ = nullptr;
  std::vector<std::unique_ptr<Frame>> kept_frames_;
  Position at_;  // of the node that ran last, for errors
  int depth_ = 0;
};

}  // namespace zhiyin::jinja
