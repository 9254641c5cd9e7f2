#include "text/chat_template/chat_template.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/chat_template/interpreter.h"
#include "text/chat_template/parser.h"
#include "text/chat_template/resolver.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Value;

Value to_value(const Json& json, int depth) {
  if (depth > jinja::kMaxNesting) {
    jinja::raise("RecursionError", "the context nests deeper than ", jinja::kMaxNesting, " levels");
  }
  switch (json.type()) {
    case Json::value_t::null:
      return Value::none();
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > INT64_MAX) {
        jinja::raise("OverflowError", "the integer ", number, " of the context is beyond 64 bits");
      }
      return Value::integer(static_cast<int64_t>(number));
    }
    case Json::value_t::number_float:
      return Value::number(json.get<double>());
    case Json::value_t::string:
      return Value::string(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(to_value(item, depth + 1));
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      auto* dict = new jinja::Dict;
      Value out = Value::object(jinja::Kind::kDict, dict);
      dict->reserve(json.size());
      for (const auto& [key, item] : json.items()) dict->set(key, to_value(item, depth + 1));
      return out;
    }
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  fail(ErrorCode::kUsage, "the context of a chat template holds ", json.type_name(),
       ", which is not JSON");
}

std::tm local_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Tree tree;
};

ChatTemplate::ChatTemplate(std::string source, std::string name)
    : source_(std::move(source)), name_(std::move(name)) {
  try {
    auto program = std::make_unique<Program>();
    program->tree = jinja::parse_template(source_);
    jinja::resolve(program->tree);
    program_ = std::move(program);
  } catch (const TemplateError& error) {
    throw TemplateError(error.kind(), error.message(), error.line(), error.column(), name_);
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Json& context, const RenderOptions& options) const {
  return render_with_spans(context, options).text;
}

RenderedText ChatTemplate::render_with_spans(const Json& context,
                                             const RenderOptions& options) const {
  check(context.is_object(), ErrorCode::kUsage,
        "the context of a chat template must be a JSON object with its variables, not ",
        context.type_name());
  try {
    // Not part of the budget: the context is as large as the caller made it.
    const Value variables = to_value(context, 0);
    const jinja::Budget budget(options.limits);
    jinja::Interpreter interpreter(program_->tree, variables.as<jinja::Dict>(),
                                   options.limits.output);
    interpreter.now = options.now ? *options.now : local_time_now();
    RenderedText out;
    out.text = interpreter.run();
    for (const jinja::Span& span : interpreter.generation_spans()) {
      out.generated.push_back({span.begin, span.end});
    }
    return out;
  } catch (const TemplateError& error) {
    throw TemplateError(error.kind(), error.message(), error.line(), error.column(), name_);
  }
}

std::tm parse_local_time(std::string_view text) {
  const std::string copy(text);
  std::tm time{};
  int used = 0;
  char separator = 0;
  const int fields = std::sscanf(copy.c_str(), "%4d-%2d-%2d%c%2d:%2d%n:%2d%n", &time.tm_year,
                                 &time.tm_mon, &time.tm_mday, &separator, &time.tm_hour,
                                 &time.tm_min, &used, &time.tm_sec, &used);
  const std::tm written = time;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  time.tm_isdst = -1;
  bool ok = fields >= 6 && static_cast<size_t>(used) == copy.size() &&
            (separator == 'T' || separator == ' ');
  ok = ok && timegm(&time) != -1;  // fills in the days of week and year, and carries over
  ok = ok && time.tm_mday == written.tm_mday && time.tm_mon + 1 == written.tm_mon &&
       time.tm_hour == written.tm_hour && time.tm_min == written.tm_min &&
       time.tm_sec == written.tm_sec;
  check(ok, ErrorCode::kUsage, "not a time: '", text, "'; write it like 2026-11-23T09:05:07");
  return time;
}

}  // namespace zhiyin
