// Filters on lists and other iterables. Those that Python writes as generators are lazy here too:
// they fail, if they do, when somebody draws from them.
#include <algorithm>
#include <memory>

#include "text/chat_template/budget.h"
#include "text/chat_template/filter_tables.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/merge_sort.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/objects.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/py_text.h"
#include "text/chat_template/tests.h"

namespace zhiyin::jinja {
namespace {

bool given(const Value& argument) { return !argument.is_missing() && !argument.is_none(); }
bool flag(const Value& argument) { return !argument.is_missing() && truthy(argument); }
// The argument reverse of sorted(), which Python reads as an int.
bool reverse_flag(const Value& argument) {
  return !argument.is_missing() && to_index(argument) != 0;
}

Value ignore_case(const Value& value) {
  return value.is_string() ? Value::string(lower(value.text())) : value;
}

// make_attrgetter: follows "a.b.0" from an item.
class AttributePath {
 public:
  AttributePath(const Value& attribute, bool fold_case, Value fallback = {})
      : fold_case_(fold_case), fallback_(std::move(fallback)) {
    if (!given(attribute)) return;
    if (!attribute.is_string()) {
      parts_.push_back(attribute);
      return;
    }
    for (const std::string_view part : split_by(attribute.text(), ".")) {
      int64_t index = 0;
      const bool number =
          all_of_class(part, CharClass::kDigit) && parse_int(part, 10, index) == IntParse::kOk;
      parts_.push_back(number ? Value::integer(index) : Value::string(std::string(part)));
    }
  }

  Value operator()(const Value& item) const {
    Value value = item;
    for (const Value& part : parts_) {
      value = get_item(value, part);
      if (value.is_undefined() && given(fallback_)) value = fallback_;
    }
    return fold_case_ ? ignore_case(value) : value;
  }

 private:
  std::vector<Value> parts_;
  bool fold_case_;
  Value fallback_;
};

struct Keyed {
  Value key, item;
};

template <typename MakeKey>
std::vector<Keyed> keyed_items(const std::vector<Value>& items, const MakeKey& make_key) {
  std::vector<Keyed> keyed;
  spend_bytes(items.size() * sizeof(Keyed));
  keyed.reserve(items.size());
  for (const Value& item : items) keyed.push_back({make_key(item), item});
  return keyed;
}

// sorted(items, key=..., reverse=...)
void sort_by_key(std::vector<Keyed>& keyed, bool reverse) {
  merge_sort(keyed, [reverse](const Keyed& a, const Keyed& b) {
    spend_steps();
    return reverse ? less(b.key, a.key) : less(a.key, b.key);
  });
}

Value items_of(std::vector<Keyed> keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return Value::list(std::move(items));
}

Value do_sort(Runtime&, const FilterArgs& args) {
  const bool fold_case = !flag(args[2]);
  std::vector<AttributePath> paths;
  if (!args[3].is_missing() && args[3].is_string()) {
    for (const std::string_view part : split_by(args[3].text(), ",")) {
      paths.emplace_back(Value::string(std::string(part)), fold_case);
    }
  } else {
    paths.emplace_back(args[3], fold_case);
  }
  std::vector<Keyed> keyed = keyed_items(to_vector(args[0]), [&](const Value& item) {
    std::vector<Value> key;
    for (const AttributePath& path : paths) key.push_back(path(item));
    return Value::list(std::move(key));
  });
  sort_by_key(keyed, reverse_flag(args[1]));
  return items_of(std::move(keyed));
}

Value do_dictsort(Runtime&, const FilterArgs& args) {
  const std::string by = args[2].is_missing() ? "key" : to_str(args[2]);
  if (by != "key" && by != "value") {
    raise("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  }
  if (args[0].is_undefined()) fail_undefined(args[0]);
  if (!args[0].is(Kind::kDict)) {
    raise("AttributeError", "'", type_name(args[0]), "' object has no attribute 'items'");
  }
  const bool fold_case = !flag(args[1]);
  const size_t position = by == "key" ? 0 : 1;
  const std::vector<Value> pairs = to_vector(make_view(args[0], View::What::kItems));
  std::vector<Keyed> keyed = keyed_items(pairs, [&](const Value& pair) {
    const Value& key = pair.items()[position];
    return fold_case ? ignore_case(key) : key;
  });
  sort_by_key(keyed, reverse_flag(args[3]));
  return items_of(std::move(keyed));
}

Value do_groupby(Runtime&, const FilterArgs& args) {
  const bool fold_case = !flag(args[3]);
  const AttributePath path(args[1], fold_case, args[2]);
  const AttributePath shown_path(args[1], false, args[2]);
  std::vector<Keyed> keyed = keyed_items(to_vector(args[0]), path);
  sort_by_key(keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    std::vector<Value> members;
    size_t end = begin;
    while (end < keyed.size() && equal(keyed[begin].key, keyed[end].key)) {
      members.push_back(keyed[end++].item);
    }
    const Value key = fold_case ? shown_path(members[0]) : keyed[begin].key;
    Value group = Value::tuple({key, Value::list(std::move(members))});
    group.as<Sequence>().group = true;
    groups.push_back(std::move(group));
    begin = std::max(end, begin + 1);  // NaN equals nothing, not even itself
  }
  return Value::list(std::move(groups));
}

Value do_unique(Runtime&, const FilterArgs& args) {
  struct State {
    Iterator iterator;
    Dict seen;
    AttributePath path;
    bool begun = false;
  };
  auto state = std::make_shared<State>(State{{}, {}, AttributePath(args[2], !flag(args[1]))});
  return make_generator([state, source = args[0]](Value& item) {
    if (!state->begun) state->iterator = Iterator(source);
    state->begun = true;
    while (state->iterator.next(item)) {
      const Value key = state->path(item);
      if (state->seen.find(key) != nullptr) continue;
      spend_bytes(sizeof(Dict::Item));
      state->seen.set(key, Value::none());
      return true;
    }
    return false;
  });
}

template <Order order>
Value min_or_max(Runtime&, const FilterArgs& args) {
  const AttributePath path(args[2], !flag(args[1]));
  Iterator iterator(args[0]);
  Value best;
  if (!iterator.next(best)) return make_undefined("No aggregated item, sequence was empty.");
  Value best_key = path(best);
  for (Value item; iterator.next(item);) {
    Value key = path(item);
    if (!ordered(order, key, best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value do_sum(Runtime&, const FilterArgs& args) {
  const AttributePath path(args[1], false);
  Value sum = value_or(args[2], Value::integer(int64_t{0}));
  Iterator iterator(args[0]);
  if (sum.is_string()) raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  for (Value item; iterator.next(item);) sum = binary(BinaryOp::kAdd, sum, path(item));
  return sum;
}

Value do_join(Runtime& runtime, const FilterArgs& args) {
  const AttributePath path(args[2], false);
  const Value separator = value_or(args[1], Value::string(""));
  std::vector<Value> items = to_vector(args[0]);
  for (Value& item : items) item = path(item);
  const bool markup =
      runtime.autoescape &&
      (separator.is_markup() ||
       std::any_of(items.begin(), items.end(), [](const Value& item) { return item.is_markup(); }));
  const std::string between = markup ? escaped(separator) : to_str(separator);
  std::string out;
  bool first = true;
  for (const Value& item : items) {
    const size_t before = out.size();
    if (!first) out += between;
    first = false;
    if (markup) {
      out += escaped(item);
    } else {
      append_str(out, item);
    }
    spend_bytes(out.size() - before);
  }
  return Value::string(std::move(out), markup);
}

Value do_first(Runtime&, const FilterArgs& args) {
  Iterator iterator(args[0]);
  Value item;
  return iterator.next(item) ? item : make_undefined("No first item, sequence was empty.");
}

// The items from the last to the first; false where Python's reversed() refuses.
bool reversed_items(const Value& value, std::vector<Value>& items) {
  if (!is_iterable(value) || value.is(Kind::kGenerator)) return false;
  items = to_vector(value);
  std::reverse(items.begin(), items.end());
  return true;
}

Value do_last(Runtime&, const FilterArgs& args) {
  if (args[0].is_sequence() && !args[0].items().empty()) return args[0].items().back();
  std::vector<Value> items;
  if (!reversed_items(args[0], items)) {
    raise("TypeError", "'", type_name(args[0]), "' object is not reversible");
  }
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items[0];
}

Value iterate_items(Value list, std::string_view type) {
  auto iterator = std::make_shared<Iterator>(std::move(list));
  return make_generator([iterator](Value& item) { return iterator->next(item); }, type);
}

Value do_reverse(Runtime&, const FilterArgs& args) {
  const Value& value = args[0];
  if (value.is_string()) {
    return get_slice(value, Value::none(), Value::none(), Value::integer(int64_t{-1}));
  }
  if (!is_iterable(value)) raise("FilterArgumentError", "argument must be iterable");
  std::vector<Value> items;
  if (!reversed_items(value, items)) {
    items = to_vector(value);
    std::reverse(items.begin(), items.end());
    return Value::list(std::move(items));
  }
  const std::string_view type = value.is(Kind::kList)    ? "list_reverseiterator object"
                                : value.is(Kind::kDict)  ? "dict_reversekeyiterator object"
                                : value.is(Kind::kRange) ? "range_iterator object"
                                                         : "reversed object";
  return iterate_items(Value::list(std::move(items)), type);
}

Value do_list(Runtime&, const FilterArgs& args) { return Value::list(to_vector(args[0])); }
Value do_length(Runtime&, const FilterArgs& args) { return Value::integer(length_of(args[0])); }

// A list that is worked out when somebody first draws from the generator.
Value lazy_list(std::function<std::vector<Value>()> make) {
  auto iterator = std::make_shared<Iterator>();
  auto begun = std::make_shared<bool>(false);
  return make_generator([iterator, begun, make = std::move(make)](Value& item) {
    if (!*begun) {
      *begun = true;
      *iterator = Iterator(Value::list(make()));
    }
    return iterator->next(item);
  });
}

Value do_items(Runtime&, const FilterArgs& args) {
  return lazy_list([source = args[0]]() -> std::vector<Value> {
    if (source.is_undefined()) return {};
    if (!source.is(Kind::kDict)) raise("TypeError", "Can only get item pairs from a mapping.");
    return to_vector(make_view(source, View::What::kItems));
  });
}

Value do_batch(Runtime&, const FilterArgs& args) {
  return lazy_list([source = args[0], size = args[1], fill = args[2]] {
    std::vector<Value> batches, batch;
    Iterator iterator(source);
    const auto length = [&] { return Value::integer(batch.size()); };
    for (Value item; iterator.next(item);) {
      if (equal(length(), size)) {
        batches.push_back(Value::list(std::move(batch)));
        batch.clear();
      }
      batch.push_back(std::move(item));
    }
    if (batch.empty()) return batches;
    Value last = Value::list(std::move(batch));
    batch = last.items();
    if (given(fill) && ordered(Order::kLess, length(), size)) {
      const Value missing = binary(BinaryOp::kSub, size, length());
      last = binary(BinaryOp::kAdd, last, binary(BinaryOp::kMul, Value::list({fill}), missing));
    }
    batches.push_back(last);
    return batches;
  });
}

Value do_slice(Runtime&, const FilterArgs& args) {
  return lazy_list([source = args[0], slices = args[1], fill = args[2]] {
    const Value list = Value::list(to_vector(source));
    const Value length = Value::integer(list.items().size());
    const Value per_slice = binary(BinaryOp::kFloorDiv, length, slices);
    const Value with_extra = binary(BinaryOp::kMod, length, slices);
    if (!slices.is_integral()) {
      raise("TypeError", "'", type_name(slices), "' object cannot be interpreted as an integer");
    }
    std::vector<Value> out;
    int64_t offset = 0;
    for (int64_t i = 0; i < slices.as_int(); ++i) {
      spend_steps();
      const int64_t start = offset + i * per_slice.as_int();
      if (i < with_extra.as_int()) ++offset;
      const int64_t end = offset + (i + 1) * per_slice.as_int();
      Value part = get_slice(list, Value::integer(start), Value::integer(end), Value::none());
      if (given(fill) && i >= with_extra.as_int()) {
        part = binary(BinaryOp::kAdd, part, Value::list({fill}));
      }
      out.push_back(std::move(part));
    }
    return out;
  });
}

// --- map and select ----------------------------------------------------------------------------

[[noreturn]] void fail_unknown(std::string_view what, const Value& name) {
  std::string shown;
  append_repr(shown, name);
  std::string message = cat("No ", what, " named ", shown, ".");
  if (name.is_undefined()) {
    try {
      fail_undefined(name);
    } catch (const TemplateError& error) {
      message += cat(" (", error.message(), "; did you forget to quote the callable name?)");
    }
  }
  raise("TemplateRuntimeError", message);
}

using ItemFunction = std::function<Value(const Value&)>;

// jinja2.filters.prepare_map
ItemFunction prepare_map(Runtime& runtime, CallArgs args) {
  std::vector<std::pair<std::string, Value>>& named = args.named;
  const auto take = [&named](std::string_view name) -> Value {
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (found == named.end()) return {};
    Value value = found->second;
    named.erase(found);
    return value;
  };
  const bool by_attribute = std::any_of(
      named.begin(), named.end(), [](const auto& entry) { return entry.first == "attribute"; });
  if (args.positional.empty() && by_attribute) {
    const Value attribute = take("attribute");
    const Value fallback = take("default");
    if (!named.empty()) {
      raise("FilterArgumentError", "Unexpected keyword argument ", repr_string(named[0].first));
    }
    return AttributePath(attribute, false, fallback);
  }
  if (args.positional.empty()) raise("FilterArgumentError", "map requires a filter argument");
  const Value name = args.positional[0];
  return [&runtime, name, args](const Value& item) {
    const FilterEntry* filter = name.is_string() ? find_filter(name.text()) : nullptr;
    if (filter == nullptr) fail_unknown("filter", name);
    CallArgs call = args;
    call.positional[0] = item;
    return apply_filter(runtime, *filter, std::move(call));
  };
}

// jinja2.filters.prepare_select_or_reject
std::function<bool(const Value&)> prepare_select(CallArgs args, bool by_attribute) {
  AttributePath path(Value::none(), false);
  if (by_attribute) {
    if (args.positional.empty()) {
      raise("FilterArgumentError", "Missing parameter for attribute name");
    }
    path = AttributePath(args.positional[0], false);
    args.positional.erase(args.positional.begin());
  }
  if (args.positional.empty()) return [path](const Value& item) { return truthy(path(item)); };
  const Value name = args.positional[0];
  return [path, name, args](const Value& item) {
    const Value value = path(item);
    const TestEntry* test = name.is_string() ? find_test(name.text()) : nullptr;
    if (test == nullptr) fail_unknown("test", name);
    CallArgs call = args;
    call.positional[0] = value;
    return apply_test(*test, std::move(call));
  };
}

// What a variadic filter is applied to, taken out of its arguments.
Value take_source(CallArgs& args) {
  Value source = std::move(args.positional[0]);
  args.positional.erase(args.positional.begin());
  return source;
}

Value do_map(Runtime& runtime, CallArgs args) {
  struct State {
    ItemFunction function;
    Iterator iterator;
    bool begun = false, empty = false;
  };
  const Value source = take_source(args);
  auto state = std::make_shared<State>();
  return make_generator([&runtime, source, args, state](Value& item) {
    if (!state->begun) {
      state->begun = true;
      state->empty = !truthy(source);
      if (!state->empty) {
        state->function = prepare_map(runtime, args);
        state->iterator = Iterator(source);
      }
    }
    if (state->empty || !state->iterator.next(item)) return false;
    item = state->function(item);
    return true;
  });
}

template <bool wanted, bool by_attribute>
Value do_select(Runtime&, CallArgs args) {
  struct State {
    std::function<bool(const Value&)> test;
    Iterator iterator;
    bool begun = false, empty = false;
  };
  const Value source = take_source(args);
  auto state = std::make_shared<State>();
  return make_generator([source, args, state](Value& item) {
    if (!state->begun) {
      state->begun = true;
      state->empty = !truthy(source);
      if (!state->empty) {
        state->test = prepare_select(args, by_attribute);
        state->iterator = Iterator(source);
      }
    }
    if (state->empty) return false;
    while (state->iterator.next(item)) {
      if (state->test(item) == wanted) return true;
    }
    return false;
  });
}

}  // namespace

const std::vector<FilterEntry>& sequence_filters() {
  static const std::vector<FilterEntry> filters = {
      {"batch", {"do_batch", {"value", "linecount", "fill_with"}, 2}, {}, do_batch},
      {"count", {}, "len", do_length},
      {"dictsort",
       {"do_dictsort", {"value", "case_sensitive", "by", "reverse"}, 1},
       {},
       do_dictsort},
      {"first", {"sync_do_first", {"seq"}, 1, 1}, {}, do_first},
      {"groupby",
       {"sync_do_groupby", {"value", "attribute", "default", "case_sensitive"}, 2, 1},
       {},
       do_groupby},
      {"items", {"do_items", {"value"}, 1}, {}, do_items},
      {"join", {"sync_do_join", {"value", "d", "attribute"}, 1, 1}, {}, do_join},
      {"last", {"do_last", {"seq"}, 1, 1}, {}, do_last},
      {"length", {}, "len", do_length},
      {"list", {"sync_do_list", {"value"}, 1}, {}, do_list},
      {"map", {}, {}, nullptr, do_map},
      {"max",
       {"do_max", {"value", "case_sensitive", "attribute"}, 1, 1},
       {},
       min_or_max<Order::kGreater>},
      {"min",
       {"do_min", {"value", "case_sensitive", "attribute"}, 1, 1},
       {},
       min_or_max<Order::kLess>},
      {"reject", {}, {}, nullptr, do_select<false, false>},
      {"rejectattr", {}, {}, nullptr, do_select<false, true>},
      {"reverse", {"do_reverse", {"value"}, 1}, {}, do_reverse},
      {"select", {}, {}, nullptr, do_select<true, false>},
      {"selectattr", {}, {}, nullptr, do_select<true, true>},
      {"slice", {"sync_do_slice", {"value", "slices", "fill_with"}, 2}, {}, do_slice},
      {"sort", {"do_sort", {"value", "reverse", "case_sensitive", "attribute"}, 1, 1}, {}, do_sort},
      {"sum", {"sync_do_sum", {"iterable", "attribute", "start"}, 1, 1}, {}, do_sum},
      {"unique", {"sync_do_unique", {"value", "case_sensitive", "attribute"}, 1, 1}, {}, do_unique},
  };
  return filters;
}

}  // namespace zhiyin::jinja
