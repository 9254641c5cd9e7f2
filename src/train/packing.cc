#include "train/packing.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace zhiyin {

std::vector<TrainUnit> single_units(std::span<const TrainRow> rows) {
  std::vector<TrainUnit> units;
  for (const TrainRow& row : rows) units.push_back({&row});
  return units;
}

std::vector<TrainUnit> packed_units(std::span<const TrainRow> rows, int64_t max_tokens) {
  const auto length = [&](size_t row) { return static_cast<int64_t>(rows[row].ids.size()); };
  std::vector<size_t> longest_first(rows.size());
  std::iota(longest_first.begin(), longest_first.end(), size_t{0});
  std::sort(longest_first.begin(), longest_first.end(), [&](size_t a, size_t b) {
    return length(a) != length(b) ? length(a) > length(b) : a < b;
  });
  std::vector<std::vector<size_t>> packs;
  std::multimap<int64_t, size_t> packs_by_space;  // tokens left -> pack
  for (const size_t row : longest_first) {
    size_t pack = packs.size();
    int64_t space = max_tokens;
    if (const auto tightest = packs_by_space.lower_bound(length(row));
        tightest != packs_by_space.end()) {
      space = tightest->first;
      pack = tightest->second;
      packs_by_space.erase(tightest);
    } else {
      packs.emplace_back();
    }
    packs[pack].push_back(row);
    if (space > length(row)) packs_by_space.emplace(space - length(row), pack);
  }
  for (std::vector<size_t>& pack : packs) std::sort(pack.begin(), pack.end());
  std::sort(packs.begin(), packs.end());
  std::vector<TrainUnit> units;
  for (const std::vector<size_t>& pack : packs) {
    TrainUnit& unit = units.emplace_back();
    for (const size_t row : pack) unit.push_back(&rows[row]);
  }
  return units;
}

}  // namespace zhiyin
