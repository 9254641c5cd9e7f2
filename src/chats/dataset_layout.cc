#include "chats/dataset_layout.h"

#include <map>

#include "base/error.h"
#include "chats/ascii.h"

namespace zhiyin::chats {
namespace {

using Json = nlohmann::ordered_json;

// A text field; empty where it is absent or null.
std::string text_of(const Json& object, const std::string& key, const std::string& where) {
  if (key.empty() || !object.contains(key) || object[key].is_null()) return {};
  check(object[key].is_string(), ErrorCode::kFailed, where, ": \"", key, "\" is not a text");
  return object[key].get<std::string>();
}

Json object_in(const Json& entry, const char* key) {
  return entry.is_object() && entry.contains(key) && entry[key].is_object() ? entry[key]
                                                                            : Json::object();
}

// Whether "key": stands in the text, with `opener` as the first character of its value where given.
bool has_key(std::string_view text, std::string_view key, char opener = '\0') {
  const std::string quoted = cat('"', key, '"');
  for (size_t at = 0; (at = text.find(quoted, at)) != std::string_view::npos;) {
    at += quoted.size();
    std::string_view rest = trim_left(text.substr(at));
    if (!rest.starts_with(':')) continue;
    rest = trim_left(rest.substr(1));
    if (opener == '\0' || rest.starts_with(opener)) return true;
  }
  return false;
}

// Whether a message is to be learned: "loss_weight" of LLaMA-Factory's second layout, "weight" of
// OpenAI's, "train" of axolotl's; 0 and false carry it as context alone.
bool learn_flag(const Json& message, const std::string& where) {
  for (const char* key : {"loss_weight", "weight", "train"}) {
    if (!message.contains(key) || message[key].is_null()) continue;
    const Json& flag = message[key];
    if (flag.is_boolean()) return flag.get<bool>();
    check(flag.is_number() && (flag == 0 || flag == 1), ErrorCode::kFailed, where, ": \"", key,
          "\" of a message is ", flag.dump(), "; it must be 0 (context alone) or 1 (learned)");
    return flag == 1;
  }
  return true;
}

}  // namespace

nlohmann::ordered_json openai_layout() {
  return {{"formatting", "sharegpt"},
          {"columns", {{"messages", "messages"}}},
          {"tags",
           {{"role_tag", "role"},
            {"content_tag", "content"},
            {"user_tag", "user"},
            {"assistant_tag", "assistant"},
            {"system_tag", "system"}}}};
}

DatasetLayout::DatasetLayout(const Json& entry)
    : alpaca_(!entry.is_object() || !entry.contains("formatting") ||
              entry["formatting"] == "alpaca"),
      columns_(object_in(entry, "columns")),
      tags_(object_in(entry, "tags")) {}

std::optional<DatasetLayout> DatasetLayout::guess(std::string_view head) {
  const std::string_view start = trim_left(head);
  if (!start.starts_with('[') && !start.starts_with('{')) return std::nullopt;
  if (has_key(head, "instruction") && (has_key(head, "output") || has_key(head, "chosen"))) {
    return DatasetLayout(Json::object());
  }
  if (has_key(head, "conversations", '[') && has_key(head, "from") && has_key(head, "value")) {
    return DatasetLayout(Json{{"formatting", "sharegpt"}});
  }
  if (has_key(head, "messages", '[') && has_key(head, "role") && has_key(head, "content")) {
    Json entry = openai_layout();
    entry["tags"]["observation_tag"] = "tool";
    return DatasetLayout(entry);
  }
  return std::nullopt;
}

// As LLaMA-Factory: where columns are given, those not among them do not exist.
std::string DatasetLayout::column(const char* name, const char* standard) const {
  return columns_.value(name, columns_.empty() ? standard : "");
}

Json DatasetLayout::messages_of(const Json& row, const std::string& where) const {
  check(row.is_object(), ErrorCode::kFailed, where, ": is not an object");
  return alpaca_ ? from_alpaca(row, where) : from_sharegpt(row, where);
}

std::optional<std::pair<std::string, std::string>> DatasetLayout::pair_of(const Json& row) const {
  const std::string content_tag = tags_.value("content_tag", "value");
  const auto answer = [&](const char* name) {
    const std::string key = column(name, name);
    Json value = row.is_object() && row.contains(key) ? row[key] : Json();
    if (value.is_object()) value = value.value(content_tag, Json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  std::pair<std::string, std::string> pair = {answer("chosen"), answer("rejected")};
  if (pair.first.empty() || pair.second.empty()) return std::nullopt;
  return pair;
}

Json DatasetLayout::from_alpaca(const Json& row, const std::string& where) const {
  Json messages = Json::array();
  const auto say = [&](const char* role, const std::string& text) {
    messages.push_back({{"role", role}, {"content", text}});
  };
  const std::string system = text_of(row, column("system", "system"), where);
  if (!system.empty()) say("system", system);
  const std::string history = column("history", "history");
  if (row.contains(history) && row[history].is_array()) {
    for (const Json& pair : row[history]) {
      check(pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string(),
            ErrorCode::kFailed, where, ": \"", history, "\" must hold pairs of texts");
      say("user", pair[0]);
      say("assistant", pair[1]);
    }
  }
  std::string question = text_of(row, column("prompt", "instruction"), where);
  const std::string input = text_of(row, column("query", "input"), where);
  if (!question.empty() && !input.empty()) question += "\n";
  question += input;
  say("user", question);
  const std::string answer = text_of(row, column("response", "output"), where);
  if (!answer.empty()) say("assistant", answer);
  return messages;
}

Json DatasetLayout::from_sharegpt(const Json& row, const std::string& where) const {
  const std::string key = column("messages", "conversations");
  check(row.contains(key) && row[key].is_array(), ErrorCode::kFailed, where, ": has no list \"",
        key, "\"; name the column in dataset_info.json");
  const std::string role_tag = tags_.value("role_tag", "from");
  const std::string content_tag = tags_.value("content_tag", "value");
  const std::string function_tag = tags_.value("function_tag", "function_call");
  const std::map<std::string, const char*> roles = {
      {tags_.value("user_tag", "human"), "user"},
      {tags_.value("assistant_tag", "gpt"), "assistant"},
      {tags_.value("system_tag", "system"), "system"},
      {tags_.value("observation_tag", "observation"), "tool"}};
  Json messages = Json::array();
  const std::string system = text_of(row, column("system", "system"), where);
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  for (const Json& message : row[key]) {
    check(message.is_object() && message.contains(role_tag), ErrorCode::kFailed, where,
          ": a message lacks \"", role_tag, "\"; name the tags in dataset_info.json");
    const bool calls = message.contains("tool_calls");
    check(message.contains(content_tag) || calls, ErrorCode::kFailed, where, ": a message lacks \"",
          content_tag, "\"; name the tags in dataset_info.json");
    const std::string role = text_of(message, role_tag, where);
    const Json content = message.value(content_tag, Json(""));
    if (role == function_tag && content.is_string()) {
      const Json call = Json::parse(content.get<std::string>(), nullptr, false);
      messages.push_back({{"role", "assistant"},
                          {"content", ""},
                          {"tool_calls", {{{"type", "function"}, {"function", call}}}}});
      continue;
    }
    const auto found = roles.find(role);
    check(found != roles.end(), ErrorCode::kFailed, where, ": the role ", role,
          " is none of the tags in dataset_info.json");
    Json turn = {{"role", found->second}, {"content", content}};
    if (calls) turn["tool_calls"] = message["tool_calls"];
    if (!learn_flag(message, where)) turn[kLearn] = false;
    messages.push_back(std::move(turn));
  }
  return messages;
}

}  // namespace zhiyin::chats
