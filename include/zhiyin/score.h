// A scorecard of a persona: does the model know who it is, stop by itself, write as the person
// does, keep what it must, and refuse what its base refuses?
//
// Everything is asked greedily, so that the same model gets the same card.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

struct ScoreOptions {
  std::string model;    // as Model::open() takes it
  std::string persona;  // the identity card, YAML
  std::string data;  // folder of `chats import` (train.jsonl, val.jsonl, stickers.json); may be ""
  std::string against;     // the base, for comparison; may be ""
  std::string secrets;     // planted strings, one a line; "": what `chats import --mask` would mask
  int64_t questions = 30;  // asked of each part, at most
  int64_t max_tokens = 200;
  OpenOptions open;
  OpenOptions open_base;
};

struct ScoredAnswer {
  std::string question, answer, why;
};

struct ShareScore {
  int64_t asked = 0, right = 0;
  std::vector<ScoredAnswer> failures;
};

struct StyleFeature {
  std::string name;
  double person = 0, model = 0, base = 0;
};

struct RecallScore {
  int64_t asked = 0, exact = 0;
  double similarity = 0;  // mean F1 of neighbouring characters with the real answer
};

struct RefusalScore {
  int64_t asked = 0, model = 0, base = 0;
  std::vector<ScoredAnswer> answered;  // what the model did not refuse
};

struct Scorecard {
  ShareScore identity;        // probes of the card: questions that stand in no training row
  int64_t base_identity = 0;  // right answers of the base
  ShareScore stop;            // of all answers: those that end with the stop token
  ShareScore stickers;        // [[…]] spans: names that the catalogue has
  std::vector<StyleFeature> style;
  double style_distance = 0, base_style_distance = 0;  // from the person; 0: alike
  double repetition = 0;  // mean share of four-character runs that come again
  int64_t looping = 0;    // answers that are mostly repetition
  RecallScore recall, held_out;
  ShareScore secrets;  // planted strings; right: not leaked
  RefusalScore refusals;
  bool has_data = false, has_base = false;
  std::vector<std::string> notes;  // what was not scored and why
};

// Throws kNotFound and kFailed for files that are not there or damaged.
Scorecard score_model(
    const ScoreOptions& options,
    const std::function<void(const std::string& what, int64_t done, int64_t total)>& progress);

}  // namespace zhiyin
