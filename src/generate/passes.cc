#include "generate/passes.h"

#include <algorithm>

namespace zhiyin {
namespace {

// Tokens of a prompt that go through the model at a time: enough to share the cost of unpacking
// weights, few enough that activations stay small and a Ctrl-C is heard.
constexpr size_t kPrefillTokens = 512;

}  // namespace

Tensor prefill_sequence(const CausalLm& model, KvCache& cache, int sequence,
                        std::span<const int32_t> tokens,
                        const std::function<void(int64_t)>& on_part) {
  Tensor hidden;
  for (size_t done = 0; done < tokens.size();) {
    const size_t count = std::min(kPrefillTokens, tokens.size() - done);
    Batch batch;
    batch.add(tokens.subspan(done, count), cache.length(sequence), sequence);
    hidden = model.forward(batch, {.cache = &cache, .on_hidden = {}});
    done += count;
    if (on_part) on_part(static_cast<int64_t>(done));
  }
  return model.logits(hidden.slice(0, hidden.dim(0) - 1, hidden.dim(0)));
}

Tensor extend_sequence(const CausalLm& model, KvCache& cache, int sequence,
                       std::span<const int32_t> tokens) {
  Batch batch;
  batch.add(tokens, cache.length(sequence), sequence);
  return model.logits(model.forward(batch, {.cache = &cache, .on_hidden = {}}));
}

Tensor decode_sequences(const CausalLm& model, KvCache& cache, std::span<const NextToken> tokens) {
  Batch batch;
  for (const NextToken& token : tokens) {
    batch.add({&token.id, 1}, cache.length(token.sequence), token.sequence);
  }
  return model.logits(model.forward(batch, {.cache = &cache, .on_hidden = {}}));
}

int64_t weight_bytes(const CausalLm& model) {
  int64_t bytes = 0;
  for (const Weight& weight : model.frozen_matrices()) {
    const bool only_embedding =
        weight.name() == "model.embed_tokens.weight" && !model.config().tie_embeddings;
    if (only_embedding) continue;
    const PackedWeight* packed = weight.packed();
    bytes += packed != nullptr ? (weight.rows() + kPackRows - 1) / kPackRows * packed->group_bytes
                               : weight.bytes();
  }
  return bytes;
}

}  // namespace zhiyin
