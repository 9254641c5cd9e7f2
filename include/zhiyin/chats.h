// Chat exports into training rows, and the rows that teach a persona who it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/error.h"

namespace zhiyin {

using ChatProgress = std::function<void(const std::string& stage, int64_t done, int64_t total)>;

struct ChatImportOptions {
  std::vector<std::string> paths;
  std::string out;
  std::string persona;          // a name, an id, "me"; empty: the other side of a talk of two
  std::string style = "turns";  // whole conversations; "pairs": single questions and answers
  std::string system;           // system message of every row
  int64_t session_gap = 0;      // seconds; 0: learned from the data
  double val_share = -1;        // of the answers, held out; -1: 5 % from 400 answers on
  // Pseudonyms for phone numbers, ids, mail addresses, cards, street addresses and the names given,
  // each NAME or NAME=STAND-IN; the map is written to mask_map, by default OUT.mask.json.
  bool mask = false;
  std::vector<std::string> mask_names;
  std::string mask_map;
  ChatProgress progress;
};

struct ChatImportResult {
  std::string json;          // the summary, as --json prints it
  std::string text;          // the same for people, in lines
  std::string consent_note;  // to be shown once
};

ChatImportResult import_chats(const ChatImportOptions& options);

struct ChatPerson {
  std::string id, name;
  int64_t messages;
};
std::vector<ChatPerson> chat_people(const std::vector<std::string>& paths,
                                    const ChatProgress& progress = nullptr);

// A row of an import as it is trained on.
struct ChatRow {
  int64_t id;         // from 1
  std::string place;  // "train.jsonl:12"
  std::string begin_time, end_time, system;
  struct Turn {
    bool assistant;
    std::string text;
  };
  std::vector<Turn> turns;
};
struct ChatRows {
  std::vector<ChatRow> rows;
  int64_t total;
};
// Up to `count` rows of the import in `folder`, from number `from` on.
ChatRows chat_rows(const std::string& folder, int64_t from, int64_t count);

// A message of the export, and the row it went into or the reason it is in none.
struct ExplainedMessage {
  int64_t id;
  std::string place;  // file:line
  std::string time, sender, kind, text, quote;
  int64_t row;  // 0: none
  std::string reason;
};
struct ChatExplanation {
  ChatRow row;
  std::vector<ExplainedMessage> messages;  // in order, with some neighbours before and behind
};
// Throws kNotFound where there is no such row.
ChatExplanation explain_chat_row(const std::string& folder, int64_t row);

struct IdentityResult {
  int64_t rows, probes;
};
IdentityResult make_identity(const std::string& card, const std::string& out);

}  // namespace zhiyin
