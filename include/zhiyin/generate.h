// Asking a model for text.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

// What is not set comes from the model's own defaults, then from llama.cpp's (temperature 0.8,
// top-k 40, top-p 0.95, min-p 0.05).
struct SamplingOptions {
  std::optional<uint64_t> seed;
  std::optional<double> temperature, top_p, min_p, typical_p, top_n_sigma;
  std::optional<int> top_k;
  std::optional<double> xtc_probability, xtc_threshold;
  std::optional<int> repeat_last_n;
  std::optional<double> repeat_penalty, presence_penalty, frequency_penalty;
  std::optional<double> dry_multiplier, dry_base;
  std::optional<int> dry_allowed_length, dry_penalty_last_n;
  std::optional<double> dynatemp_range, dynatemp_exponent;
  std::optional<int> mirostat;
  std::optional<double> mirostat_tau, mirostat_eta;
  std::map<int32_t, float> logit_bias;
};

struct GenerateRequest {
  // Either a conversation, rendered with the model's template …
  std::string messages;  // JSON array
  std::string tools;     // JSON array
  // … or, where messages is empty, text as it is: special tokens are recognised, BOS is added where
  // the tokenizer does so.
  std::string raw_prompt;

  SamplingOptions sampling;
  int64_t max_tokens = -1;        // < 0: until it stops or the context is full
  std::vector<std::string> stop;  // texts that end the answer and are not part of it
  // Where given: between [[ and ]] the answer can hold one of these names and nothing else. See
  // Stickers.
  std::vector<std::string> names;
  // Whether likely tokens (what followed the last ones before, what a draft model says) are put
  // through the model several at a time: "auto", as many as pays; "always"; "off". The answer for a
  // seed is the same.
  std::string speculate = "auto";
  // Pieces of the answer as they come: whole UTF-8 characters, no stop text.
  std::function<void(std::string_view)> on_text;
  std::function<void(int64_t done, int64_t total)> on_prefill;
};

struct GenerateResult {
  std::string text;
  std::vector<int32_t> ids, prompt_ids;
  std::string finish_reason;  // "stop", "length", "cancelled"
  int64_t prompt_n = 0, reused_n = 0, predicted_n = 0;
  double prompt_ms = 0, predicted_ms = 0, load_ms = 0;
  // Tokens of the answer that were proposed, and those of them that the model agreed with.
  int64_t draft_n = 0, draft_accepted_n = 0;
};

// A conversation that keeps its cache: what a request shares with the one before is not computed
// again. One thread at a time; the models must outlive it.
class Generator {
 public:
  // context: tokens it can hold; 0: as many as the model was trained for and memory allows.
  // draft: a smaller model that proposes tokens. Throws kUnsupported unless its vocabulary is the
  // model's.
  Generator(Model& model, int64_t context, Model* draft = nullptr);
  Generator(Generator&&) noexcept;
  ~Generator();

  GenerateResult run(const GenerateRequest& request);
  int64_t context() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zhiyin
