#include "generate/session.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "generate/passes.h"

namespace zhiyin {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

Session::Session(const CausalLm& model, Context& context, KvType type, int64_t max_tokens)
    : model_(model),
      context_(context),
      cache_(context, model.kv_shape(), type, max_tokens),
      sequence_(cache_.add_sequence()),
      max_tokens_(max_tokens) {}

size_t Session::known_prefix(std::span<const int32_t> tokens) const {
  if (tokens.empty()) return 0;
  const auto same = std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
  return std::min(static_cast<size_t>(same.second - tokens.begin()), tokens.size() - 1);
}

Tensor Session::prefill(std::span<const int32_t> tokens, const GenerateOptions& options) {
  check(!tokens.empty(), ErrorCode::kUsage, "the prompt is empty: there is no token to go on from");
  const auto count = static_cast<int64_t>(tokens.size());
  check(count <= max_tokens_, ErrorCode::kUsage, "the prompt has ", count,
        " tokens, the context holds ", max_tokens_,
        "; shorten the prompt or raise the context with --ctx");
  const size_t kept = known_prefix(tokens);
  cache_.truncate(sequence_, static_cast<int64_t>(kept));
  tokens_.resize(kept);
  return prefill_sequence(model_, cache_, sequence_, tokens.subspan(kept), [&](int64_t done) {
    const auto end = static_cast<ptrdiff_t>(kept) + done;
    tokens_.assign(tokens.begin(), tokens.begin() + end);
    if (options.on_prefill) options.on_prefill(end, count);
  });
}

Generation Session::generate(std::span<const int32_t> prompt, Sampler& sampler,
                             const GenerateOptions& options) {
  Generation result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  auto start = std::chrono::steady_clock::now();
  try {
    result.reused_tokens = static_cast<int64_t>(known_prefix(prompt));
    Tensor logits = prefill(prompt, options);
    result.prompt_ms = milliseconds_since(start);
    start = std::chrono::steady_clock::now();
    sampler.reset_history();
    for (const int32_t id : prompt) sampler.accept(id);
    std::optional<NameSpanState> spans;
    if (options.names != nullptr) spans.emplace(*options.names);
    for (int64_t n = 0; options.max_tokens < 0 || n < options.max_tokens; ++n) {
      const std::span<float> choices(logits.data(), static_cast<size_t>(logits.elements()));
      if (spans) spans->mask(choices);
      const int32_t id = sampler.sample(choices);
      sampler.accept(id);
      if (spans) spans->accept(id);
      result.ids.push_back(id);
      if (options.stop.contains(id) || (options.on_token && !options.on_token(id))) {
        result.reason = FinishReason::kStop;
        break;
      }
      const bool last = options.max_tokens >= 0 && n + 1 == options.max_tokens;
      if (last || static_cast<int64_t>(tokens_.size()) >= max_tokens_) break;
      const NextToken next{sequence_, id};
      logits = decode_sequences(model_, cache_, {&next, 1});
      tokens_.push_back(id);
    }
  } catch (const Cancelled&) {
    // What a forward pass had begun is dropped; the tokens before it stay usable.
    context_.reset_cancel();
    cache_.truncate(sequence_, static_cast<int64_t>(tokens_.size()));
    result.reason = FinishReason::kCancelled;
  }
  result.predicted_ms = milliseconds_since(start);
  return result;
}

}  // namespace zhiyin
