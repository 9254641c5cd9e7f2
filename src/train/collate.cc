#include "train/collate.h"

namespace zhiyin {
namespace {

// Positions whose output some label needs: all before the last label.
size_t positions_needed(const TrainRow& row) {
  for (size_t i = row.labels.size(); i > 1; --i) {
    if (row.labels[i - 1] != kIgnoreLabel) return i - 1;
  }
  return 0;
}

}  // namespace

std::vector<MicroBatch> collate(std::span<const TrainRow* const> rows, int64_t max_tokens) {
  std::vector<MicroBatch> batches;
  for (const TrainRow* row : rows) {
    const size_t count = positions_needed(*row);
    if (count == 0) continue;
    if (batches.empty() ||
        static_cast<int64_t>(batches.back().batch.ids.size() + count) > max_tokens) {
      batches.emplace_back();
    }
    MicroBatch& target = batches.back();
    target.batch.add(std::span(row->ids).first(count));
    target.labels.insert(target.labels.end(), row->labels.begin() + 1,
                         row->labels.begin() + 1 + static_cast<std::ptrdiff_t>(count));
    target.weights.insert(target.weights.end(), count, row->weight);
  }
  return batches;
}

}  // namespace zhiyin
