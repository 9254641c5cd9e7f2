#include "io/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace zhiyin {
namespace {

// No config comes near; tokenizer.json files are not read through here.
constexpr uint64_t kMaxJsonFile = 32 << 20;

std::optional<int64_t> as_int(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(number);
  } else if (value.is_number_integer()) {
    return value.get<int64_t>();
  } else if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (number == std::trunc(number) && std::abs(number) < 0x1p62) {
      return static_cast<int64_t>(number);
    }
  }
  return std::nullopt;
}

}  // namespace

nlohmann::json read_json_file(const std::string& path) {
  return parse_json(read_file(path, kMaxJsonFile), path);
}

nlohmann::json parse_json(std::string_view text, const std::string& path) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    fail(ErrorCode::kFailed, path, ": byte ", error.byte, ": is not valid JSON");
  } catch (const nlohmann::json::exception& error) {  // a number out of range
    fail(ErrorCode::kFailed, path, ": is not valid JSON: ", error.what());
  }
}

JsonFields::JsonFields(const nlohmann::json& value, std::string name)
    : value_(&value), name_(std::move(name)) {
  check(value.is_object(), ErrorCode::kFailed, name_, ": is not a JSON object");
}

const nlohmann::json* JsonFields::find(std::string_view field) const {
  const auto found = value_->find(field);
  return found != value_->end() && !found->is_null() ? &*found : nullptr;
}

void JsonFields::wrong_type(std::string_view field, const char* expected) const {
  const std::string text =
      find(field)->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  fail(ErrorCode::kFailed, name_, ": ", field, " is ", printable(text, 60), ", expected ",
       expected);
}

std::optional<int64_t> JsonFields::find_int(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> number = as_int(*value);
  if (!number) wrong_type(field, "an integer");
  return number;
}

std::optional<double> JsonFields::find_double(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(field, "a number");
  return value->get<double>();
}

std::optional<bool> JsonFields::find_bool(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_type(field, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonFields::find_string(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(field, "a string");
  return value->get<std::string>();
}

std::optional<std::vector<double>> JsonFields::find_doubles(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) wrong_type(field, "a list of numbers");
  std::vector<double> numbers;
  for (const nlohmann::json& item : *value) {
    if (!item.is_number()) wrong_type(field, "a list of numbers");
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

std::optional<std::vector<std::string>> JsonFields::find_strings(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) wrong_type(field, "a list of strings");
  std::vector<std::string> strings;
  for (const nlohmann::json& item : *value) {
    if (!item.is_string()) wrong_type(field, "a list of strings");
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

std::vector<int64_t> JsonFields::find_ids(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return {};
  std::vector<int64_t> ids;
  const auto add = [&](const nlohmann::json& item) {
    const std::optional<int64_t> id = as_int(item);
    if (!id) wrong_type(field, "a token id or a list of them");
    ids.push_back(*id);
  };
  if (value->is_array()) {
    for (const nlohmann::json& item : *value) add(item);
  } else {
    add(*value);
  }
  return ids;
}

std::optional<JsonFields> JsonFields::find_object(std::string_view field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) wrong_type(field, "an object");
  return JsonFields(*value, cat(name_, ": ", field));
}

}  // namespace zhiyin
