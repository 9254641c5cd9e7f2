#include "chats/ledger.h"

#include <sqlite3.h>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::chats {

// A prepared statement that is bound and stepped in one expression.
class Ledger::Statement {
 public:
  Statement(const Ledger& ledger, std::string_view sql) : ledger_(ledger) {
    if (sqlite3_prepare_v2(ledger.db_.get(), sql.data(), static_cast<int>(sql.size()), &statement_,
                           nullptr) != SQLITE_OK) {
      ledger.fail_with_reason();
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds from the first parameter on; the texts must live until the next step().
  template <typename... Values>
  Statement& bind(const Values&... values) {
    sqlite3_reset(statement_);
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }

  bool step() {
    const int status = sqlite3_step(statement_);
    if (status != SQLITE_ROW && status != SQLITE_DONE) ledger_.fail_with_reason();
    return status == SQLITE_ROW;
  }

  int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const { return std::string(view(column)); }
  std::string_view view(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  void bind_one(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }
  void bind_one(int index, std::string_view value) {
    if (sqlite3_bind_text64(statement_, index, value.data(), value.size(), SQLITE_STATIC,
                            SQLITE_UTF8) != SQLITE_OK) {
      ledger_.fail_with_reason();
    }
  }

  const Ledger& ledger_;
  sqlite3_stmt* statement_ = nullptr;
};

// A private ledger lives in a temporary database, which SQLite keeps in memory while it is small.
Ledger::Ledger(const std::string& path) : path_(path), db_(nullptr, &sqlite3_close_v2) {
  if (!path.empty()) file_ = std::make_unique<AtomicFile>(path);
  sqlite3* db = nullptr;
  const int status = sqlite3_open(file_ ? file_->temporary_path().c_str() : "", &db);
  db_.reset(db);
  if (status != SQLITE_OK) fail_with_reason();
  // The file is thrown away unless commit() is reached, so it needs no journal of its own.
  execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE");
  execute(
      "BEGIN;"
      "CREATE TABLE messages(id INTEGER PRIMARY KEY, file TEXT, line INTEGER, talk TEXT,"
      " is_group INTEGER, sender TEXT, sender_name TEXT, side INTEGER, server_id TEXT,"
      " local_id TEXT, time INTEGER, kind TEXT, text TEXT, quote_name TEXT, quote_text TEXT,"
      " sticker_key TEXT, sticker_url TEXT, row INTEGER, reason TEXT);"
      "CREATE TABLE rows(id INTEGER PRIMARY KEY, session INTEGER, split TEXT, begin_time INTEGER,"
      " end_time INTEGER, answers INTEGER, hash INTEGER, json TEXT);"
      "CREATE INDEX message_order ON messages(talk, time)");
  add_message_ = std::make_unique<Statement>(
      *this,
      "INSERT INTO messages(file, line, talk, is_group, sender, sender_name, side, server_id,"
      " local_id, time, kind, text, quote_name, quote_text, sticker_key, sticker_url)"
      " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  set_row_ = std::make_unique<Statement>(*this, "UPDATE messages SET row = ? WHERE id = ?");
  set_reason_ = std::make_unique<Statement>(*this, "UPDATE messages SET reason = ? WHERE id = ?");
}

Ledger::~Ledger() = default;

void Ledger::fail_with_reason() const {
  fail(ErrorCode::kFailed, path_.empty() ? "the ledger" : path_,
       ": cannot be written: ", sqlite3_errmsg(db_.get()));
}

void Ledger::execute(const char* sql) const {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail_with_reason();
}

void Ledger::add(const Message& m) {
  add_message_
      ->bind(m.file, m.line, m.talk, int64_t{m.group}, m.sender, m.sender_name,
             static_cast<int64_t>(m.side), m.server_id, m.local_id, m.time, kind_name(m.kind),
             m.text, m.quote_name, m.quote_text, m.sticker_key, m.sticker_url)
      .step();
  ++message_count_;
}

std::vector<Person> Ledger::people() const {
  std::vector<Person> people;
  // Of a bare min(), SQLite takes the other columns from the row that holds the minimum: a person
  // is called what his first message calls him.
  Statement query(*this,
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
  Statement query(*this,
                  "SELECT talk, max(is_group), count(*) FROM messages GROUP BY talk"
                  " ORDER BY min(id)");
  while (query.step()) talks.push_back({query.text(0), query.number(1) != 0, query.number(2)});
  return talks;
}

std::vector<StickerUse> Ledger::stickers() const {
  std::vector<StickerUse> stickers;
  Statement query(*this,
                  "SELECT sticker_key, sticker_url, count(*), min(id) FROM messages"
                  " WHERE sticker_key != '' GROUP BY sticker_key ORDER BY count(*) DESC, min(id)");
  while (query.step()) stickers.push_back({query.text(0), query.text(1), query.number(2)});
  return stickers;
}

std::vector<Message> Ledger::messages(const std::string& talk) const {
  std::vector<Message> messages;
  Statement query(*this,
                  "SELECT id, file, line, is_group, sender, sender_name, side, server_id, local_id,"
                  " time, kind, text, quote_name, quote_text, sticker_key, sticker_url"
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
                        .quote_name = query.text(12),
                        .quote_text = query.text(13),
                        .sticker_key = query.text(14),
                        .sticker_url = query.text(15)});
  }
  return messages;
}

std::vector<int64_t> Ledger::gaps() const {
  std::vector<int64_t> gaps;
  Statement query(*this,
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
  Statement(*this, "INSERT INTO rows VALUES(?,?,'train',?,?,?,?,?)")
      .bind(row.id, row.session, row.begin_time, row.end_time, int64_t{row.answers},
            static_cast<int64_t>(row.hash), json)
      .step();
}

void Ledger::set_split(int64_t row, std::string_view split) {
  Statement(*this, "UPDATE rows SET split = ? WHERE id = ?").bind(split, row).step();
}

void Ledger::each_row(std::string_view split,
                      const std::function<void(std::string_view)>& take) const {
  Statement query(*this, "SELECT json FROM rows WHERE split = ? ORDER BY id");
  query.bind(split);
  while (query.step()) take(query.view(0));
}

std::vector<LedgerRow> Ledger::rows() const {
  std::vector<LedgerRow> rows;
  Statement query(*this,
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

std::map<std::string, int64_t> Ledger::dropped() const {
  std::map<std::string, int64_t> dropped;
  Statement query(*this,
                  "SELECT reason, count(*) FROM messages WHERE reason IS NOT NULL GROUP BY reason");
  while (query.step()) dropped[query.text(0)] = query.number(1);
  return dropped;
}

int64_t Ledger::used() const {
  Statement query(*this, "SELECT count(*) FROM messages WHERE row IS NOT NULL");
  query.step();
  return query.number(0);
}

void Ledger::commit() {
  {
    Statement open(*this, "SELECT count(*) FROM messages WHERE (row IS NULL) = (reason IS NULL)");
    open.step();
    check(open.number(0) == 0, ErrorCode::kFailed, path_, ": ", open.number(0), " of ",
          message_count_, " messages are not accounted for; please report this");
  }
  execute("CREATE INDEX message_row ON messages(row); COMMIT");
  add_message_.reset();
  set_row_.reset();
  set_reason_.reset();
  db_.reset();
  if (file_) file_->commit();
}

}  // namespace zhiyin::chats
