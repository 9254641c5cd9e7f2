#include <algorithm>

#include "text/chat_template/filters.h"
#include "text/chat_template/globals.h"
#include "text/chat_template/interpreter_scopes.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/tests.h"

namespace zhiyin::jinja {

// A name of the context: what blocks see of the top level, the caller's variables, the globals.
Value Interpreter::lookup(const std::string& name) const {
  if (const Value* found = exported_.find(name)) return *found;
  if (const Value* found = context_.find(name)) return *found;
  return find_global(name);
}

Value& Interpreter::variable(Slot slot) const {
  Frame* frame = frame_;
  for (int i = 0; i < slot.hops; ++i) frame = frame->outer;
  return frame->slots[static_cast<size_t>(slot.index)];
}

Value Interpreter::load(const NameExpr* name) const {
  const Value& value = variable(name->slot);
  return value.is_missing() ? undefined_variable(name->name) : value;
}

// at_ is set again after the operands: it names the operation that fails, not its last operand.
Value Interpreter::eval(const Expr* expr) {
  spend_steps();
  if (expr->kind == ExprKind::kConst) return static_cast<const ConstExpr*>(expr)->value;
  if (expr->kind == ExprKind::kName) return load(static_cast<const NameExpr*>(expr));
  const Deeper deeper(*this);
  switch (expr->kind) {
    case ExprKind::kList:
      return Value::list(eval_items(static_cast<const ItemsExpr*>(expr)->items));
    case ExprKind::kTuple:
      return Value::tuple(eval_items(static_cast<const ItemsExpr*>(expr)->items));
    case ExprKind::kDict: {
      auto* dict = new Dict;
      Value out = Value::object(Kind::kDict, dict);
      for (const auto& [key, value] : static_cast<const DictExpr*>(expr)->items) {
        Value evaluated_key = eval(key);
        Value evaluated_value = eval(value);
        at_ = expr->at;
        dict->set(std::move(evaluated_key), std::move(evaluated_value));
      }
      return out;
    }
    case ExprKind::kBinary: {
      const auto* node = static_cast<const BinaryExpr*>(expr);
      const Value left = eval(node->left);
      const Value right = eval(node->right);
      at_ = expr->at;
      return binary(node->op, left, right);
    }
    case ExprKind::kAnd: {
      const auto* node = static_cast<const BinaryExpr*>(expr);
      Value left = eval(node->left);
      return truthy(left) ? eval(node->right) : left;
    }
    case ExprKind::kOr: {
      const auto* node = static_cast<const BinaryExpr*>(expr);
      Value left = eval(node->left);
      return truthy(left) ? left : eval(node->right);
    }
    case ExprKind::kNot:
      return Value::boolean(!truthy(eval(static_cast<const UnaryExpr*>(expr)->operand)));
    case ExprKind::kNegate:
    case ExprKind::kPositive: {
      const Value operand = eval(static_cast<const UnaryExpr*>(expr)->operand);
      at_ = expr->at;
      return expr->kind == ExprKind::kNegate ? negate(operand) : positive(operand);
    }
    case ExprKind::kCompare:
      return eval_compare(static_cast<const CompareExpr*>(expr));
    case ExprKind::kConcat:
      return eval_concat(static_cast<const ItemsExpr*>(expr));
    case ExprKind::kCondition:
      return eval_condition(static_cast<const ConditionExpr*>(expr));
    case ExprKind::kAttribute: {
      const auto* node = static_cast<const AttributeExpr*>(expr);
      const Value object = eval(node->object);
      at_ = expr->at;
      return get_attribute(object, node->name);
    }
    case ExprKind::kItem: {
      const auto* node = static_cast<const ItemExpr*>(expr);
      const Value object = eval(node->object);
      const Value key = eval(node->key);
      at_ = expr->at;
      return get_item(object, key);
    }
    case ExprKind::kSlice: {
      const auto* node = static_cast<const SliceExpr*>(expr);
      const auto part = [this](const Expr* bound) {
        return bound == nullptr ? Value::none() : eval(bound);
      };
      const Value object = eval(node->object);
      const Value start = part(node->start), stop = part(node->stop), step = part(node->step);
      at_ = expr->at;
      return get_slice(object, start, stop, step);
    }
    case ExprKind::kCall:
      return eval_call(static_cast<const CallExpr*>(expr), Value());
    case ExprKind::kFilter:
      return eval_filter(static_cast<const FilterExpr*>(expr), nullptr);
    case ExprKind::kTest:
      return eval_test(static_cast<const TestExpr*>(expr));
    default:
      return {};
  }
}

std::vector<Value> Interpreter::eval_items(const std::vector<Expr*>& items) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const Expr* item : items) values.push_back(eval(item));
  return values;
}

Value Interpreter::eval_compare(const CompareExpr* node) {
  Value left = eval(node->first);
  for (const auto& [op, operand] : node->rest) {
    Value right = eval(operand);
    at_ = node->at;
    if (!compare(op, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_concat(const ItemsExpr* node) {
  const std::vector<Value> items = eval_items(node->items);
  at_ = node->at;
  const bool markup = autoescape && std::any_of(items.begin(), items.end(),
                                                [](const Value& item) { return item.is_markup(); });
  std::string out;
  for (const Value& item : items) {
    if (markup) {
      out += escaped(item);
    } else {
      append_str(out, item);
    }
  }
  return Value::string(std::move(out), markup);
}

Value Interpreter::eval_condition(const ConditionExpr* node) {
  if (truthy(eval(node->test))) return eval(node->then);
  if (node->otherwise != nullptr) return eval(node->otherwise);
  return make_undefined(cat("the inline if-expression on line ", node->at.line,
                            " evaluated to false and no else section was defined."));
}

CallArgs Interpreter::eval_arguments(const Arguments& arguments, const Value* first) {
  CallArgs args;
  args.positional.reserve(arguments.positional.size() + (first == nullptr ? 0 : 1));
  if (first != nullptr) args.positional.push_back(*first);
  for (const Expr* expr : arguments.positional) args.positional.push_back(eval(expr));
  // Python evaluates *args before the keywords that stand left of it.
  if (arguments.star != nullptr) {
    const Value star = eval(arguments.star);
    at_ = arguments.star->at;
    if (!is_iterable(star)) {
      raise("TypeError", "Value after * must be an iterable, not ", type_name(star));
    }
    for (Value& item : to_vector(star)) args.positional.push_back(std::move(item));
  }
  for (const auto& [name, expr] : arguments.named) args.named.emplace_back(name, eval(expr));
  if (arguments.double_star == nullptr) return args;
  const Value mapping = eval(arguments.double_star);
  at_ = arguments.double_star->at;
  static constexpr std::string_view kCall = "jinja2.sandbox.SandboxedEnvironment.call() ";
  if (!mapping.is(Kind::kDict)) {
    raise("TypeError", kCall, "argument after ** must be a mapping, not ", type_name(mapping));
  }
  for (const auto& [key, value] : mapping.as<Dict>().items()) {
    if (!key.is_string()) raise("TypeError", "keywords must be strings");
    for (const auto& [name, other] : args.named) {
      if (name == key.text()) {
        raise("TypeError", kCall, "got multiple values for keyword argument ", repr_string(name));
      }
    }
    args.named.emplace_back(key.text(), value);
  }
  return args;
}

Value Interpreter::eval_call(const CallExpr* node, const Value& caller) {
  const Value callee = eval(node->callee);
  CallArgs args = eval_arguments(node->arguments, nullptr);
  if (!caller.is_missing()) args.named.emplace_back("caller", caller);
  at_ = node->at;
  return call(callee, std::move(args));
}

Value Interpreter::eval_filter(const FilterExpr* node, const Value* block_text) {
  const Value operand = node->operand == nullptr ? *block_text
                        : node->operand->kind == ExprKind::kFilter
                            ? eval_filter(static_cast<const FilterExpr*>(node->operand), block_text)
                            : eval(node->operand);
  CallArgs args = eval_arguments(node->arguments, &operand);
  at_ = node->at;
  if (node->filter == nullptr) {
    raise("TemplateRuntimeError", "No filter named ", repr_string(node->name), " found.");
  }
  return apply_filter(*this, *node->filter, std::move(args));
}

Value Interpreter::eval_test(const TestExpr* node) {
  const Value operand = eval(node->operand);
  CallArgs args = eval_arguments(node->arguments, &operand);
  at_ = node->at;
  if (node->test == nullptr) {
    raise("TemplateRuntimeError", "No test named ", repr_string(node->name), " found.");
  }
  return Value::boolean(apply_test(*node->test, std::move(args)));
}

// --- calls -----------------------------------------------------------------------------------

Value Interpreter::call(const Value& callee, CallArgs args) {
  switch (callee.kind()) {
    case Kind::kUndefined:
      fail_undefined(callee);
    case Kind::kFunction:
      return call_function(*this, callee.as<Function>(), std::move(args));
    case Kind::kMacro:
      return call_macro(callee.as<Macro>(), std::move(args));
    case Kind::kJoiner: {
      auto& joiner = callee.as<Joiner>();
      if (joiner.used) return joiner.separator;
      joiner.used = true;
      return Value::string("");
    }
    case Kind::kLoop: {
      auto& loop = callee.as<Loop>();
      if (args.positional.size() != 1 || !args.named.empty()) {
        raise("TypeError", "LoopContext.__call__() takes 2 positional arguments but ",
              args.positional.size() + 1, " were given");
      }
      if (loop.recursive == nullptr) {
        raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.");
      }
      return run_recursive(loop.recursive, loop.closure, args.positional[0], loop.depth0 + 1);
    }
    default:
      raise("TypeError", "'", type_name(callee), "' object is not callable");
  }
}

Value Interpreter::make_macro(const MacroNode* node) {
  auto* macro = new Macro;
  Value out = Value::object(Kind::kMacro, macro);
  macro->name = node->name;
  macro->definition = node;
  macro->closure = frame_;
  frame_->captured = true;
  return out;
}

Value Interpreter::call_macro(const Macro& macro, CallArgs args) {
  const Deeper deeper(*this);
  const MacroNode& node = *macro.definition;
  Buffer buffer(*this);
  const FrameScope frame(*this, macro.closure, node.slots);
  bind_macro(node, macro.name, args);
  enter(node.scope);
  for (size_t i = 0; i < node.parameters.size(); ++i) {
    const NameExpr* parameter = node.parameters[i];
    if (!variable(parameter->slot).is_missing()) continue;
    const size_t without_default = node.parameters.size() - node.defaults.size();
    Value value =
        i >= without_default
            ? eval(node.defaults[i - without_default])
            : make_undefined(cat("parameter ", repr_string(parameter->name), " was not provided"));
    variable(parameter->slot) = std::move(value);
  }
  run_body(node.body);
  return Value::string(buffer.take(), autoescape);
}

// jinja2.runtime.Macro.__call__: positional, then keyword arguments, then the special ones.
void Interpreter::bind_macro(const MacroNode& node, const std::string& name, CallArgs& args) {
  const std::string shown = name.empty() ? "None" : repr_string(name);
  const size_t count = node.parameters.size();
  const auto slot = [this](int index) -> Value& {
    return frame_->slots[static_cast<size_t>(index)];
  };
  const auto take = [&args](std::string_view keyword) -> Value {
    const auto found = std::find_if(args.named.begin(), args.named.end(),
                                    [&](const auto& entry) { return entry.first == keyword; });
    if (found == args.named.end()) return {};
    Value value = std::move(found->second);
    args.named.erase(found);
    return value;
  };
  bool found_caller = args.positional.size() >= count && node.explicit_caller;
  for (size_t i = 0; i < count; ++i) {
    const NameExpr* parameter = node.parameters[i];
    if (i < args.positional.size()) {
      variable(parameter->slot) = args.positional[i];
    } else {
      variable(parameter->slot) = take(parameter->name);
      if (parameter->name == "caller") found_caller = true;
    }
  }
  if (node.caller >= 0 && !found_caller) {
    Value caller = take("caller");
    slot(node.caller) = caller.is_missing() || caller.is_none()
                            ? make_undefined("No caller defined")
                            : std::move(caller);
  }
  if (node.kwargs >= 0) {
    auto* rest = new Dict;
    slot(node.kwargs) = Value::object(Kind::kDict, rest);
    for (auto& [keyword, value] : args.named) rest->set(keyword, std::move(value));
  } else if (!args.named.empty()) {
    const bool caller = std::any_of(args.named.begin(), args.named.end(),
                                    [](const auto& entry) { return entry.first == "caller"; });
    if (caller) {
      raise("TypeError", "macro ", shown,
            " was invoked with two values for the special caller argument. This is most likely a"
            " bug.");
    }
    raise("TypeError", "macro ", shown, " takes no keyword argument ",
          repr_string(args.named[0].first));
  }
  if (node.varargs >= 0) {
    const size_t used = std::min(count, args.positional.size());
    slot(node.varargs) = Value::tuple(
        {args.positional.begin() + static_cast<std::ptrdiff_t>(used), args.positional.end()});
  } else if (args.positional.size() > count) {
    raise("TypeError", "macro ", shown, " takes not more than ", count, " argument(s)");
  }
}

}  // namespace zhiyin::jinja
