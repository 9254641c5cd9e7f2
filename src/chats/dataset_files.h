// The files of a data set: rows as OpenAI messages, and dataset_info.json, which tells both zhiyin
// and LLaMA-Factory what they are.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
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

// Enters name -> file_name into folder/dataset_info.json and keeps what else stands there. Throws
// kFailed when the file is there but is no JSON object.
void add_dataset(const std::string& folder, const std::string& name, const std::string& file_name,
                 DatasetKind kind = DatasetKind::kRows);

// Takes the entry out again; no error where there is none.
void remove_dataset(const std::string& folder, const std::string& name);

}  // namespace zhiyin::chats
