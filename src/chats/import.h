// Chat import: export files in, a data set for tuning out.
//
//   out/train.jsonl        rows as OpenAI messages with the ids of their messages in the ledger
//   out/val.jsonl          the hold-out, where there is one
//   out/dataset_info.json  names both (chats, chats_val) for zhiyin and LLaMA-Factory
//   out/stickers.json      names and addresses of stickers; names edited there are kept
//   out/ledger.db          every message of the export and what became of it (ledger.h)
//
// Files appear whole or not at all, after everything that can fail has been done.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "chats/ledger.h"
#include "chats/turns.h"

namespace zhiyin::chats {

struct ImportProgress {
  std::string_view stage;  // "read": messages so far; "build": talks done
  int64_t done = 0;
  int64_t total = 0;  // 0: not known
};

using ProgressCallback = std::function<void(const ImportProgress&)>;

// What a session that the persona opens gets as the user's turn.
inline constexpr std::string_view kDefaultOpener = "（你先开口）";

// To be shown once with every import of a person's messages.
inline constexpr std::string_view kConsentNote =
    "A real person's voice needs that person's consent, and the model must be named as an AI "
    "imitation.";

struct ImportOptions {
  std::vector<std::string> paths =
      {};                    // files and folders; a folder gives every export found in it
  std::string out = {};      // a folder, made if need be
  std::string persona = {};  // see choose_persona
  RowStyle style = RowStyle::kTurns;
  int64_t session_gap = 0;   // seconds; 0: learned from the data
  int64_t row_chars = 2000;  // see RowOptions
  double val_share = -1;     // share of the answers to hold out; -1: 5 % from 400 answers on
  std::string system = {};   // system message of every row; empty: none
  std::string opener{kDefaultOpener};
  ProgressCallback progress = nullptr;
};

struct ImportSummary {
  int64_t messages = 0;  // = used + the sum of dropped
  int64_t used = 0;
  std::map<std::string, int64_t> dropped;  // by reason
  int64_t rows = 0, val_rows = 0;          // val_rows are not counted in rows
  int64_t answers = 0;                     // assistant turns in all rows
  double coverage = 0;  // share of the persona's messages with words that are in a row, 0 to 1
  Person persona;
  std::vector<Person> people;  // most messages first
  SessionGap session_gap;
  int64_t stickers = 0;
  int64_t first_time = 0, last_time = 0;  // of the rows
  int64_t longest_row = 0;                // code points
  std::vector<std::string> files;         // that were read
  std::vector<std::string> skipped;       // found in a folder, but no chat export
};

// Throws kUsage without paths or out, kNotFound for a missing file, kFailed for a file that is no
// chat export, is empty or lacks columns, and what choose_persona throws.
ImportSummary import_chats(const ImportOptions& options);

// Who speaks in these files. Throws as import_chats.
std::vector<Person> people_in(const std::vector<std::string>& paths,
                              const ProgressCallback& progress = nullptr);

// {"messages","used","dropped":{reason:count},"rows","val_rows","answers","coverage","people":
// [{"id","name","messages"}],"persona","session_gap_s","session_gap_learned","stickers",
// "first_time","last_time","longest_row","files","skipped"}
std::string summary_json(const ImportSummary& summary);

}  // namespace zhiyin::chats
