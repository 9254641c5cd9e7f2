#include "chats/database.h"

#include <sqlite3.h>

#include "base/error.h"

namespace zhiyin::chats {

Database::Database(const std::string& path, std::string label, Mode mode)
    : label_(std::move(label)), db_(nullptr, &sqlite3_close_v2) {
  const int flags =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  db_.reset(db);
  if (status != SQLITE_OK) fail_with_reason();
}

void Database::fail_with_reason() const {
  fail(ErrorCode::kFailed, label_, ": ", sqlite3_errmsg(db_.get()));
}

void Database::execute(const char* sql) const {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail_with_reason();
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  if (sqlite3_prepare_v2(database.get(), sql.data(), static_cast<int>(sql.size()), &statement_,
                         nullptr) != SQLITE_OK) {
    database.fail_with_reason();
  }
}

Statement::~Statement() { sqlite3_finalize(statement_); }

bool Statement::step() {
  const int status = sqlite3_step(statement_);
  if (status != SQLITE_ROW && status != SQLITE_DONE) database_.fail_with_reason();
  return status == SQLITE_ROW;
}

int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_, column); }

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string_view Statement::view(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::reset() { sqlite3_reset(statement_); }

void Statement::bind_one(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }

void Statement::bind_one(int index, std::string_view value) {
  if (sqlite3_bind_text64(statement_, index, value.data(), value.size(), SQLITE_STATIC,
                          SQLITE_UTF8) != SQLITE_OK) {
    database_.fail_with_reason();
  }
}

}  // namespace zhiyin::chats
