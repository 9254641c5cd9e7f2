#include "chats/dataset_files.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::chats {
namespace {

using Json = nlohmann::ordered_json;

std::string info_path(const std::string& folder) { return cat(folder, "/dataset_info.json"); }

Json read_info(const std::string& folder) {
  const std::string path = info_path(folder);
  if (!file_exists(path)) return Json::object();
  Json info = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check(info.is_object(), ErrorCode::kFailed, path,
        ": is not a JSON object of data sets; correct it or take it away");
  return info;
}

void write_info(const std::string& folder, const Json& info) {
  write_file(info_path(folder), info.dump(2) + "\n");
}

}  // namespace

Json messages_json(std::span<const RowTurn> turns, const std::string& system) {
  Json messages = Json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  for (const RowTurn& turn : turns) {
    messages.push_back({{"role", turn.assistant ? "assistant" : "user"}, {"content", turn.text}});
    if (!turn.learned) messages.back()["weight"] = 0;
  }
  return messages;
}

std::string row_json(std::span<const RowTurn> turns, const std::string& system,
                     std::span<const int64_t> message_ids, double weight) {
  Json row = {{"messages", messages_json(turns, system)}};
  if (!message_ids.empty()) row["message_ids"] = message_ids;
  if (weight != 1) row["weight"] = weight;
  return row.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void add_dataset(const std::string& folder, const std::string& name, const std::string& file_name,
                 DatasetKind kind) {
  Json info = read_info(folder);
  info[name] = {{"file_name", file_name},
                {"formatting", "sharegpt"},
                {"columns", {{"messages", "messages"}}},
                {"tags",
                 {{"role_tag", "role"},
                  {"content_tag", "content"},
                  {"user_tag", "user"},
                  {"assistant_tag", "assistant"},
                  {"system_tag", "system"}}}};
  if (kind == DatasetKind::kPairs) {
    info[name]["ranking"] = true;
    info[name]["columns"]["chosen"] = "chosen";
    info[name]["columns"]["rejected"] = "rejected";
  }
  write_info(folder, info);
}

void remove_dataset(const std::string& folder, const std::string& name) {
  Json info = read_info(folder);
  if (info.erase(name) > 0) write_info(folder, info);
}

}  // namespace zhiyin::chats
