// The ledger: one SQLite file that holds every message of an import and, for each, the row it went
// into or the reason it did not. Importers write into it first and everything later reads from it,
// so an export of any size needs the memory of its largest talk, and the sums are those of the
// database itself.
//
//   messages(id, file, line, talk, is_group, sender, sender_name, side, server_id, local_id, time,
//            kind, text, joint, quote_name, quote_text, sticker_key, sticker_url, parent, rating,
//            row, reason)
//   rows(id, session, split, begin_time, end_time, answers, hash, json)
//   preferences(id, first_row, last_row, json)
// For each message exactly one of row and reason is set; times are seconds since 1970 on the clock
// of the export.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chats/database.h"
#include "chats/message.h"

namespace zhiyin {
class AtomicFile;
}

namespace zhiyin::chats {

struct Person {
  std::string id;    // "me" for the owner of the export
  std::string name;  // as shown in the chats
  Side side = Side::kOther;
  int64_t messages = 0;
};

struct Talk {
  std::string id;
  bool group = false;
  int64_t messages = 0;
};

struct StickerUse {
  std::string key, url;
  int64_t count = 0;
};

// What a sticker's sender said near it.
struct StickerContext {
  std::string key, text;
  int distance = 1;  // in messages
};

// A record of the export that cannot be read.
struct DamagedRecord {
  std::string file;
  int64_t line = 0;
  std::string what;  // "unreadable from byte 7 on", or the record as it stands there
};

struct LedgerRow {
  int64_t id = 0;  // from 1, in the order of the talks
  int64_t session = 0;
  int64_t begin_time = 0, end_time = 0;
  int answers = 0;
  uint64_t hash = 0;  // equal for rows of equal words
};

class Ledger {
 public:
  // path: where commit() puts the file; empty for a private one that is never kept.
  explicit Ledger(const std::string& path = "");
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void add(const Message& message);
  int64_t message_count() const { return message_count_; }

  std::vector<Person> people() const;        // most messages first; nobody's notices left out
  std::vector<Talk> talks() const;           // in the order they were read
  std::vector<StickerUse> stickers() const;  // most used first
  std::vector<StickerContext> sticker_contexts() const;
  std::vector<Message> messages(const std::string& talk) const;  // by time, then as read
  std::vector<int64_t> gaps() const;  // seconds between neighbours of a talk

  void set_row(int64_t message, int64_t row);
  void set_reason(int64_t message, std::string_view reason);
  void add_row(const LedgerRow& row, std::string_view json);
  void set_split(int64_t row, std::string_view split);
  // A pair of answers of a talk whose rows are first_row to last_row; none where last_row is less.
  void add_preference(int64_t first_row, int64_t last_row, std::string_view json);

  void each_row(std::string_view split, const std::function<void(std::string_view)>& take) const;
  // Those of talks of which a row is held out, or the others.
  void each_preference(bool held_out, const std::function<void(std::string_view)>& take) const;
  std::vector<LedgerRow> rows() const;
  std::vector<DamagedRecord> damaged(int64_t at_most) const;  // in the order they were read
  std::map<std::string, int64_t> dropped() const;
  int64_t used() const;

  // What users have told the assistant about themselves, most frequent first.
  std::vector<std::string> instructions() const;

  // Checks that every message is accounted for and writes the file out; nothing can be asked or
  // added afterwards.
  void finish();
  // finish(), unless that was done; then moves the file to its place.
  void commit();

 private:
  std::string path_;
  std::unique_ptr<AtomicFile> file_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Statement> add_message_, set_row_, set_reason_;
  int64_t message_count_ = 0;
};

}  // namespace zhiyin::chats
