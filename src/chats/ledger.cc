#include "chats/ledger.h"

#include <deque>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::chats {

Ledger::Ledger(const std::string& path) : path_(path) {
  if (!path.empty()) file_ = std::make_unique<AtomicFile>(path);
  const std::string label = path.empty() ? "the ledger" : path;
  database_ =
      std::make_unique<Database>(file_ ? file_->temporary_path() : "",
                                 cat(label, ": cannot be written"), Database::Mode::kCreate);
  // The file is thrown away unless commit() is reached, so it needs no journal of its own.
  database_->execute(
      "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
      "PRAGMA cache_size=-32768");
  database_->execute(
      "BEGIN;"
      "CREATE TABLE messages(id INTEGER PRIMARY KEY, file TEXT, line INTEGER, talk TEXT,"
      " is_group INTEGER, sender TEXT, sender_name TEXT, side INTEGER, server_id TEXT,"
      " local_id TEXT, time INTEGER, kind TEXT, text TEXT, joint TEXT, quote_name TEXT,"
      " quote_text TEXT, sticker_key TEXT, sticker_url TEXT, parent TEXT, rating INTEGER,"
      " row INTEGER, reason TEXT);"
      "CREATE TABLE rows(id INTEGER PRIMARY KEY, session INTEGER, split TEXT, begin_time INTEGER,"
      " end_time INTEGER, answers INTEGER, hash INTEGER, json TEXT);"
      "CREATE TABLE preferences(id INTEGER PRIMARY KEY, first_row INTEGER, last_row INTEGER,"
      " json TEXT);"
      "CREATE INDEX message_order ON messages(talk, time)");
  add_message_ = std::make_unique<Statement>(
      *database_,
      "INSERT INTO messages(file, line, talk, is_group, sender, sender_name, side, server_id,"
      " local_id, time, kind, text, joint, quote_name, quote_text, sticker_key, sticker_url,"
      " parent, rating) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  set_row_ = std::make_unique<Statement>(*database_, "UPDATE messages SET row = ? WHERE id = ?");
  set_reason_ =
      std::make_unique<Statement>(*database_, "UPDATE messages SET reason = ? WHERE id = ?");
}

Ledger::~Ledger() = default;

void Ledger::add(const Message& m) {
  add_message_
      ->bind(m.file, m.line, m.talk, int64_t{m.group}, m.sender, m.sender_name,
             static_cast<int64_t>(m.side), m.server_id, m.local_id, m.time, kind_name(m.kind),
             m.text, m.joint, m.quote_name, m.quote_text, m.sticker_key, m.sticker_url, m.parent,
             int64_t{m.rating})
      .step();
  ++message_count_;
}

std::vector<Person> Ledger::people() const {
  std::vector<Person> people;
  // Of a bare min(), SQLite takes the other columns from the row that holds the minimum: a person
  // is called what his first message calls him.
  Statement query(*database_,
                  "SELECT sender, sender_name, side, count(*), min(id) FROM messages"
                  " WHERE sender != '' GROUP BY sender ORDER BY count(*) DESC, min(id)");
  while (query.step()) {
    people.push_back(
        {query.text(0), query.text(1), static_cast<Side>(query.number(2)), query.number(3)});
  }
  return people;
}

std::vector<Talk> Ledger::talks() const {
  std::vector<Talk> talks;
  Statement query(*database_,
                  "SELECT talk, max(is_group), count(*) FROM messages GROUP BY talk"
                  " ORDER BY min(id)");
  while (query.step()) talks.push_back({query.text(0), query.number(1) != 0, query.number(2)});
  return talks;
}

std::vector<StickerUse> Ledger::stickers() const {
  std::vector<StickerUse> stickers;
  Statement query(*database_,
                  "SELECT sticker_key, sticker_url, count(*), min(id) FROM messages"
                  " WHERE sticker_key != '' GROUP BY sticker_key ORDER BY count(*) DESC, min(id)");
  while (query.step()) stickers.push_back({query.text(0), query.text(1), query.number(2)});
  return stickers;
}

std::vector<StickerContext> Ledger::sticker_contexts() const {
  constexpr int64_t kNear = 120;  // seconds
  constexpr int kBefore = 3;
  struct Said {
    std::string talk, sender, text, key;
    int64_t time = 0;
  };
  const auto together = [&](const Said& a, const Said& b) {
    return a.talk == b.talk && a.sender == b.sender && b.time - a.time <= kNear;
  };
  std::vector<StickerContext> contexts;
  std::deque<Said> before;  // newest first
  Statement query(*database_,
                  "SELECT talk, sender, CASE kind WHEN 'text' THEN text ELSE '' END, sticker_key,"
                  " time FROM messages WHERE talk IN"
                  "  (SELECT DISTINCT talk FROM messages WHERE sticker_key != '')"
                  " ORDER BY talk, time, id");
  while (query.step()) {
    Said now{query.text(0), query.text(1), query.text(2), query.text(3), query.number(4)};
    if (!before.empty() && !before.front().key.empty() && together(before.front(), now)) {
      contexts.push_back({before.front().key, now.text, 1});
    }
    for (size_t i = 0; !now.key.empty() && i < before.size(); ++i) {
      if (!together(before[i], now)) break;
      contexts.push_back({now.key, before[i].text, static_cast<int>(i) + 1});
    }
    before.push_front(std::move(now));
    if (before.size() > kBefore) before.pop_back();
  }
  return contexts;
}

std::vector<Message> Ledger::messages(const std::string& talk) const {
  std::vector<Message> messages;
  Statement query(*database_,
                  "SELECT id, file, line, is_group, sender, sender_name, side, server_id, local_id,"
                  " time, kind, text, joint, quote_name, quote_text, sticker_key, sticker_url,"
                  " parent, rating"
                  " FROM messages WHERE talk = ? ORDER BY time, id");
  query.bind(talk);
  while (query.step()) {
    messages.push_back({.id = query.number(0),
                        .file = query.text(1),
                        .line = query.number(2),
                        .talk = talk,
                        .group = query.number(3) != 0,
                        .sender = query.text(4),
                        .sender_name = query.text(5),
                        .side = static_cast<Side>(query.number(6)),
                        .server_id = query.text(7),
                        .local_id = query.text(8),
                        .time = query.number(9),
                        .kind = kind_from_name(query.view(10)),
                        .text = query.text(11),
                        .joint = query.text(12),
                        .quote_name = query.text(13),
                        .quote_text = query.text(14),
                        .sticker_key = query.text(15),
                        .sticker_url = query.text(16),
                        .parent = query.text(17),
                        .rating = static_cast<int>(query.number(18))});
  }
  return messages;
}

std::vector<int64_t> Ledger::gaps() const {
  std::vector<int64_t> gaps;
  Statement query(*database_,
                  "SELECT time - lag(time) OVER (PARTITION BY talk ORDER BY time, id) AS gap"
                  " FROM messages");
  while (query.step()) gaps.push_back(query.number(0));
  return gaps;
}

void Ledger::set_row(int64_t message, int64_t row) { set_row_->bind(row, message).step(); }

void Ledger::set_reason(int64_t message, std::string_view reason) {
  set_reason_->bind(reason, message).step();
}

void Ledger::add_row(const LedgerRow& row, std::string_view json) {
  Statement(*database_, "INSERT INTO rows VALUES(?,?,'train',?,?,?,?,?)")
      .bind(row.id, row.session, row.begin_time, row.end_time, int64_t{row.answers},
            static_cast<int64_t>(row.hash), json)
      .step();
}

void Ledger::set_split(int64_t row, std::string_view split) {
  Statement(*database_, "UPDATE rows SET split = ? WHERE id = ?").bind(split, row).step();
}

void Ledger::add_preference(int64_t first_row, int64_t last_row, std::string_view json) {
  Statement(*database_, "INSERT INTO preferences(first_row, last_row, json) VALUES(?,?,?)")
      .bind(first_row, last_row, json)
      .step();
}

void Ledger::each_preference(bool held_out,
                             const std::function<void(std::string_view)>& take) const {
  Statement query(*database_,
                  "SELECT json FROM preferences WHERE ? = EXISTS(SELECT 1 FROM rows"
                  " WHERE rows.id BETWEEN first_row AND last_row AND split = 'val') ORDER BY id");
  query.bind(int64_t{held_out});
  while (query.step()) take(query.view(0));
}

std::vector<DamagedRecord> Ledger::damaged(int64_t at_most) const {
  std::vector<DamagedRecord> records;
  Statement query(*database_,
                  "SELECT file, line, text FROM messages WHERE kind = 'damaged' ORDER BY id"
                  " LIMIT ?");
  query.bind(at_most);
  while (query.step()) records.push_back({query.text(0), query.number(1), query.text(2)});
  return records;
}

void Ledger::each_row(std::string_view split,
                      const std::function<void(std::string_view)>& take) const {
  Statement query(*database_, "SELECT json FROM rows WHERE split = ? ORDER BY id");
  query.bind(split);
  while (query.step()) take(query.view(0));
}

std::vector<LedgerRow> Ledger::rows() const {
  std::vector<LedgerRow> rows;
  Statement query(*database_,
                  "SELECT id, session, begin_time, end_time, answers, hash FROM rows ORDER BY id");
  while (query.step()) {
    rows.push_back({.id = query.number(0),
                    .session = query.number(1),
                    .begin_time = query.number(2),
                    .end_time = query.number(3),
                    .answers = static_cast<int>(query.number(4)),
                    .hash = static_cast<uint64_t>(query.number(5))});
  }
  return rows;
}

std::vector<std::string> Ledger::instructions() const {
  std::vector<std::string> texts;
  Statement query(*database_,
                  "SELECT text FROM messages WHERE kind = 'instructions' GROUP BY text"
                  " ORDER BY count(*) DESC, min(id)");
  while (query.step()) texts.push_back(query.text(0));
  return texts;
}

std::map<std::string, int64_t> Ledger::dropped() const {
  std::map<std::string, int64_t> dropped;
  Statement query(*database_,
                  "SELECT reason, count(*) FROM messages WHERE reason IS NOT NULL GROUP BY reason");
  while (query.step()) dropped[query.text(0)] = query.number(1);
  return dropped;
}

int64_t Ledger::used() const {
  Statement query(*database_, "SELECT count(*) FROM messages WHERE row IS NOT NULL");
  query.step();
  return query.number(0);
}

void Ledger::finish() {
  if (database_ == nullptr) return;
  {
    Statement open(*database_,
                   "SELECT count(*) FROM messages WHERE (row IS NULL) = (reason IS NULL)");
    open.step();
    check(open.number(0) == 0, ErrorCode::kFailed, path_, ": ", open.number(0), " of ",
          message_count_, " messages are not accounted for; please report this");
  }
  database_->execute(
      "CREATE INDEX message_row ON messages(row); CREATE INDEX row_split ON rows(split); COMMIT");
  add_message_.reset();
  set_row_.reset();
  set_reason_.reset();
  database_.reset();
  if (file_) file_->finish();
}

void Ledger::commit() {
  finish();
  if (file_) file_->commit();
}

}  // namespace zhiyin::chats
