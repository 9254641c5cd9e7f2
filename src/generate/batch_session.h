// Several conversations with a causal model, decoded together: the weights are read once for a
// token of each of them. A server adds an answer whenever a request comes; the others go on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "generate/session.h"

namespace zhiyin {

// Not thread-safe.
class BatchSession {
 public:
  // Holds up to max_tokens tokens of all answers together; each begins a page of the cache.
  BatchSession(const CausalLm& model, Context& context, KvType type, int64_t max_tokens);

  // Begins an answer and gives its number. The sampler and what the options point to must live
  // until the answer ends; the sampler sees the prompt as history. Throws kUsage where the prompt
  // alone does not fit.
  int add(std::span<const int32_t> prompt, Sampler& sampler, const GenerateOptions& options);

  // Reads the prompts added since the last step, each by itself, and adds a token to every answer
  // that has not ended; an answer's tokens do not depend on its company. False: all have ended.
  // An answer for which the cache has no more room ends with kLength. After Context::cancel() every
  // answer ends with kCancelled.
  bool step();

  // Ends an answer with kCancelled, or forgets one that has ended. Gives what it was.
  Generation take(int answer);
  bool ended(int answer) const { return at(answer).ended; }

 private:
  struct Answer {
    int sequence = 0;  // of the cache, until it ends
    std::vector<int32_t> prompt;
    Sampler* sampler = nullptr;
    GenerateOptions options;
    std::optional<NameSpanState> spans;
    Generation result;
    bool ended = false;
  };
  const Answer& at(int answer) const;
  void read_prompt(Answer& answer);
  // Chooses the next token from its logits, [vocabulary].
  void choose(Answer& answer, std::span<float> logits);
  void end(Answer& answer, FinishReason reason);
  void decode();

  const CausalLm& model_;
  Context& context_;
  KvCache cache_;
  std::map<int, Answer> answers_;
  int next_answer_ = 0;
};

}  // namespace zhiyin
