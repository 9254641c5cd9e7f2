// Looking into the ledger of a finished import: rows as they were written, and for a row the
// messages it was made of and what around them was left out and why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chats/database.h"
#include "chats/turns.h"

namespace zhiyin::chats {

struct ShownRow {
  int64_t id = 0;     // in the ledger, from 1
  std::string split;  // "train" or "val"
  int64_t line = 0;   // in the file of that name (train.jsonl), from 1
  int64_t begin_time = 0, end_time = 0;
  std::string system = {};  // empty: none
  std::vector<RowTurn> turns = {};
};

struct ShownMessage {
  int64_t id = 0;
  std::string file;
  int64_t line = 0;
  int64_t time = 0;
  std::string sender, kind, text, quote, sticker;
  int64_t row = 0;  // 0: in none, because of
  std::string reason;
};

struct RowExplanation {
  ShownRow row;
  // In the order of the talk: all from the row's first message to its last, and up to `around` on
  // either side.
  std::vector<ShownMessage> messages;
};

class LedgerView {
 public:
  // folder: where an import has written. Throws kNotFound where there is no ledger in it, kFailed
  // for a file that is none.
  explicit LedgerView(const std::string& folder);

  int64_t row_count() const;
  // Up to count rows from number `from` on.
  std::vector<ShownRow> rows(int64_t from, int64_t count) const;
  // Throws kNotFound for a row that is not there.
  RowExplanation explain(int64_t row, int64_t around = 5) const;

 private:
  std::string path_;
  Database database_;
};

}  // namespace zhiyin::chats
