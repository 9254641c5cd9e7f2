#include "generate/batch_session.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/stopwatch.h"
#include "generate/passes.h"

namespace zhiyin {
namespace {

// Sequences of one forward pass: so many rows a product computes alike in any company.
constexpr size_t kMostTogether = kFewRows;

}  // namespace

BatchSession::BatchSession(const CausalLm& model, Context& context, KvType type, int64_t max_tokens)
    : model_(model), context_(context), cache_(context, model.kv_shape(), type, max_tokens) {}

const BatchSession::Answer& BatchSession::at(int answer) const {
  const auto found = answers_.find(answer);
  check(found != answers_.end(), ErrorCode::kFailed, "batch: there is no answer ", answer);
  return found->second;
}

int BatchSession::add(std::span<const int32_t> prompt, Sampler& sampler,
                      const GenerateOptions& options) {
  check(!prompt.empty(), ErrorCode::kUsage, "the prompt is empty: there is no token to go on from");
  check(static_cast<int64_t>(prompt.size()) <= cache_.max_tokens(), ErrorCode::kUsage,
        "the prompt has ", prompt.size(), " tokens, the cache holds ", cache_.max_tokens(),
        "; shorten the prompt or give the cache more room");
  Answer& answer = answers_[next_answer_];
  answer.prompt.assign(prompt.begin(), prompt.end());
  answer.sampler = &sampler;
  answer.options = options;
  answer.sequence = cache_.add_sequence();
  answer.result.prompt_tokens = static_cast<int64_t>(prompt.size());
  if (options.names != nullptr) answer.spans.emplace(*options.names);
  sampler.reset_history();
  for (const int32_t id : prompt) sampler.accept(id);
  return next_answer_++;
}

void BatchSession::end(Answer& answer, FinishReason reason) {
  answer.ended = true;
  answer.result.reason = reason;
  cache_.remove(answer.sequence);
}

void BatchSession::choose(Answer& answer, std::span<float> logits) {
  Generation& result = answer.result;
  const GenerateOptions& options = answer.options;
  if (answer.spans) answer.spans->mask(logits);
  const int32_t id = answer.sampler->sample(logits);
  answer.sampler->accept(id);
  if (answer.spans) answer.spans->accept(id);
  result.ids.push_back(id);
  if (options.stop.contains(id) || (options.on_token && !options.on_token(id))) {
    end(answer, FinishReason::kStop);
  } else if (static_cast<int64_t>(result.ids.size()) == options.max_tokens) {
    end(answer, FinishReason::kLength);
  }
}

void BatchSession::read_prompt(Answer& answer) {
  const auto start = std::chrono::steady_clock::now();
  if (answer.options.max_tokens == 0) return end(answer, FinishReason::kLength);
  Tensor logits = prefill_sequence(model_, cache_, answer.sequence, answer.prompt, [&](int64_t n) {
    if (answer.options.on_prefill) answer.options.on_prefill(n, answer.result.prompt_tokens);
  });
  answer.result.prompt_ms = milliseconds_since(start);
  answer.prompt.clear();
  choose(answer, {logits.data(), static_cast<size_t>(logits.elements())});
}

void BatchSession::decode() {
  std::vector<Answer*> going;
  for (auto& [number, answer] : answers_) {
    if (answer.ended || !answer.prompt.empty()) continue;
    // Room is taken here, so that a full cache ends the answer that needs more and no other.
    try {
      cache_.reserve(answer.sequence, 1);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kOutOfMemory) throw;
      end(answer, FinishReason::kLength);
      continue;
    }
    going.push_back(&answer);
  }
  for (size_t first = 0; first < going.size(); first += kMostTogether) {
    const std::span<Answer*> group =
        std::span(going).subspan(first, std::min(kMostTogether, going.size() - first));
    std::vector<NextToken> next;
    for (const Answer* answer : group)
      next.push_back({answer->sequence, answer->result.ids.back()});
    const auto start = std::chrono::steady_clock::now();
    Tensor logits = decode_sequences(model_, cache_, next);
    const double ms = milliseconds_since(start);
    for (size_t i = 0; i < group.size(); ++i) {
      group[i]->result.predicted_ms += ms;
      choose(*group[i], {logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.dim(1))});
    }
  }
}

bool BatchSession::step() {
  try {
    decode();
    for (auto& [number, answer] : answers_) {
      if (answer.ended || answer.prompt.empty()) continue;
      try {
        read_prompt(answer);
      } catch (const Error& e) {
        // Room may come when another answer ends; without another it never does.
        const auto others = [&](const auto& entry) {
          return !entry.second.ended && entry.second.prompt.empty();
        };
        if (e.code() != ErrorCode::kOutOfMemory) throw;
        cache_.truncate(answer.sequence, 0);
        if (std::none_of(answers_.begin(), answers_.end(), others)) throw;
        break;
      }
    }
  } catch (const Cancelled&) {
    context_.reset_cancel();
    for (auto& [number, answer] : answers_) {
      if (!answer.ended) end(answer, FinishReason::kCancelled);
    }
  }
  return std::any_of(answers_.begin(), answers_.end(),
                     [](const auto& entry) { return !entry.second.ended; });
}

Generation BatchSession::take(int answer) {
  at(answer);
  Answer& known = answers_.at(answer);
  if (!known.ended) end(known, FinishReason::kCancelled);
  Generation result = std::move(known.result);
  answers_.erase(answer);
  return result;
}

}  // namespace zhiyin
