#include "text/chat_template/filters.h"

#include <unordered_map>

#include "text/chat_template/filter_tables.h"

namespace zhiyin::jinja {

const FilterEntry* find_filter(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const FilterEntry*> by_name;
    for (const auto* filters : {&text_filters(), &sequence_filters(), &number_filters()}) {
      for (const FilterEntry& filter : *filters) by_name.emplace(filter.name, &filter);
    }
    return by_name;
  }();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

Value apply_filter(Runtime& runtime, const FilterEntry& filter, CallArgs args) {
  if (filter.variadic != nullptr) return filter.variadic(runtime, std::move(args));
  return filter.apply(runtime,
                      filter.builtin.empty()
                          ? bind(filter.signature, std::move(args))
                          : bind_builtin({filter.builtin, Arity::kFixed, 1, 1}, std::move(args)));
}

}  // namespace zhiyin::jinja
