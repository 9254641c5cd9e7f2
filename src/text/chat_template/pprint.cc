#include "text/chat_template/pprint.h"

#include <algorithm>

#include "text/chat_template/budget.h"
#include "text/chat_template/merge_sort.h"
#include "text/chat_template/py_text.h"

namespace zhiyin::jinja {
namespace {

constexpr size_t kWidth = 80;

std::vector<Dict::Item> sorted_items(const Dict& dict) {
  std::vector<Dict::Item> items = dict.items();
  // pprint falls back to the names of the types where keys do not compare.
  merge_sort(items, [](const Dict::Item& a, const Dict::Item& b) {
    const bool comparable = (a.first.is_number() && b.first.is_number()) ||
                            (a.first.is_string() && b.first.is_string());
    return comparable ? less(a.first, b.first) : type_name(a.first) < type_name(b.first);
  });
  return items;
}

// repr with every dict sorted.
void one_line(std::string& out, const Value& value, int depth) {
  if (depth > kMaxNesting) raise("RecursionError", "maximum recursion depth exceeded");
  spend_steps();
  bool first = true;
  const auto comma = [&] {
    if (!first) out += ", ";
    first = false;
  };
  if (value.is(Kind::kDict)) {
    out += '{';
    for (const auto& [key, item] : sorted_items(value.as<Dict>())) {
      comma();
      one_line(out, key, depth + 1);
      out += ": ";
      one_line(out, item, depth + 1);
    }
    out += '}';
  } else if (value.is_sequence()) {
    out += value.is(Kind::kList) ? '[' : '(';
    for (const Value& item : value.items()) {
      comma();
      one_line(out, item, depth + 1);
    }
    out += value.is(Kind::kList) ? "]" : value.items().size() == 1 ? ",)" : ")";
  } else {
    append_repr(out, value, depth);
  }
}

// allowance: what has to fit behind the value on its last line.
void write(std::string& out, const Value& value, size_t indent, size_t allowance, int depth) {
  std::string line;
  one_line(line, value, depth);
  const size_t room = kWidth > indent + allowance ? kWidth - indent - allowance : 0;
  const bool container = value.is(Kind::kDict) || value.is_sequence();
  if (count_code_points(line) <= room || !container) {
    out += line;
    return;
  }
  const auto new_line = [&] {
    spend_bytes(indent + 3);
    out += ",\n" + std::string(indent + 1, ' ');
  };
  if (value.is(Kind::kDict)) {
    out += '{';
    const std::vector<Dict::Item> items = sorted_items(value.as<Dict>());
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) new_line();
      std::string key;
      one_line(key, items[i].first, depth + 1);
      out += key + ": ";
      const bool last = i + 1 == items.size();
      write(out, items[i].second, indent + count_code_points(key) + 3, last ? allowance + 1 : 1,
            depth + 1);
    }
    out += '}';
    return;
  }
  const auto& items = value.items();
  const std::string_view end = value.is(Kind::kList) ? "]" : items.size() == 1 ? ",)" : ")";
  out += value.is(Kind::kList) ? '[' : '(';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) new_line();
    const bool last = i + 1 == items.size();
    write(out, items[i], indent + 1, last ? allowance + end.size() : 1, depth + 1);
  }
  out += end;
}

}  // namespace

std::string pretty(const Value& value) {
  std::string out;
  write(out, value, 0, 0, 0);
  return out;
}

}  // namespace zhiyin::jinja
