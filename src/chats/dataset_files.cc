#include "chats/dataset_files.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "chats/dataset_layout.h"

namespace zhiyin::chats {
namespace {

using Json = nlohmann::ordered_json;

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

DatasetInfo::DatasetInfo(const std::string& folder) : info_(Json::object()) {
  const std::string path = cat(folder, "/dataset_info.json");
  if (!file_exists(path)) return;
  info_ = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check(info_.is_object(), ErrorCode::kFailed, path,
        ": is not a JSON object of data sets; correct it or take it away");
}

void DatasetInfo::add(const std::string& name, const std::string& file_name, DatasetKind kind) {
  Json& entry = info_[name];
  entry = {{"file_name", file_name}};
  entry.update(openai_layout());
  if (kind == DatasetKind::kRows) return;
  entry["ranking"] = true;
  entry["columns"]["chosen"] = "chosen";
  entry["columns"]["rejected"] = "rejected";
}

void DatasetInfo::remove(const std::string& name) { info_.erase(name); }

std::string DatasetInfo::text() const { return info_.dump(2) + "\n"; }

}  // namespace zhiyin::chats
