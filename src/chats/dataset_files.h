// The files of a data set: rows as OpenAI messages, and dataset_info.json, which tells both zhiyin
// and LLaMA-Factory what they are.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "chats/turns.h"

namespace zhiyin::chats {

// [{"role": "system", "content": system}, {"role": "user", …}, …]; no system message where it is
// empty.
nlohmann::ordered_json messages_json(std::span<const RowTurn> turns, const std::string& system);

// One line of a .jsonl file, without the line end:
//   {"messages": [{"role": "user", "content": "…"}, …], "message_ids": [7, 8], "weight": 2}
// A system message stands first unless `system` is empty; ids and weight are left out when empty
// or 1. An answer that is context alone has a "weight" of 0 of its own, as in OpenAI's format.
// LLaMA-Factory ignores all of these.
std::string row_json(std::span<const RowTurn> turns, const std::string& system,
                     std::span<const int64_t> message_ids, double weight = 1);

enum class DatasetKind {
  kRows,   // row_json
  kPairs,  // preference_json
};

// folder/dataset_info.json, with what else stands there kept.
class DatasetInfo {
 public:
  // Throws kFailed when the file is there but is no JSON object.
  explicit DatasetInfo(const std::string& folder);

  void add(const std::string& name, const std::string& file_name,
           DatasetKind kind = DatasetKind::kRows);
  void remove(const std::string& name);  // no error where there is none
  std::string text() const;              // of the file

 private:
  nlohmann::ordered_json info_;
};

}  // namespace zhiyin::chats
