// The forward passes of generation: a prompt in parts, a few tokens of a sequence, and one token of
// each of several sequences.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "models/task.h"

namespace zhiyin {

// Adds `tokens` to the end of a sequence of the cache and gives the logits after the last of them,
// [vocabulary]. Long ones go through the model in parts; on_part hears after each how many are
// done.
Tensor prefill_sequence(const CausalLm& model, KvCache& cache, int sequence,
                        std::span<const int32_t> tokens,
                        const std::function<void(int64_t)>& on_part = {});

// Adds a few tokens to the end of a sequence and gives the logits after each, [tokens, vocabulary].
// Up to kFewRows tokens they are the same to the bit as if they were added one by one.
Tensor extend_sequence(const CausalLm& model, KvCache& cache, int sequence,
                       std::span<const int32_t> tokens);

// A sequence of the cache and the token to add to it.
struct NextToken {
  int sequence;
  int32_t id;
};
// Adds one token to each of several different sequences and gives the logits after each, [tokens,
// vocabulary]. The weights are read once for all of them.
Tensor decode_sequences(const CausalLm& model, KvCache& cache, std::span<const NextToken> tokens);

// Bytes of weights that a decoded token reads: every matrix once, of the embedding one row.
int64_t weight_bytes(const CausalLm& model);

}  // namespace zhiyin
