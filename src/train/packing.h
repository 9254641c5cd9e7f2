// Packing: short rows put together until they fill the cutoff, so that every unit of an update is
// about equally long. Rows of a pack do not see each other and each starts at position 0
// ("neat packing"), so a pack's loss and gradients are those of its rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/dataset.h"

namespace zhiyin {

// What counts as one row of an update: a row, or a pack of rows.
using TrainUnit = std::vector<const TrainRow*>;

// Each row alone, in the order given.
std::vector<TrainUnit> single_units(std::span<const TrainRow> rows);
// Every row once, in packs of at most max_tokens: best-fit decreasing (as LLaMA-Factory's
// greedy_knapsack). A row that is longer stays alone; none is cut or dropped. Packs stand in the
// order of their first row in `rows`.
std::vector<TrainUnit> packed_units(std::span<const TrainRow> rows, int64_t max_tokens);

}  // namespace zhiyin
