// What must hold of any import, for the tests that make one.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "chats/import.h"

namespace zhiyin::chats {

// The rows of a .jsonl file; none where there is no such file.
inline std::vector<nlohmann::json> read_jsonl(const std::string& path) {
  std::vector<nlohmann::json> rows;
  if (!file_exists(path)) return rows;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

// The accounts balance, and rows have the shape the peers demand.
inline void check_invariants(const ImportSummary& summary,
                             const std::vector<nlohmann::json>& rows) {
  int64_t dropped = 0;
  for (const auto& [reason, count] : summary.dropped) dropped += count;
  EXPECT_EQ(summary.used + dropped, summary.messages);
  EXPECT_EQ(static_cast<int64_t>(rows.size()), summary.rows + summary.val_rows);
  std::set<int64_t> ids;
  int64_t count = 0;
  for (const nlohmann::json& row : rows) {
    nlohmann::json messages = row["messages"];
    if (messages[0]["role"] == "system") messages.erase(0);
    EXPECT_EQ(messages.size() % 2, 0u);
    for (size_t i = 0; i < messages.size(); ++i) {
      EXPECT_EQ(messages[i]["role"], i % 2 == 0 ? "user" : "assistant");
      EXPECT_NE(messages[i]["content"], "");
    }
    EXPECT_FALSE(messages.back().contains("weight")) << "nothing to learn at the end";
    for (const nlohmann::json& id : row["message_ids"]) ids.insert(id.get<int64_t>());
    count += static_cast<int64_t>(row["message_ids"].size());
  }
  EXPECT_EQ(count, summary.used);
  EXPECT_EQ(static_cast<int64_t>(ids.size()), count) << "a message is in two rows";
}

}  // namespace zhiyin::chats
