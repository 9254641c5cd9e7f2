#include "zhiyin/generate.h"

#include <algorithm>
#include <optional>
#include <random>

#include "api/model_impl.h"
#include "api/tokenizer_of.h"
#include "base/error.h"
#include "base/utf8.h"
#include "generate/name_spans.h"
#include "generate/passes.h"
#include "generate/session.h"

namespace zhiyin {
namespace {

template <typename To, typename... Sources>
void take_first(To& target, const Sources&... sources) {
  bool taken = false;
  ((!taken && sources ? (target = static_cast<To>(*sources), taken = true) : taken), ...);
}

// The request's wishes, then what the model's files say, then the defaults of the chain.
SamplerOptions sampler_options(const SamplingOptions& r, const GenerationDefaults& m,
                               const Tokenizer* tokenizer) {
  SamplerOptions o;
  const std::optional<double> greedy =
      m.do_sample == false ? std::optional<double>(0.0) : std::nullopt;
  take_first(o.temperature, r.temperature, greedy, m.temperature);
  take_first(o.top_p, r.top_p, m.top_p);
  take_first(o.min_p, r.min_p, m.min_p);
  take_first(o.typical_p, r.typical_p, m.typical_p);
  take_first(o.top_n_sigma, r.top_n_sigma, m.top_n_sigma);
  take_first(o.top_k, r.top_k, m.top_k);
  take_first(o.xtc_probability, r.xtc_probability, m.xtc_probability);
  take_first(o.xtc_threshold, r.xtc_threshold, m.xtc_threshold);
  take_first(o.repeat_last_n, r.repeat_last_n, m.penalty_last_n);
  take_first(o.repeat_penalty, r.repeat_penalty, m.repetition_penalty);
  take_first(o.presence_penalty, r.presence_penalty);
  take_first(o.frequency_penalty, r.frequency_penalty);
  take_first(o.dry_multiplier, r.dry_multiplier);
  take_first(o.dry_base, r.dry_base);
  take_first(o.dry_allowed_length, r.dry_allowed_length);
  take_first(o.dry_penalty_last_n, r.dry_penalty_last_n);
  take_first(o.dynatemp_range, r.dynatemp_range);
  take_first(o.dynatemp_exponent, r.dynatemp_exponent);
  take_first(o.mirostat, r.mirostat, m.mirostat);
  take_first(o.mirostat_tau, r.mirostat_tau, m.mirostat_tau);
  take_first(o.mirostat_eta, r.mirostat_eta, m.mirostat_eta);
  o.seed = r.seed ? *r.seed : std::random_device{}();
  o.logit_bias = r.logit_bias;
  if (o.dry_multiplier > 0 && tokenizer != nullptr) {
    // llama.cpp's sequence breakers.
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
      if (tokenizer->token_bytes(id).find_first_of("\n:\"*") != std::string_view::npos) {
        o.dry_breakers.insert(id);
      }
    }
  }
  return o;
}

// Lets text through except what may be, or is, the beginning of a stop text.
class StopTexts {
 public:
  explicit StopTexts(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      check(!text.empty(), ErrorCode::kUsage, "a stop text is empty");
      texts_.push_back(text);
    }
  }

  // What is safe to show; true in `stopped` when a stop text was found.
  std::string add(std::string_view more, bool& stopped) {
    held_ += more;
    size_t first = std::string::npos;
    for (const std::string& text : texts_) first = std::min(first, held_.find(text));
    if (first != std::string::npos) {
      stopped = true;
      std::string shown = held_.substr(0, first);
      held_.clear();
      return shown;
    }
    size_t keep = 0;
    for (const std::string& text : texts_) {
      for (size_t n = std::min(text.size() - 1, held_.size()); n > keep; --n) {
        if (held_.compare(held_.size() - n, n, text, 0, n) == 0) {
          keep = n;
          break;
        }
      }
    }
    std::string shown = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return shown;
  }
  std::string flush() { return std::exchange(held_, {}); }

 private:
  std::vector<std::string> texts_;
  std::string held_;
};

// Tokens of a draft are taken as they are: each must stand for the same text.
void check_same_vocabulary(const Model& model, const Model& draft) {
  const Tokenizer& ours = model.impl().need_tokenizer();
  const Tokenizer& other = draft.impl().need_tokenizer();
  const std::string path = draft.impl().files.path;
  const auto quoted = [](const Tokenizer& tokenizer, int32_t id) {
    return cat('"', printable(tokenizer.token_bytes(id)), '"');
  };
  constexpr const char* kRemedy = "; a draft must have the vocabulary of ";
  check(ours.vocab_size() == other.vocab_size(), ErrorCode::kUnsupported, path, ": has ",
        other.vocab_size(), " tokens, not ", ours.vocab_size(), kRemedy, model.impl().files.path);
  if (const auto id = first_other_token(ours, other)) {
    fail(ErrorCode::kUnsupported, path, ": token ", *id, " is ", quoted(other, *id), ", not ",
         quoted(ours, *id), kRemedy, model.impl().files.path);
  }
}

}  // namespace

struct Generator::Impl {
  Model& model;
  Session session;
  std::optional<Session> draft;
  double draft_share = 0;  // of the weights that a token reads, against the model's
  // Of the last request that speculated; what it has measured serves the next.
  std::string speculation;
  std::optional<Speculator> speculator;
  // Of the last request that had names.
  std::vector<std::string> names;
  std::optional<NameSpans> spans;

  Impl(Model& m, int64_t context, Model* draft_model)
      : model(m),
        session(m.impl().need_causal_lm(), *m.impl().context, m.impl().cache_type(),
                context > 0 ? context : m.impl().default_context()) {
    if (draft_model == nullptr) return;
    Model::Impl& d = draft_model->impl();
    check_same_vocabulary(m, *draft_model);
    draft.emplace(d.need_causal_lm(), *d.context, d.cache_type(),
                  std::min(session.max_tokens(), d.default_context()));
    draft_share = static_cast<double>(weight_bytes(d.need_causal_lm())) /
                  static_cast<double>(weight_bytes(m.impl().need_causal_lm()));
  }

  Speculator* speculator_of(const std::string& wanted) {
    if (wanted == "off") return nullptr;
    check(wanted == "auto" || wanted == "always", ErrorCode::kUsage, "speculate is \"", wanted,
          "\"; it must be auto, always or off");
    if (!speculator || speculation != wanted) {
      speculator.emplace(wanted == "auto" ? Speculation::kAuto : Speculation::kAlways,
                         draft ? &*draft : nullptr,
                         model.impl().need_causal_lm().config().vocab_size, draft_share);
      speculation = wanted;
    }
    return &*speculator;
  }

  const NameSpans* spans_of(const std::vector<std::string>& wanted) {
    if (wanted.empty()) return nullptr;
    if (!spans || names != wanted) {
      const Tokenizer& tokenizer = model.impl().need_tokenizer();
      std::vector<std::string_view> vocabulary;
      for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
        vocabulary.push_back(tokenizer.is_special(id) ? std::string_view()
                                                      : tokenizer.token_bytes(id));
      }
      spans.emplace(std::move(vocabulary), wanted);
      names = wanted;
    }
    return &*spans;
  }
};

Generator::Generator(Model& model, int64_t context, Model* draft)
    : impl_(std::make_unique<Impl>(model, context, draft)) {}
Generator::Generator(Generator&&) noexcept = default;
Generator::~Generator() = default;

int64_t Generator::context() const { return impl_->session.max_tokens(); }

GenerateResult Generator::run(const GenerateRequest& request) {
  Model::Impl& model = impl_->model.impl();
  const Tokenizer& tokenizer = model.need_tokenizer();
  GenerateResult result;
  if (!request.messages.empty()) {
    const std::string prompt = impl_->model.render({.messages = request.messages,
                                                    .tools = request.tools,
                                                    .add_generation_prompt = true,
                                                    .now = {}});
    // The template writes BOS itself where the model wants one.
    result.prompt_ids = tokenizer.encode(prompt, {.add_special = false, .parse_special = true});
  } else {
    result.prompt_ids =
        tokenizer.encode(request.raw_prompt, {.add_special = true, .parse_special = true});
  }
  Sampler sampler(sampler_options(request.sampling, model.files.generation, &tokenizer));
  StreamDecoder decoder(tokenizer);
  StopTexts stop_texts(request.stop);
  const auto emit = [&](const std::string& text) {
    if (text.empty()) return;
    result.text += text;
    if (request.on_text) request.on_text(text);
  };
  bool stopped = false;
  GenerateOptions options;
  options.max_tokens = request.max_tokens;
  options.stop = model.stop_set();
  options.names = impl_->spans_of(request.names);
  options.speculator = impl_->speculator_of(request.speculate);
  options.on_prefill = request.on_prefill;
  options.on_token = [&](int32_t id) {
    emit(stop_texts.add(decoder.add(id), stopped));
    return !stopped;
  };
  const Generation generation = impl_->session.generate(result.prompt_ids, sampler, options);
  if (!stopped) {
    emit(stop_texts.add(decoder.flush(), stopped));
    emit(stop_texts.flush());
  }
  result.ids = generation.ids;
  result.finish_reason = generation.reason == FinishReason::kStop     ? "stop"
                         : generation.reason == FinishReason::kLength ? "length"
                                                                      : "cancelled";
  result.prompt_n = generation.prompt_tokens;
  result.reused_n = generation.reused_tokens;
  result.predicted_n = static_cast<int64_t>(generation.ids.size());
  result.prompt_ms = generation.prompt_ms;
  result.predicted_ms = generation.predicted_ms;
  result.load_ms = model.load_ms;
  result.draft_n = generation.speculation.proposed;
  result.draft_accepted_n = generation.speculation.accepted;
  return result;
}

}  // namespace zhiyin
