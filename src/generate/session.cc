#include "generate/session.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/stopwatch.h"
#include "generate/passes.h"

namespace zhiyin {

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

Tensor Session::advance(std::span<const int32_t> tokens) {
  Tensor logits = extend_sequence(model_, cache_, sequence_, tokens);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return logits;
}

void Session::truncate(size_t length) {
  cache_.truncate(sequence_, static_cast<int64_t>(length));
  tokens_.resize(length);
}

Tensor Session::prefill(std::span<const int32_t> tokens, const GenerateOptions& options) {
  check(!tokens.empty(), ErrorCode::kUsage, "the prompt is empty: there is no token to go on from");
  const auto count = static_cast<int64_t>(tokens.size());
  check(count <= max_tokens_, ErrorCode::kUsage, "the prompt has ", count,
        " tokens, the context holds ", max_tokens_,
        "; shorten the prompt or raise the context with --ctx");
  const size_t kept = known_prefix(tokens);
  truncate(kept);
  return prefill_sequence(model_, cache_, sequence_, tokens.subspan(kept), [&](int64_t done) {
    const auto end = static_cast<ptrdiff_t>(kept) + done;
    tokens_.assign(tokens.begin(), tokens.begin() + end);
    if (options.on_prefill) options.on_prefill(end, count);
  });
}

void Session::read(std::span<const int32_t> tokens, size_t from,
                   const std::function<void(size_t, std::span<float>)>& on_logits) {
  const size_t kept = known_prefix(tokens);
  truncate(kept);
  Batch batch;
  batch.add(tokens.subspan(kept), static_cast<int64_t>(kept), sequence_);
  const Tensor hidden = model_.forward(batch, {.cache = &cache_, .on_hidden = {}});
  tokens_.assign(tokens.begin(), tokens.end());
  // A few at a time: the logits of a token take as much memory as hundreds of hidden states.
  for (auto at = static_cast<int64_t>(std::max(from, kept) - kept); at < hidden.dim(0);
       at += kFewRows) {
    Tensor logits = model_.logits(hidden.slice(0, at, std::min(at + kFewRows, hidden.dim(0))));
    for (int64_t row = 0; row < logits.dim(0); ++row) {
      on_logits(kept + static_cast<size_t>(at + row),
                {logits.row(row), static_cast<size_t>(logits.dim(1))});
    }
  }
}

Generation Session::generate(std::span<const int32_t> prompt, Sampler& sampler,
                             const GenerateOptions& options) {
  Generation result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  const size_t limit = options.max_tokens < 0 ? SIZE_MAX : static_cast<size_t>(options.max_tokens);
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
    Speculator* const speculator = options.speculator;
    if (speculator != nullptr) speculator->begin(prompt);
    std::vector<int32_t> proposed;  // went through the model behind the last token taken
    bool ended = false;
    while (!ended && result.ids.size() != limit) {
      // A row of logits for each token proposed, as long as the row before it gave that token, and
      // one for the token after them.
      size_t taken = 0;
      int32_t id = 0;
      for (size_t row = 0; row <= proposed.size(); ++row) {
        const std::span<float> choices(logits.row(static_cast<int64_t>(row)),
                                       static_cast<size_t>(logits.dim(1)));
        if (spans) spans->mask(choices);
        id = sampler.sample(choices);
        sampler.accept(id);
        if (spans) spans->accept(id);
        if (speculator != nullptr) speculator->add(id);
        result.ids.push_back(id);
        ended = options.stop.contains(id) || (options.on_token && !options.on_token(id));
        if (row == proposed.size() || proposed[row] != id) break;
        ++taken;
        if (ended) break;
      }
      if (speculator != nullptr) speculator->judged(static_cast<int64_t>(taken));
      // The last token is not in the cache, though a stop token may have been proposed.
      const size_t known = prompt.size() + result.ids.size() - 1;
      if (known < tokens_.size()) truncate(known);
      if (ended) {
        result.reason = FinishReason::kStop;
        break;
      }
      if (result.ids.size() == limit || static_cast<int64_t>(tokens_.size()) >= max_tokens_) break;
      proposed.clear();
      if (speculator != nullptr) {
        const size_t room =
            std::min(limit - result.ids.size(), static_cast<size_t>(max_tokens_) - tokens_.size()) -
            1;
        proposed = speculator->propose(static_cast<int64_t>(std::min<size_t>(room, kFewRows - 1)),
                                       sampler, spans);
      }
      std::vector<int32_t> next{id};
      next.insert(next.end(), proposed.begin(), proposed.end());
      const auto step = std::chrono::steady_clock::now();
      logits = advance(next);
      if (speculator != nullptr) {
        speculator->measured(static_cast<int64_t>(next.size()), seconds_since(step));
      }
    }
  } catch (const Cancelled&) {
    // What a forward pass had begun is dropped; the tokens before it stay usable.
    context_.reset_cancel();
    truncate(tokens_.size());
    result.reason = FinishReason::kCancelled;
  }
  result.predicted_ms = milliseconds_since(start);
  if (options.speculator != nullptr) result.speculation = options.speculator->counts();
  return result;
}

}  // namespace zhiyin
