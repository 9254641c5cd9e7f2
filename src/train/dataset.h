// What training learns from: rows of tokens, some of which are labels.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/ops.h"

namespace zhiyin {

struct TrainRow {
  std::vector<int32_t> ids;
  // One an id: the id itself where the model is to learn to write it, else kIgnoreLabel. The first
  // is never learned, since nothing stands before it.
  std::vector<int32_t> labels;
  // A row of weight 2 counts as the same row given twice.
  float weight = 1;

  // Labels that are learned.
  int64_t label_count() const {
    int64_t count = 0;
    for (size_t i = 1; i < labels.size(); ++i) count += labels[i] != kIgnoreLabel ? 1 : 0;
    return count;
  }
};

}  // namespace zhiyin
