// What an import tells about itself, for people and for scripts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "chats/ledger.h"
#include "chats/turns.h"

namespace zhiyin::chats {

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
  int64_t preferences = 0;                // pairs in preferences.jsonl
  int64_t val_preferences = 0;            // pairs in preferences_val.jsonl
  int64_t first_time = 0, last_time = 0;  // of the rows
  std::vector<int64_t> row_lengths;       // code points, ascending
  std::vector<std::string> instructions;  // what users told the assistant about themselves
  std::map<std::string, int64_t> masked;  // places, by kind
  std::string mask_map;              // where the pseudonyms are kept; empty: nothing was masked
  std::vector<std::string> damaged;  // the first records that cannot be read: where, and what
  std::vector<std::string> files;    // that were read
  std::vector<std::string> skipped;  // found in a folder, but no chat export
};

// {"messages","used","dropped":{reason:count},"rows","val_rows","answers","coverage","people":
// [{"id","name","messages"}],"persona","session_gap_s","session_gap_learned","stickers",
// "preferences","val_preferences","first_time","last_time","longest_row","row_lengths":{"median","p90","histogram":
// [{"from","to","rows"}]},"instructions","masked":
// {kind:count},"mask_map","damaged":["file: record 3: …"],"files","skipped"}
std::string summary_json(const ImportSummary& summary);

// The same in lines, with the lengths as a histogram of text.
std::string summary_text(const ImportSummary& summary);

}  // namespace zhiyin::chats
