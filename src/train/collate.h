// Rows packed into batches that fit memory. Rows of one batch do not see each other, so how they
// are packed changes neither loss nor gradients, only speed: each matrix is decoded once a batch.
#pragma once

#include <span>
#include <vector>

#include "nn/batch.h"
#include "train/dataset.h"

namespace zhiyin {

struct MicroBatch {
  Batch batch;
  std::vector<int32_t> labels;  // of each position: the id that follows, or kIgnoreLabel
  std::vector<float> weights;   // of each position's label
};

// In the order of the rows, each batch of at most max_tokens unless a single row is longer. Tokens
// behind the last label are left out, as no loss depends on them; so are rows without labels.
std::vector<MicroBatch> collate(std::span<const TrainRow* const> rows, int64_t max_tokens);

}  // namespace zhiyin
