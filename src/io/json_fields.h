// Typed access to the fields of JSON files, with errors that name the file and the field. Private
// to src/io.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

// Throws kNotFound without the file, kFailed with the byte offset when it is not JSON.
nlohmann::json read_json_file(const std::string& path);
nlohmann::json parse_json(std::string_view text, const std::string& path);

// A JSON object and the name to use for it in messages ("config.json", "config.json:
// rope_scaling"). Does not own the value. find_* return nullopt when the field is absent or null
// and throw kFailed when it holds something else.
class JsonFields {
 public:
  // Throws kFailed when value is not an object.
  JsonFields(const nlohmann::json& value, std::string name);

  const nlohmann::json& value() const { return *value_; }
  const std::string& name() const { return name_; }

  std::optional<int64_t> find_int(std::string_view field) const;  // 10000.0 counts as an integer
  std::optional<double> find_double(std::string_view field) const;
  std::optional<bool> find_bool(std::string_view field) const;
  std::optional<std::string> find_string(std::string_view field) const;
  std::optional<std::vector<double>> find_doubles(std::string_view field) const;
  std::optional<std::vector<std::string>> find_strings(std::string_view field) const;
  // One integer or a list of them; empty when absent.
  std::vector<int64_t> find_ids(std::string_view field) const;
  std::optional<JsonFields> find_object(std::string_view field) const;

 private:
  const nlohmann::json* find(std::string_view field) const;
  [[noreturn]] void wrong_type(std::string_view field, const char* expected) const;

  const nlohmann::json* value_;
  std::string name_;
};

}  // namespace zhiyin
