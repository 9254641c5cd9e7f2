// What a model reads in one forward pass: tokens of one or more sequences.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/kv_cache.h"
#include "ops/ops.h"

namespace zhiyin {

// ids in the order of the spans, which cover them. A token's position is its span's past plus its
// place in the span, so packed sequences each start at 0.
struct Batch {
  std::vector<int32_t> ids;
  std::vector<Span> spans;

  // Appends tokens of a sequence of which `past` are in the cache already.
  void add(std::span<const int32_t> tokens, int64_t past = 0, int sequence = 0) {
    spans.push_back(
        {static_cast<int64_t>(ids.size()), static_cast<int64_t>(tokens.size()), past, sequence});
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  }
  std::vector<int64_t> positions() const {
    std::vector<int64_t> all;
    for (const Span& span : spans) {
      for (int64_t i = 0; i < span.count; ++i) all.push_back(span.past + i);
    }
    return all;
  }
};

struct ForwardOptions {
  // Keys and values of earlier tokens; those of this batch are added. nullptr: none are kept, and
  // gradients can flow.
  KvCache* cache = nullptr;
  // Called with the input of each block and, as the last, the output of the final norm.
  std::function<void(int64_t, const Tensor&)> on_hidden;
  // With a tape: keeps what each block computes rather than computing it again on the way back. A
  // third less work for the memory of all blocks; the gradients are the same to the bit.
  bool keep_activations = false;
};

}  // namespace zhiyin
