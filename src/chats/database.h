// SQLite in the few words that the ledger needs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace zhiyin::chats {

// All of it throws kFailed, with `label` and SQLite's reason.
class Database {
 public:
  enum class Mode { kCreate, kReadOnly };

  // path: empty for a temporary one, which SQLite keeps in memory while it is small. label: what
  // errors call it.
  Database(const std::string& path, std::string label, Mode mode);
  void execute(const char* sql) const;
  [[noreturn]] void fail_with_reason() const;
  sqlite3* get() const { return db_.get(); }

 private:
  std::string label_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> db_;
};

// A prepared statement that is bound and stepped in one expression. The database must outlive it.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds from the first parameter on; the texts must live until the next step().
  template <typename... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }

  bool step();  // whether there is a row

  int64_t number(int column) const;
  bool is_null(int column) const;
  std::string text(int column) const { return std::string(view(column)); }
  std::string_view view(int column) const;  // until the next step()

 private:
  void reset();
  void bind_one(int index, int64_t value);
  void bind_one(int index, std::string_view value);

  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace zhiyin::chats
