#include "text/chat_template/globals.h"

#include "text/chat_template/budget.h"
#include "text/chat_template/call_args.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/runtime.h"
#include "text/chat_template/strftime.h"

namespace zhiyin::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // of jinja2's sandbox

Value call_range(Runtime&, const Value&, CallArgs& args) {
  if (!args.named.empty()) raise("TypeError", "range() takes no keyword arguments");
  const size_t given = args.positional.size();
  if (given < 1 || given > 3) {
    raise("TypeError", "range expected at ", given < 1 ? "least 1 argument" : "most 3 arguments",
          ", got ", given);
  }
  int64_t bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < given; ++i) bounds[given == 1 ? 1 : i] = to_index(args.positional[i]);
  if (bounds[2] == 0) raise("ValueError", "range() arg 3 must not be zero");
  Value range = make_range(bounds[0], bounds[1], bounds[2]);
  if (range.as<Range>().length > kMaxRange) {
    raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (",
          kMaxRange, ").");
  }
  return range;
}

// dict(*args, **kwargs)
void fill_dict(Dict& dict, CallArgs& args) {
  if (args.positional.size() > 1) {
    raise("TypeError", "dict expected at most 1 argument, got ", args.positional.size());
  }
  if (!args.positional.empty() && args.positional[0].is(Kind::kDict)) {
    for (const auto& [key, value] : args.positional[0].as<Dict>().items()) dict.set(key, value);
  } else if (!args.positional.empty()) {
    Iterator iterator(args.positional[0]);
    size_t number = 0;
    for (Value pair; iterator.next(pair); ++number) {
      if (!is_iterable(pair)) {
        raise("TypeError", "cannot convert dictionary update sequence element #", number,
              " to a sequence");
      }
      const std::vector<Value> items = to_vector(pair);
      if (items.size() != 2) {
        raise("ValueError", "dictionary update sequence element #", number, " has length ",
              items.size(), "; 2 is required");
      }
      dict.set(items[0], items[1]);
    }
  }
  for (auto& [name, value] : args.named) dict.set(name, std::move(value));
  spend_bytes(dict.size() * sizeof(Dict::Item));
}

Value call_dict(Runtime&, const Value&, CallArgs& args) {
  auto* dict = new Dict;
  Value out = Value::object(Kind::kDict, dict);
  fill_dict(*dict, args);
  return out;
}

Value call_namespace(Runtime& runtime, const Value&, CallArgs& args) {
  auto* space = new Namespace;
  Value out = Value::object(Kind::kNamespace, space);
  fill_dict(space->attributes, args);
  runtime.adopt(out);
  return out;
}

Value call_cycler(Runtime&, const Value&, CallArgs& args) {
  if (args.positional.empty()) raise("RuntimeError", "at least one item has to be provided");
  auto* cycler = new Cycler;
  cycler->items = std::move(args.positional);
  return Value::object(Kind::kCycler, cycler);
}

Value call_joiner(Runtime&, const Value&, CallArgs& args) {
  static const Signature signature{"Joiner.__init__", {"sep"}, 0, 1};
  const std::vector<Value> bound = bind(signature, std::move(args));
  auto* joiner = new Joiner;
  joiner->separator = value_or(bound[0], Value::string(", "));
  return Value::object(Kind::kJoiner, joiner);
}

Value call_raise_exception(Runtime&, const Value&, CallArgs& args) {
  static const Signature signature{
      "_compile_jinja_template.<locals>.raise_exception", {"message"}, 1, 0};
  raise("TemplateError", to_str(bind(signature, std::move(args))[0]));
}

Value call_strftime_now(Runtime& runtime, const Value&, CallArgs& args) {
  static const Signature signature{
      "_compile_jinja_template.<locals>.strftime_now", {"format"}, 1, 0};
  const Value format = bind(signature, std::move(args))[0];
  if (!format.is_string()) {
    raise("TypeError", "strftime() argument 1 must be str, not ", type_name(format));
  }
  return Value::string(format_time(format.text(), runtime.now));
}

}  // namespace

Value find_global(std::string_view name) {
  struct Global {
    std::string_view name, shown_name, type;
    Function::Body body;
  };
  static constexpr Global kGlobals[] = {
      {"range", "safe_range", "function", call_range},
      {"dict", "dict", "type", call_dict},
      {"namespace", "Namespace", "type", call_namespace},
      {"cycler", "Cycler", "type", call_cycler},
      {"joiner", "Joiner", "type", call_joiner},
      {"raise_exception", "raise_exception", "function", call_raise_exception},
      {"strftime_now", "strftime_now", "function", call_strftime_now},
  };
  for (const Global& global : kGlobals) {
    if (global.name == name) return make_function(global.shown_name, global.type, global.body);
  }
  return {};
}

}  // namespace zhiyin::jinja
