// The phrasings of the identity pack, by topic. {name}, {maker}, {relation} and {other} (a model or
// company the persona is taken for) are filled in.
#pragma once

#include <span>
#include <string_view>

namespace zhiyin::chats {

using Phrases = std::span<const std::string_view>;

struct IdentityTopic {
  Phrases questions, answers;
  Phrases held_out;         // asked after tuning, never trained
  std::string_view expect;  // what a right answer to a held-out question holds
  Phrases others;    // values of {other}; a question is made for each, going round the questions
  bool who = false;  // the card's own answers come first here
  bool needs_relation = false;
};

struct IdentityLanguage {
  std::span<const IdentityTopic> topics;
  Phrases greetings, greeting_answers;  // for questions that come in the middle of a talk
};

const IdentityLanguage& chinese_identity();
const IdentityLanguage& english_identity();

// Names that no right answer holds.
Phrases foreign_identities();

}  // namespace zhiyin::chats
