// Speculative decoding must leave the text as it is: for a seed the same tokens, over seeds the
// distribution of the model.
#include <gtest/gtest.h>

#include <cmath>

#include "generate/session.h"
#include "harness/check_op.h"
#include "harness/paths.h"
#include "io/load_weights.h"
#include "io/lora_file.h"
#include "io/model_files.h"
#include "models/family.h"
#include "nn/attach_adapter.h"

namespace zhiyin {
namespace {

using Ids = std::vector<int32_t>;

constexpr int64_t kContext = 192;
constexpr float kDraftScale = 1.0f;

// The small model of random weights; with an adapter it says other things, as a draft does.
struct Toy {
  Context context;
  ModelFiles files;
  std::unique_ptr<CausalLm> model;
  Session session;

  explicit Toy(const KernelTable* table, bool changed = false, int64_t length = kContext)
      : context({.threads = 1, .kernels = table}),
        files(open_model_files(testing::data_path("lora/base"), "")),
        model(make_causal_lm(*files.config, load_weights(context, files))),
        session(*model, context, KvType::kF16, length) {
    if (changed) {
      attach_adapter(context, read_lora_adapter(testing::data_path("lora/adapter_final")),
                     model->linears(), "adapter_final");
      for (Linear* linear : model->linears()) {
        for (Lora& lora : linear->adapters()) lora.scale *= kDraftScale;
      }
    }
  }

  int64_t vocabulary() const { return model->config().vocab_size; }
};

TEST(PromptLookup, FindsTheLongestMatchAndWhatFollowed) {
  PromptLookup lookup;
  for (const int32_t id : {1, 2, 3, 4, 9, 2, 3, 5, 7, 1, 2}) lookup.add(id);
  EXPECT_EQ(lookup.match(), 2);
  EXPECT_EQ(lookup.continuation(3), (Ids{3, 4, 9}));
  lookup.add(3);
  EXPECT_EQ(lookup.match(), 3);  // 1 2 3, though 2 3 stood later with another token behind it
  EXPECT_EQ(lookup.continuation(1), (Ids{4}));
  lookup.add(5);
  EXPECT_EQ(lookup.match(), 3);  // 2 3 5
  EXPECT_EQ(lookup.continuation(2), (Ids{7, 1}));
  lookup.add(6);
  EXPECT_EQ(lookup.match(), 0);
}

TEST(PromptLookup, TakesTheLatestOfEqualMatches) {
  PromptLookup lookup;
  for (const int32_t id : {1, 2, 3, 1, 2, 4, 1, 2}) lookup.add(id);
  EXPECT_EQ(lookup.continuation(2), (Ids{4, 1}));
}

TEST(PromptLookup, GoesRoundWhereThePlaceOverlapsTheEnd) {
  PromptLookup lookup;
  for (const int32_t id : {8, 1, 2, 3, 1, 2, 3}) lookup.add(id);
  EXPECT_EQ(lookup.match(), 3);
  EXPECT_EQ(lookup.continuation(8), (Ids{1, 2, 3, 1, 2, 3, 1, 2}));
}

TEST(PromptLookup, FindsNothingInATextWithoutRepeats) {
  PromptLookup lookup;
  for (int32_t id = 0; id < 1000; ++id) {
    lookup.add(id);
    ASSERT_EQ(lookup.match(), 0);
  }
  lookup.reset();
  EXPECT_TRUE(lookup.text().empty());
}

TEST(StepTimes, LiesBetweenWhatWasMeasured) {
  StepTimes times;
  EXPECT_EQ(times.of(4), 0);
  times.add(1, 0.010);
  EXPECT_DOUBLE_EQ(times.of(1), 0.010);
  EXPECT_DOUBLE_EQ(times.of(5), 0.014);  // assumed
  times.add(9, 0.018);
  EXPECT_DOUBLE_EQ(times.of(5), 0.014);
  EXPECT_DOUBLE_EQ(times.of(9), 0.018);
  times.add(9, 1.0);  // the machine was busy with something else
  EXPECT_LT(times.of(9), 0.03);
  for (int i = 0; i < 300; ++i) times.add(1, 0.010);
  EXPECT_DOUBLE_EQ(times.of(9), 0.018);  // long ago: assumed again
}

// What is proposed after a text that repeats itself, if a forward pass of n tokens takes
// seconds(n).
template <typename Seconds>
size_t proposed(const Seconds& seconds, bool repeats) {
  Speculator speculator(Speculation::kAuto, nullptr, 1000);
  speculator.begin(Ids{0});
  const Sampler sampler{SamplerOptions{}};
  size_t last = 0;
  for (int32_t i = 0; i < 200; ++i) {
    speculator.add(repeats ? i % 20 : i);
    last = speculator.propose(15, sampler, {}).size();
    const auto tokens = static_cast<int64_t>(last) + 1;
    speculator.measured(tokens, seconds(tokens));
    speculator.judged(static_cast<int64_t>(last));
  }
  return last;
}

TEST(Speculator, WeighsWhatATokenCosts) {
  const auto cheap = [](int64_t n) { return 0.01 + 0.0005 * static_cast<double>(n); };
  const auto dear = [](int64_t n) { return 0.01 * static_cast<double>(n); };
  const auto steep = [](int64_t n) { return n <= 4 ? 0.01 : 0.1; };
  EXPECT_EQ(proposed(cheap, true), 15u);
  EXPECT_EQ(proposed(cheap, false), 0u);
  EXPECT_EQ(proposed(dear, true), 0u);
  EXPECT_EQ(proposed(steep, true), 3u);
}

// Text that was never proposed counts too: where the look-up would have been wrong it stays silent.
TEST(Speculator, LearnsFromTokensThatItDidNotPropose) {
  Speculator speculator(Speculation::kAuto, nullptr, 1000);
  speculator.begin(Ids{});
  const Sampler sampler{SamplerOptions{}};
  speculator.measured(1, 0.01);
  speculator.measured(2, 0.0115);
  int32_t next = 100;
  for (int i = 0; i < 50; ++i) {  // 1 2 and always another token
    for (const int32_t id : {1, 2}) speculator.add(id);
    EXPECT_TRUE(i < 40 || speculator.propose(15, sampler, {}).empty());
    speculator.add(next++);
  }
}

SamplerOptions options_of(int variant, uint64_t seed) {
  SamplerOptions o;
  o.seed = seed;
  switch (variant) {
    case 0:
      o.temperature = 0;
      break;
    case 1:
      o.repeat_penalty = 1.3f;
      o.presence_penalty = 0.4f;
      o.dry_multiplier = 0.8f;
      break;
    case 2:
      o.xtc_probability = 0.5f;
      o.xtc_threshold = 0.05f;
      o.temperature = 1.5f;
      break;
    case 3:
      o.mirostat = 2;
      break;
    default:
      o.top_k = 3;
      o.temperature = 0.5f;
  }
  return o;
}

const Ids& prompt() {
  static const Ids ids{12, 34, 56, 78, 12, 34, 56, 90, 12, 34};
  return ids;
}

TEST(Speculation, TheTextForASeedIsTheSame) {
  for (const KernelTable* table : testing::kernel_tables()) {
    Toy plain(table), toy(table), draft(table, true);
    Speculator by_lookup(Speculation::kAlways, nullptr, toy.vocabulary());
    Speculator by_draft(Speculation::kAlways, &draft.session, toy.vocabulary());
    SpeculationCounts counts[2];
    for (int variant = 0; variant < 5; ++variant) {
      for (uint64_t seed = 0; seed < 2; ++seed) {
        GenerateOptions options;
        options.max_tokens = 60;
        Sampler sampler(options_of(variant, seed));
        const Ids wanted = plain.session.generate(prompt(), sampler, options).ids;
        for (Speculator* speculator : {&by_lookup, &by_draft}) {
          Sampler again(options_of(variant, seed));
          options.speculator = speculator;
          const Generation got = toy.session.generate(prompt(), again, options);
          ASSERT_EQ(got.ids, wanted) << table->name << ", variant " << variant << ", seed " << seed;
          EXPECT_EQ(toy.session.tokens(), plain.session.tokens());
          SpeculationCounts& all = counts[speculator == &by_draft];
          all.proposed += got.speculation.proposed;
          all.accepted += got.speculation.accepted;
        }
      }
    }
    for (const SpeculationCounts& all : counts) {  // both ends were reached
      EXPECT_GT(all.accepted, 0) << table->name;
      EXPECT_LT(all.accepted, all.proposed) << table->name;
    }
  }
}

// What the answer is when the draft is asked as it pays. The model is made out to be slow, so that
// it does.
void expect_the_same_with_a_draft_that_pays(const Ids& text, int64_t draft_length) {
  Toy plain(nullptr), toy(nullptr), draft(nullptr, true, draft_length);
  Speculator speculator(Speculation::kAuto, &draft.session, toy.vocabulary());
  for (int i = 0; i < 1000; ++i) speculator.measured(1, 1.0);
  GenerateOptions options;
  options.max_tokens = 80;
  // Of another text the draft knows nothing; of the first one again, at most the begin.
  const Ids other{5, 4, 3, 2, 1};
  for (const Ids& asked : {text, other, text}) {
    Sampler sampler(options_of(0, 0)), again(options_of(0, 0));
    options.speculator = nullptr;
    const Ids wanted = plain.session.generate(asked, sampler, options).ids;
    options.speculator = &speculator;
    const Generation got = toy.session.generate(asked, again, options);
    EXPECT_EQ(got.ids, wanted);
    EXPECT_GT(got.speculation.accepted, 0);
    EXPECT_FALSE(draft.session.tokens().empty());
  }
}

TEST(Speculation, ADraftThatPaysLeavesTheTextAsItIs) {
  expect_the_same_with_a_draft_that_pays(prompt(), kContext);
}

TEST(Speculation, OfALongTextTheDraftReadsTheEnd) {
  Ids text;
  for (int32_t i = 0; i < 100; ++i) text.push_back(i * i % 97);
  expect_the_same_with_a_draft_that_pays(text, kContext);
  expect_the_same_with_a_draft_that_pays(text, 48);  // less than the text, again and again
}

// Names that hold each other's beginnings, in tokens that hold one byte, a part of a name, the end
// of a span and the begin of the next, so that proposals run into, through and out of spans.
TEST(Speculation, KeepsToNameSpans) {
  Toy plain(nullptr), toy(nullptr), draft(nullptr, true);
  std::vector<std::string_view> vocabulary(static_cast<size_t>(toy.vocabulary()), "~");
  constexpr std::string_view kPieces[] = {"[[", "]]", "a", "b", "c", "ab", "bc", "]][[", "["};
  std::ranges::copy(kPieces, vocabulary.begin());
  const NameSpans spans(vocabulary, {"ab", "abc", "cab"});
  Speculator by_lookup(Speculation::kAlways, nullptr, toy.vocabulary());
  Speculator by_draft(Speculation::kAlways, &draft.session, toy.vocabulary());
  int names = 0;
  for (int variant = 0; variant < 5; ++variant) {
    SamplerOptions sampling = options_of(variant, 7);
    sampling.logit_bias = {{0, 2.5f}};  // or there would be no span
    GenerateOptions options;
    options.max_tokens = 100;
    options.names = &spans;
    Sampler sampler(sampling);
    const Ids wanted = plain.session.generate(prompt(), sampler, options).ids;
    std::string text;
    for (const int32_t id : wanted) text += vocabulary[static_cast<size_t>(id)];
    for (size_t at = 0; (at = text.find("[[", at)) != std::string::npos; at += 2) {
      const size_t end = text.find("]]", at);
      if (end == std::string::npos) continue;  // the answer ended there
      const std::string name = text.substr(at + 2, end - at - 2);
      EXPECT_TRUE(name == "ab" || name == "abc" || name == "cab") << name;
      ++names;
    }
    for (Speculator* speculator : {&by_lookup, &by_draft}) {
      Sampler again(sampling);
      options.speculator = speculator;
      const Generation got = toy.session.generate(prompt(), again, options);
      EXPECT_EQ(got.ids, wanted) << variant;
      EXPECT_GT(got.speculation.accepted, 0) << variant;
    }
  }
  EXPECT_GT(names, 10);
}

TEST(Speculation, ADraftOfLessContextForgetsTheBeginning) {
  constexpr int64_t kLength = 48;
  Toy plain(nullptr), toy(nullptr), draft(nullptr, true, kLength);
  Speculator speculator(Speculation::kAlways, &draft.session, toy.vocabulary());
  Sampler sampler(options_of(2, 5)), again(options_of(2, 5));
  GenerateOptions options;
  const Ids wanted = plain.session.generate(prompt(), sampler, options).ids;
  options.speculator = &speculator;
  EXPECT_EQ(toy.session.generate(prompt(), again, options).ids, wanted);
  EXPECT_LE(static_cast<int64_t>(draft.session.tokens().size()), kLength);
  EXPECT_NE(draft.session.tokens()[0], prompt()[0]);
}

TEST(Session, ReadShowsTheLogitsOfPrefill) {
  Toy toy(nullptr), other(nullptr);
  std::vector<std::vector<float>> shown;
  std::vector<size_t> at;
  toy.session.prefill(std::span(prompt()).first(3));
  const auto keep = [&](size_t i, std::span<float> logits) {
    at.push_back(i);
    shown.emplace_back(logits.begin(), logits.end());
  };
  toy.session.read(prompt(), 6, keep);
  EXPECT_EQ(at, (std::vector<size_t>{6, 7, 8, 9}));
  EXPECT_EQ(toy.session.tokens(), prompt());
  for (size_t i = 0; i < at.size(); ++i) {
    EXPECT_EQ(shown[i], other.session.prefill(std::span(prompt()).first(at[i] + 1)).to_vector());
  }
  // Of what the cache holds, the last token alone is read again.
  at.clear();
  toy.session.read(prompt(), 0, keep);
  EXPECT_EQ(at, (std::vector<size_t>{9}));
}

TEST(Speculation, EndsWhereTheAnswerEnds) {
  Toy toy(nullptr);
  Speculator speculator(Speculation::kAlways, nullptr, toy.vocabulary());
  const auto generate = [&](GenerateOptions options, bool speculate) {
    Sampler sampler(options_of(0, 0));
    if (speculate) options.speculator = &speculator;
    return toy.session.generate(prompt(), sampler, options);
  };
  GenerateOptions all;
  all.max_tokens = 100;
  const Ids ids = generate(all, false).ids;
  for (size_t n = 1; n < 100; n += 7) {
    GenerateOptions length, stop, callback;
    length.max_tokens = static_cast<int64_t>(n);
    stop.max_tokens = callback.max_tokens = 100;
    stop.stop = {{ids[n], "test"}};
    size_t seen = 0;
    callback.on_token = [&](int32_t) { return ++seen < n; };
    for (const GenerateOptions& options : {length, stop, callback}) {
      seen = 0;
      const Generation wanted = generate(options, false);
      const Ids tokens = toy.session.tokens();
      seen = 0;
      const Generation got = generate(options, true);
      EXPECT_EQ(got.ids, wanted.ids);
      EXPECT_EQ(got.reason, wanted.reason);
      EXPECT_EQ(toy.session.tokens(), tokens);
    }
  }
  // To the end of the context, where no place is left for proposals.
  EXPECT_EQ(generate({}, true).ids, generate({}, false).ids);
  EXPECT_EQ(static_cast<int64_t>(toy.session.tokens().size()), kContext);
}

// Frequencies of pairs of tokens over many seeds against their probabilities under the model,
// computed one by one from the logits.
TEST(Speculation, KeepsTheDistribution) {
  SamplerOptions options;
  options.top_k = 4;
  options.top_p = 1;
  options.min_p = 0;
  options.temperature = 1.5f;
  Toy toy(nullptr), draft(nullptr, true);
  const auto distribution = [&](const Ids& text) {
    const Tensor logits = toy.session.prefill(text);
    auto best = filters::top_k({logits.data(), static_cast<size_t>(logits.elements())}, 4);
    filters::temperature(best, options.temperature, 0, 1);
    filters::softmax(best);
    return best;
  };
  std::map<Ids, double> expected;
  for (const Candidate& a : distribution(prompt())) {
    Ids text = prompt();
    text.push_back(a.id);
    for (const Candidate& b : distribution(text)) {
      text.push_back(b.id);
      for (const Candidate& c : distribution(text)) {
        expected[{a.id, b.id, c.id}] = static_cast<double>(a.probability) *
                                       static_cast<double>(b.probability) *
                                       static_cast<double>(c.probability);
      }
      text.pop_back();
    }
  }
  ASSERT_EQ(expected.size(), 64u);
  Speculator speculator(Speculation::kAlways, &draft.session, toy.vocabulary());
  constexpr int kRuns = 3000;
  std::map<Ids, int> seen;
  SpeculationCounts counts;
  GenerateOptions generate;
  generate.max_tokens = 3;
  generate.speculator = &speculator;
  for (int run = 0; run < kRuns; ++run) {
    options.seed = static_cast<uint64_t>(run);
    Sampler sampler(options);
    const Generation got = toy.session.generate(prompt(), sampler, generate);
    ++seen[got.ids];
    counts.proposed += got.speculation.proposed;
    counts.accepted += got.speculation.accepted;
  }
  EXPECT_GT(counts.accepted, kRuns / 10);
  EXPECT_GT(counts.proposed - counts.accepted, kRuns / 10);
  double chi = 0;
  for (const auto& [ids, probability] : expected) {
    const double wanted = kRuns * probability;
    chi += std::pow(seen[ids] - wanted, 2) / wanted;
  }
  EXPECT_EQ(seen.size(), expected.size());  // nothing but what the filters leave
  EXPECT_LT(chi, 103.4);                    // 63 degrees of freedom, one run in a thousand
}

}  // namespace
}  // namespace zhiyin
