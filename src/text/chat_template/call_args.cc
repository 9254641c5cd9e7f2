#include "text/chat_template/call_args.h"

#include <algorithm>

#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

std::string_view plural(size_t count) { return count == 1 ? "" : "s"; }

[[noreturn]] void fail_missing(const Signature& signature, const std::vector<Value>& values) {
  std::vector<std::string> names;
  for (size_t i = 0; i < signature.required; ++i) {
    if (values[i].is_missing()) names.push_back(cat("'", signature.parameters[i], "'"));
  }
  std::string list = names[0];
  for (size_t i = 1; i < names.size(); ++i) {
    list += i + 1 < names.size() ? ", " : names.size() == 2 ? " and " : ", and ";
    list += names[i];
  }
  raise("TypeError", signature.name, "() missing ", names.size(), " required positional argument",
        plural(names.size()), ": ", list);
}

}  // namespace

std::vector<Value> bind(const Signature& signature, CallArgs args) {
  const auto& parameters = signature.parameters;
  std::vector<Value> values(parameters.size());
  const size_t given = args.positional.size();
  for (size_t i = 0; i < std::min(given, values.size()); ++i) {
    values[i] = std::move(args.positional[i]);
  }
  for (auto& [name, value] : args.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) {
      raise("TypeError", signature.name, "() got an unexpected keyword argument ",
            repr_string(name));
    }
    Value& slot = values[static_cast<size_t>(found - parameters.begin())];
    if (!slot.is_missing()) {
      raise("TypeError", signature.name, "() got multiple values for argument ", repr_string(name));
    }
    slot = std::move(value);
  }
  if (given > parameters.size()) {
    const size_t most = parameters.size() + signature.hidden;
    const size_t least = signature.required + signature.hidden;
    const size_t total = given + signature.hidden;
    const std::string range = least == most ? cat(most) : cat("from ", least, " to ", most);
    raise("TypeError", signature.name, "() takes ", range, " positional argument", plural(most),
          " but ", total, total == 1 ? " was" : " were", " given");
  }
  for (size_t i = 0; i < signature.required; ++i) {
    if (values[i].is_missing()) fail_missing(signature, values);
  }
  return values;
}

std::vector<Value> bind_builtin(const BuiltinSignature& signature, CallArgs args) {
  const std::string_view qualified = signature.qualified_name;
  const std::string_view name = qualified.substr(qualified.find('.') + 1);
  const size_t given = args.positional.size() + args.named.size();
  const bool few = given < signature.least;
  const size_t bound = few ? signature.least : signature.most;
  const std::string_view limit = signature.least == signature.most ? ""
                                 : few                             ? "at least "
                                                                   : "at most ";
  if (!args.named.empty() && signature.keywords.empty()) {
    raise("TypeError", qualified, "() takes no keyword arguments");
  }
  if (few || given > signature.most) {
    switch (signature.arity) {
      case Arity::kFixed:
        raise("TypeError", qualified, "() takes ",
              signature.most == 0 ? "no arguments" : "exactly one argument", " (", given,
              " given)");
      case Arity::kUnpack:
        raise("TypeError", name, " expected ", limit, bound, " argument", plural(bound), ", got ",
              given);
      case Arity::kParse:
        raise("TypeError", name, "() takes ", limit, bound, " argument", plural(bound), " (", given,
              " given)");
    }
  }
  std::vector<Value> values = std::move(args.positional);
  values.resize(signature.most);
  for (auto& [keyword, value] : args.named) {
    const auto& keywords = signature.keywords;
    const auto found = std::find(keywords.begin(), keywords.end(), keyword);
    if (found == keywords.end()) {
      raise("TypeError", repr_string(keyword), " is an invalid keyword argument for ", name, "()");
    }
    values[static_cast<size_t>(found - keywords.begin())] = std::move(value);
  }
  return values;
}

}  // namespace zhiyin::jinja
