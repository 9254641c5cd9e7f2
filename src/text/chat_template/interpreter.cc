#include "text/chat_template/interpreter.h"

#include "text/chat_template/budget.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/interpreter_scopes.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {

Interpreter::Interpreter(const Tree& tree, const Dict& context, int64_t max_output)
    : tree_(tree), context_(context), max_output_(max_output) {}

Interpreter::~Interpreter() {
  // Values that hold each other in a circle are let go here.
  for (const Value& object : mutable_objects_) {
    if (object.is(Kind::kNamespace)) {
      object.as<Namespace>().attributes.clear();
    } else {
      auto& loop = object.as<Loop>();
      loop.iterator = Iterator();
      loop.iterable = loop.after = loop.current = loop.before = loop.changed = Value();
    }
  }
  for (const auto& frame : kept_frames_) {
    const std::vector<Value> slots = std::move(frame->slots);
    frame->slots.clear();
  }
}

std::string Interpreter::run() {
  try {
    const FrameScope frame(*this, nullptr, tree_.slots);
    enter(tree_.scope);
    run_body(tree_.body);
  } catch (const TemplateError& error) {
    if (error.line() > 0) throw;
    throw TemplateError(error.kind(), error.message(), at_.line, at_.column);
  }
  return std::move(output_);
}

void Interpreter::write(std::string_view text) {
  // The output has its own limit, and what macros and blocks buffer counts like any string.
  if (out_ == &output_) {
    if (text.size() > static_cast<size_t>(max_output_) - output_.size()) {
      raise("LimitError", "the template writes more than the ", max_output_,
            " bytes that a render may");
    }
  } else {
    spend_bytes(text.size());
  }
  *out_ += text;
}

void Interpreter::write_value(const Value& value) {
  if (value.is_string() && (!autoescape || value.is_markup())) {
    write(value.text());
  } else if (!value.is_undefined()) {
    write(autoescape ? escaped(value) : to_str(value));
  }
}

void Interpreter::enter(const Scope& scope) {
  for (const ScopeLoad& load : scope.loads) {
    Value& slot = frame_->slots[static_cast<size_t>(load.index)];
    switch (load.from) {
      case ScopeLoad::From::kContext:
        slot = lookup(load.name);
        break;
      case ScopeLoad::From::kOuter:
        slot = variable(load.outer);
        break;
      case ScopeLoad::From::kUnset:
        slot = Value();
        break;
    }
  }
}

void Interpreter::leave(const Scope& scope) {
  for (const int index : scope.variables) frame_->slots[static_cast<size_t>(index)] = Value();
}

Interpreter::Flow Interpreter::run_body(const Body& body) {
  for (const Stmt* stmt : body) {
    if (const Flow flow = run_stmt(stmt); flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_stmt(const Stmt* stmt) {
  const Deeper deeper(*this);
  spend_steps();
  at_ = stmt->at;
  switch (stmt->kind) {
    case StmtKind::kOutput:
      run_output(static_cast<const OutputStmt*>(stmt));
      return Flow::kNext;
    case StmtKind::kIf:
      return run_if(static_cast<const IfStmt*>(stmt));
    case StmtKind::kFor:
      return run_for(static_cast<const ForNode*>(stmt));
    case StmtKind::kMacro: {
      const auto* node = static_cast<const MacroNode*>(stmt);
      const Value macro = make_macro(node);
      variable(node->slot) = macro;
      if (node->exported) exported_.set(node->name, macro);
      return Flow::kNext;
    }
    case StmtKind::kCallBlock:
      run_call_block(static_cast<const MacroNode*>(stmt));
      return Flow::kNext;
    case StmtKind::kGeneration:
      run_generation(static_cast<const MacroNode*>(stmt));
      return Flow::kNext;
    case StmtKind::kAssign:
      run_assign(static_cast<const AssignStmt*>(stmt));
      return Flow::kNext;
    case StmtKind::kSetBlock:
      return run_set_block(static_cast<const SetBlockStmt*>(stmt));
    case StmtKind::kFilterBlock:
      return run_filter_block(static_cast<const FilterBlockStmt*>(stmt));
    case StmtKind::kWith:
      return run_with(static_cast<const WithStmt*>(stmt));
    case StmtKind::kAutoescape:
      return run_autoescape(static_cast<const AutoescapeStmt*>(stmt));
    case StmtKind::kBlock:
      run_block(static_cast<const BlockStmt*>(stmt));
      return Flow::kNext;
    case StmtKind::kLoader:
      eval(static_cast<const LoaderStmt*>(stmt)->source);
      raise("TypeError", "no loader for this environment specified");
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Interpreter::run_output(const OutputStmt* node) {
  for (const OutputStmt::Part& part : node->parts) {
    if (part.expr == nullptr) {
      write(part.data);
    } else {
      write_value(eval(part.expr));
    }
  }
}

Interpreter::Flow Interpreter::run_if(const IfStmt* node) {
  for (const auto& [test, body] : node->branches) {
    if (truthy(eval(test))) return run_body(body);
  }
  return run_body(node->otherwise);
}

// --- loops -----------------------------------------------------------------------------------

Interpreter::Flow Interpreter::run_for(const ForNode* node) {
  const Value iterable = eval(node->iterable);
  at_ = node->at;
  if (node->recursive) {
    write_value(run_recursive(node, frame_, iterable, 0));
    return Flow::kNext;
  }
  return run_loop(node, iterable, 0);
}

// One pass over the iterable in the running frame.
Interpreter::Flow Interpreter::run_loop(const ForNode* node, const Value& iterable, int64_t depth) {
  const Value source = node->test == nullptr ? iterable : filtered(node, iterable);
  Iterator plain;
  Value loop_value;
  Loop* loop = nullptr;
  if (node->loop_variable >= 0) {
    loop = new Loop;
    loop_value = Value::object(Kind::kLoop, loop);
    loop->iterable = source;
    loop->iterator = Iterator(source);
    loop->depth0 = depth;
    if (node->recursive) {
      loop->recursive = node;
      loop->closure = frame_->outer;
    }
  } else {
    plain = Iterator(source);
  }
  bool finished_one = false;
  for (Value item; loop != nullptr ? loop->next(item) : plain.next(item);) {
    assign(node->target, std::move(item));
    if (loop != nullptr) frame_->slots[static_cast<size_t>(node->loop_variable)] = loop_value;
    enter(node->scope);
    const Flow flow = run_body(node->body);
    if (flow == Flow::kBreak) break;
    // As in Python, where the mark that the loop ran is set after the body.
    if (flow == Flow::kNext) finished_one = true;
  }
  leave(node->scope);
  return finished_one || node->otherwise.empty() ? Flow::kNext : run_loop_else(node);
}

Interpreter::Flow Interpreter::run_loop_else(const ForNode* node) {
  enter(node->else_scope);
  const Flow flow = run_body(node->otherwise);
  leave(node->else_scope);
  return flow;
}

// for x in iterable if test: tested only when the loop asks for the next item.
Value Interpreter::filtered(const ForNode* node, const Value& iterable) {
  auto frame = std::make_unique<Frame>();
  frame->outer = frame_;
  frame->slots.resize(static_cast<size_t>(node->test_slots));
  Frame* inner = frame.get();
  kept_frames_.push_back(std::move(frame));
  frame_->captured = true;
  spend_bytes(sizeof(Frame) + inner->slots.size() * sizeof(Value));
  struct State {
    Iterator iterator;
    bool entered = false;
  };
  auto state = std::make_shared<State>();
  state->iterator = Iterator(iterable);
  return make_generator([this, node, inner, state](Value& item) {
    Frame* const running = frame_;
    const struct Restore {
      Frame*& current;
      Frame* saved;
      ~Restore() { current = saved; }
    } restore{frame_, running};
    frame_ = inner;
    if (!state->entered) enter(node->test_scope);
    state->entered = true;
    while (state->iterator.next(item)) {
      assign(node->test_target, item);
      if (truthy(eval(node->test))) return true;
    }
    return false;
  });
}

Value Interpreter::run_recursive(const ForNode* node, Frame* closure, const Value& iterable,
                                 int64_t depth) {
  const Deeper deeper(*this);
  closure->captured = true;
  Buffer buffer(*this);
  const FrameScope frame(*this, closure, node->function_slots);
  run_loop(node, iterable, depth);
  return Value::string(buffer.take(), autoescape);
}

// --- blocks of text --------------------------------------------------------------------------

void Interpreter::run_generation(const MacroNode* node) {
  const Value text = call_macro(make_macro(node).as<Macro>(), {});
  const size_t begin = output_.size();
  write(text.text());
  generation_spans_.push_back({begin, begin + text.text().size()});
}

void Interpreter::run_call_block(const MacroNode* node) {
  const Value caller = make_macro(node);
  write_value(eval_call(node->call, caller));
}

void Interpreter::run_assign(const AssignStmt* node) {
  // jinja2 checks the targets before it evaluates the value.
  const auto check = [this](const Expr* target, const auto& self) -> void {
    if (target->kind == ExprKind::kTuple) {
      for (const Expr* item : static_cast<const ItemsExpr*>(target)->items) self(item, self);
    } else if (target->kind == ExprKind::kNamespaceRef) {
      const auto* reference = static_cast<const NamespaceRefExpr*>(target);
      if (!variable(reference->slot).is(Kind::kNamespace)) {
        raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
      }
    }
  };
  check(node->target, check);
  assign(node->target, eval(node->value));
  if (node->exported) export_target(node->target);
}

void Interpreter::assign(const Expr* target, Value value) {
  if (target->kind == ExprKind::kName) {
    variable(static_cast<const NameExpr*>(target)->slot) = std::move(value);
    return;
  }
  if (target->kind == ExprKind::kNamespaceRef) {
    const auto* reference = static_cast<const NamespaceRefExpr*>(target);
    const Value& space = variable(reference->slot);
    if (!space.is(Kind::kNamespace)) {
      raise("TypeError", "'", type_name(space), "' object does not support item assignment");
    }
    space.as<Namespace>().attributes.set(reference->attribute, std::move(value));
    return;
  }
  const auto& targets = static_cast<const ItemsExpr*>(target)->items;
  if (!is_iterable(value)) {
    raise("TypeError", "cannot unpack non-iterable ", type_name(value), " object");
  }
  std::vector<Value> items;
  Iterator iterator(value);
  for (Value item; items.size() <= targets.size() && iterator.next(item);) items.push_back(item);
  if (items.size() > targets.size()) {
    raise("ValueError", "too many values to unpack (expected ", targets.size(), ")");
  }
  if (items.size() < targets.size()) {
    raise("ValueError", "not enough values to unpack (expected ", targets.size(), ", got ",
          items.size(), ")");
  }
  for (size_t i = 0; i < targets.size(); ++i) assign(targets[i], std::move(items[i]));
}

void Interpreter::export_target(const Expr* target) {
  if (target->kind == ExprKind::kName) {
    const auto* name = static_cast<const NameExpr*>(target);
    exported_.set(name->name, variable(name->slot));
  } else if (target->kind == ExprKind::kTuple) {
    for (const Expr* item : static_cast<const ItemsExpr*>(target)->items) export_target(item);
  }
}

Interpreter::Flow Interpreter::run_set_block(const SetBlockStmt* node) {
  enter(node->scope);
  Value text;
  {
    Buffer buffer(*this);
    if (const Flow flow = run_body(node->body); flow != Flow::kNext) return flow;
    text = Value::string(buffer.take(), autoescape);
  }
  if (node->filter != nullptr) {
    text = eval_filter(node->filter, &text);
    if (autoescape) text = Value::string(to_str(text), true);
  }
  assign(node->target, std::move(text));
  if (node->exported) export_target(node->target);
  leave(node->scope);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterBlockStmt* node) {
  enter(node->scope);
  Value text;
  {
    Buffer buffer(*this);
    if (const Flow flow = run_body(node->body); flow != Flow::kNext) return flow;
    text = Value::string(buffer.take(), autoescape);
  }
  write_value(eval_filter(node->filter, &text));
  leave(node->scope);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_with(const WithStmt* node) {
  enter(node->scope);
  for (const auto& [target, value] : node->bindings) assign(target, eval(value));
  const Flow flow = run_body(node->body);
  leave(node->scope);
  return flow;
}

Interpreter::Flow Interpreter::run_autoescape(const AutoescapeStmt* node) {
  enter(node->scope);
  const bool before = autoescape;
  autoescape = truthy(eval(node->enabled));
  const Flow flow = run_body(node->body);
  autoescape = before;
  leave(node->scope);
  return flow;
}

void Interpreter::run_block(const BlockStmt* node) {
  if (node->required) {
    raise("TemplateRuntimeError", "Required block ", repr_string(node->name), " not found");
  }
  const FrameScope frame(*this, nullptr, node->slots);
  enter(node->scope);
  run_body(node->body);
}

}  // namespace zhiyin::jinja
