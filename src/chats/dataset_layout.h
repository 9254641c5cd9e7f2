// How the rows of a finished data set are laid out, in the words of LLaMA-Factory's
// dataset_info.json (github.com/hiyouga/LLaMA-Factory, data/README.md): alpaca, with history and
// system; sharegpt with any columns and tags, OpenAI's messages among them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace zhiyin::chats {

// What dataset_info.json says of rows of OpenAI messages.
nlohmann::ordered_json openai_layout();

class DatasetLayout {
 public:
  using Json = nlohmann::ordered_json;
  static constexpr const char* kLearn = "learn";

  // entry: of dataset_info.json; an empty object is alpaca with its usual columns.
  explicit DatasetLayout(const Json& entry);

  // What a file without such an entry looks like, from its first bytes; empty where it is none of
  // the usual layouts.
  static std::optional<DatasetLayout> guess(std::string_view head);

  // The conversation of a row in the roles of chat templates:
  //   [{"role": "system" | "user" | "assistant" | "tool", "content": …[, "tool_calls": …]}, …]
  // with "learn": false in those that the row gives as context alone.
  // where: names the row in errors. Throws kFailed when a column or tag is not there or no text.
  Json messages_of(const Json& row, const std::string& where) const;

  // The two answers of a row of preferences ("ranking": true): chosen, rejected. Empty in others.
  std::optional<std::pair<std::string, std::string>> pair_of(const Json& row) const;

 private:
  std::string column(const char* name, const char* standard) const;
  Json from_alpaca(const Json& row, const std::string& where) const;
  Json from_sharegpt(const Json& row, const std::string& where) const;

  bool alpaca_;
  Json columns_, tags_;
};

}  // namespace zhiyin::chats
