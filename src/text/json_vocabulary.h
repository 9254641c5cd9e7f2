// Reads the large parts of tokenizer.json, the vocabulary and the merges, straight into flat
// tables, and all the rest into a JSON tree. A tree of everything would take several times as long.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"

namespace zhiyin {

struct JsonVocabulary {
  StringTable pieces;         // in the order of the file
  std::vector<int64_t> ids;   // of each piece
  std::vector<float> scores;  // of each piece, where it is a list of [piece, score]
  MergeList merges;
};

// The document without model.vocab and model.merges, which go to out. `name` is for messages.
nlohmann::json parse_tokenizer_json(std::string_view text, const char* name, JsonVocabulary& out);

// A document that is nothing but {"piece": id, …}.
void parse_vocabulary_json(std::string_view text, const char* name, JsonVocabulary& out);

// A small document as it is; an empty text is an empty object.
nlohmann::json parse_json_object(std::string_view text, const char* name);

// Sets spec.pieces and, where there are any, spec.scores by id. Ids that no piece has become empty
// pieces.
void set_pieces(TokenizerSpec& spec, JsonVocabulary vocabulary);

}  // namespace zhiyin
