#include "text/chat_template/objects.h"

#include "base/utf8.h"
#include "text/chat_template/budget.h"

namespace zhiyin::jinja {

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kView:
    case Kind::kGenerator:
      return true;
    default:
      return false;
  }
}

Iterator::Iterator(Value iterable) : source_(std::move(iterable)) {
  if (!is_iterable(source_)) {
    raise("TypeError", "'", type_name(source_), "' object is not iterable");
  }
}

bool Iterator::next(Value& item) {
  spend_steps();
  switch (source_.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      if (at_ >= source_.items().size()) return false;
      item = source_.items()[at_++];
      return true;
    case Kind::kString: {
      const std::string& text = source_.text();
      if (at_ >= text.size()) return false;
      const auto length = static_cast<size_t>(decode_utf8(text, at_).length);
      item = Value::string(text.substr(at_, length));
      at_ += length;
      return true;
    }
    case Kind::kDict:
      if (at_ >= source_.as<Dict>().size()) return false;
      item = source_.as<Dict>().items()[at_++].first;
      return true;
    case Kind::kView: {
      const auto& view = source_.as<View>();
      const auto& items = view.dict.as<Dict>().items();
      if (at_ >= items.size()) return false;
      const auto& [key, value] = items[at_++];
      item = view.what == View::What::kKeys     ? key
             : view.what == View::What::kValues ? value
                                                : Value::tuple({key, value});
      return true;
    }
    case Kind::kRange: {
      const auto& range = source_.as<Range>();
      if (at_ >= static_cast<size_t>(range.length)) return false;
      item = Value::integer(range.start + static_cast<int64_t>(at_++) * range.step);
      return true;
    }
    case Kind::kGenerator: {
      // Generators that draw from generators recurse: as deep as anything else may nest.
      thread_local int depth = 0;
      struct Deeper {
        Deeper() {
          if (++depth > kMaxNesting) {
            --depth;
            raise("RecursionError", "maximum recursion depth exceeded");
          }
        }
        ~Deeper() { --depth; }
      } const deeper;
      return source_.as<Generator>().pull(item);
    }
    default:
      return false;
  }
}

int64_t length_or_none(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return length_in_code_points(value);
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.as<Dict>().size());
    case Kind::kView:
      return static_cast<int64_t>(value.as<View>().dict.as<Dict>().size());
    case Kind::kRange:
      return value.as<Range>().length;
    case Kind::kLoop:
      return loop_length(value);
    default:
      return -1;
  }
}

int64_t length_of(const Value& value) {
  const int64_t length = length_or_none(value);
  if (length < 0) raise("TypeError", "object of type '", type_name(value), "' has no len()");
  return length;
}

std::vector<Value> to_vector(const Value& iterable) {
  if (iterable.is_sequence()) {
    spend_bytes(iterable.items().size() * sizeof(Value));
    return iterable.items();
  }
  std::vector<Value> items;
  Iterator iterator(iterable);
  for (Value item; iterator.next(item);) {
    spend_bytes(sizeof(Value));
    items.push_back(std::move(item));
  }
  return items;
}

bool Loop::next(Value& item) {
  if (!after.is_missing()) {
    item = std::move(after);
    after = Value();
  } else if (!iterator.next(item)) {
    return false;
  }
  ++index0;
  before = std::move(current);
  current = item;
  return true;
}

const Value& Loop::peek() {
  if (after.is_missing() && !iterator.next(after)) after = Value();
  return after;
}

int64_t Loop::count() {
  if (length >= 0) return length;
  length = length_or_none(iterable);
  if (length < 0) {
    std::vector<Value> rest;
    for (Value item; iterator.next(item);) rest.push_back(std::move(item));
    length = static_cast<int64_t>(rest.size()) + index0 + 1 + (after.is_missing() ? 0 : 1);
    iterator = Iterator(Value::list(std::move(rest)));
  }
  return length;
}

int64_t loop_length(const Value& loop) { return loop.as<Loop>().count(); }

std::string loop_repr(const Value& value) {
  auto& loop = value.as<Loop>();
  return cat("<LoopContext ", loop.index0 + 1, "/", loop.count(), ">");
}

const std::string& macro_name(const Value& macro) { return macro.as<Macro>().name; }

}  // namespace zhiyin::jinja
