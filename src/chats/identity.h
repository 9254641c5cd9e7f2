// The identity pack: from a card that says who the persona is to rows that teach it and questions
// that check it. A tuned model that is not taught answers "我是通义千问" however well it has
// learned the voice.
//
// A card is YAML (docs/formats/chat-exports.md shows one):
//   name: 小满            # needed: what an answer must hold
//   maker: 阿远           # who made the model; needed, as people ask
//   relation: 好朋友      # to the user
//   language: both        # zh, en or both
//   answers: [...]        # own ways of saying who it is; each must hold the name
//   facts: [{question: ..., answer: ...}]    # question may be a list of phrasings
//   system: ...           # system message of every row
//   weight: 1             # of every row against the rows of the chats
#pragma once

#include <string>
#include <vector>

#include "chats/turns.h"

namespace zhiyin::chats {

struct IdentityFact {
  std::vector<std::string> questions;
  std::string answer;
};

struct IdentityCard {
  std::string name, maker;
  std::string relation = {};
  bool chinese = true, english = true;
  std::vector<std::string> answers = {};
  std::vector<IdentityFact> facts = {};
  std::string system = {};
  double weight = 1;
};

struct IdentityProbe {
  std::string question;
  std::vector<std::string> expect;  // a right answer holds one of these
  std::vector<std::string> reject;  // and none of these
};

struct IdentityPack {
  std::vector<std::vector<RowTurn>> rows;
  std::vector<IdentityProbe> probes;  // held-out phrasings: none of them stands in a row
};

// Throws kNotFound for a missing file and kFailed, naming line or key, for a card that cannot be
// read, lacks name or maker, has an unknown key, or whose answers do not hold the name.
IdentityCard read_identity_card(const std::string& path);

// The same card gives the same pack.
IdentityPack make_identity_pack(const IdentityCard& card);

// Whether a model's answer to a probe is right; case does not matter.
bool answers_probe(const IdentityProbe& probe, const std::string& answer);

// Whether a text names an assistant or its company, such as Qwen or OpenAI; case does not matter.
bool names_another_assistant(const std::string& text);

struct IdentitySummary {
  int64_t rows = 0, probes = 0;
};

// Writes out/identity.jsonl (data set `identity` of out/dataset_info.json) and, for the check
// after tuning, out/identity_probes.jsonl with a probe a line:
//   {"question": "…", "expect": ["小满"], "reject": ["Qwen", …]}
IdentitySummary write_identity(const IdentityCard& card, const std::string& out);

std::vector<IdentityProbe> read_identity_probes(const std::string& path);

}  // namespace zhiyin::chats
