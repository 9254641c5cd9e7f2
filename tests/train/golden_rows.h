// Rows of the golden runs in tests/data/lora.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "train/dataset.h"

namespace zhiyin::testing {

// [{"ids": …, "labels": …}, …]
inline std::vector<TrainRow> rows_of(const nlohmann::json& window) {
  std::vector<TrainRow> rows;
  for (const nlohmann::json& row : window) {
    rows.push_back({.ids = row.at("ids"), .labels = row.at("labels"), .weight = 1});
  }
  return rows;
}

inline std::vector<const TrainRow*> pointers(const std::vector<TrainRow>& rows) {
  std::vector<const TrainRow*> all;
  for (const TrainRow& row : rows) all.push_back(&row);
  return all;
}

}  // namespace zhiyin::testing
