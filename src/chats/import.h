// Chat import: export files in, a data set for tuning out.
//
//   out/train.jsonl        rows as OpenAI messages with the ids of their messages in the ledger
//   out/val.jsonl          the hold-out, where there is one
//   out/preferences.jsonl  pairs of a chosen and a rejected answer, where there are any; those of
//                          talks that are held out in preferences_val.jsonl
//   out/dataset_info.json  names them (chats, chats_val, preferences, preferences_val) for zhiyin
//                          and LLaMA-Factory
//   out/stickers.json      names and addresses of stickers; names edited there are kept
//   out/ledger.db          every message of the export and what became of it (ledger.h)
//
// Files appear whole or not at all, after everything that can fail has been done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chats/ledger.h"
#include "chats/progress.h"
#include "chats/summary.h"
#include "chats/turns.h"

namespace zhiyin::chats {

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
  bool mask = false;                         // see Masker
  std::vector<std::string> mask_names = {};  // people to mask; any means mask
  std::string mask_map = {};                 // the file of pseudonyms; empty: beside `out`, with
                                             // .mask.json at the end of its name
  ProgressCallback progress = nullptr;
};

// Throws kUsage without paths or out, kNotFound for a missing file, kFailed for a file that is no
// chat export, is empty or lacks columns, and what choose_persona throws.
ImportSummary import_chats(const ImportOptions& options);

// Who speaks in these files. Throws as import_chats.
std::vector<Person> people_in(const std::vector<std::string>& paths,
                              const ProgressCallback& progress = nullptr);

}  // namespace zhiyin::chats
