// One conversation with a causal model: its place in a KV cache, prefill that reuses what is there,
// and the decode loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "generate/name_spans.h"
#include "generate/sampler.h"
#include "generate/speculator.h"
#include "models/task.h"

namespace zhiyin {

// Tokens that end an answer, each with where it is known from ("tokenizer.ggml.eos_token_id").
using StopSet = std::map<int32_t, std::string>;

enum class FinishReason { kStop, kLength, kCancelled };

struct GenerateOptions {
  int64_t max_tokens = -1;  // < 0: as many as the context holds
  StopSet stop;
  // Where given, what stands between [[ and ]] in the answer is one of its names.
  const NameSpans* names = nullptr;
  // Where given, proposes tokens that are put through the model together; the text is the same.
  Speculator* speculator = nullptr;
  // Called with each token that is no stop token; false ends the answer with kStop.
  std::function<bool(int32_t)> on_token;
  // Called between parts of a long prompt with tokens done and tokens in all.
  std::function<void(int64_t, int64_t)> on_prefill;
};

struct Generation {
  std::vector<int32_t> ids;  // the stop token, if one ended it, included
  FinishReason reason = FinishReason::kLength;
  int64_t prompt_tokens = 0, reused_tokens = 0;  // reused ones were in the cache
  double prompt_ms = 0, predicted_ms = 0;
  SpeculationCounts speculation;
};

// Not thread-safe; several sessions may run a model at the same time.
class Session {
 public:
  // Holds up to max_tokens tokens, prompt and answers together.
  Session(const CausalLm& model, Context& context, KvType type, int64_t max_tokens);

  // Logits of the token after `tokens`, [vocabulary]. What the cache holds of their beginning is
  // not computed again. Throws kUsage with both counts when they do not fit.
  Tensor prefill(std::span<const int32_t> tokens, const GenerateOptions& options = {});

  // The answer to a prompt. The sampler sees the prompt as history.
  Generation generate(std::span<const int32_t> prompt, Sampler& sampler,
                      const GenerateOptions& options);

  // Reads tokens like prefill, all in one pass, and shows the logits after each of them from number
  // `from` on, or from the first that the cache did not hold.
  void read(std::span<const int32_t> tokens, size_t from,
            const std::function<void(size_t, std::span<float>)>& on_logits);

  // How many of the tokens, from the first on, are in the cache and can stay there: not the last,
  // whose logits are wanted and not kept.
  size_t known_prefix(std::span<const int32_t> tokens) const;

  const KernelTable& kernels() const { return context_.kernels(); }
  int64_t max_tokens() const { return max_tokens_; }
  // Tokens in the cache.
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int64_t cache_bytes() const { return cache_.bytes(); }

 private:
  // Logits after each of the tokens, which are added to the cache.
  Tensor advance(std::span<const int32_t> tokens);
  // Forgets all but the first `length` tokens.
  void truncate(size_t length);

  const CausalLm& model_;
  Context& context_;
  KvCache cache_;
  int sequence_;
  int64_t max_tokens_;
  std::vector<int32_t> tokens_;
};

}  // namespace zhiyin
