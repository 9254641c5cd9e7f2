#include "chats/ledger_view.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "chats/json_fields.h"

namespace zhiyin::chats {
namespace {

std::string ledger_in(const std::string& folder) {
  const std::string path = cat(folder, "/ledger.db");
  check(file_exists(path), ErrorCode::kNotFound, path,
        ": is not there; give the folder that zhiyin chats import wrote");
  return path;
}

constexpr const char* kRowColumns =
    "SELECT id, split, begin_time, end_time, json,"
    " (SELECT count(*) FROM rows AS r WHERE r.split = rows.split AND r.id <= rows.id) FROM rows ";

ShownRow read_row(const Statement& query) {
  ShownRow row{.id = query.number(0),
               .split = query.text(1),
               .line = query.number(5),
               .begin_time = query.number(2),
               .end_time = query.number(3)};
  const Json json = Json::parse(query.view(4), nullptr, /*allow_exceptions=*/false);
  for (const Json& message : field(json, "messages")) {
    const std::string role = text_field(message, "role");
    if (role == "system") {
      row.system = text_field(message, "content");
    } else {
      row.turns.push_back({role == "assistant", text_field(message, "content")});
    }
  }
  return row;
}

}  // namespace

LedgerView::LedgerView(const std::string& folder)
    : path_(ledger_in(folder)),
      database_(path_, cat(path_, ": cannot be read as a ledger"), Database::Mode::kReadOnly) {}

int64_t LedgerView::row_count() const {
  Statement query(database_, "SELECT count(*) FROM rows");
  query.step();
  return query.number(0);
}

std::vector<ShownRow> LedgerView::rows(int64_t from, int64_t count) const {
  std::vector<ShownRow> rows;
  Statement query(database_, cat(kRowColumns, "WHERE id >= ? ORDER BY id LIMIT ?"));
  query.bind(from, count);
  while (query.step()) rows.push_back(read_row(query));
  return rows;
}

RowExplanation LedgerView::explain(int64_t row, int64_t around) const {
  RowExplanation out;
  {
    Statement query(database_, cat(kRowColumns, "WHERE id = ?"));
    check(query.bind(row).step(), ErrorCode::kNotFound, path_, ": has no row ", row,
          "; its rows are 1 to ", row_count());
    out.row = read_row(query);
  }
  // Numbers within the talk, in the order that rows are made in.
  Statement query(
      database_,
      "WITH talk AS (SELECT *, row_number() OVER (ORDER BY time, id) AS number FROM messages"
      " WHERE talk = (SELECT talk FROM messages WHERE row = ?1)),"
      " span AS (SELECT min(number) AS first, max(number) AS last FROM talk WHERE row = ?1)"
      " SELECT id, file, line, time, sender_name, kind, text, quote_text, sticker_key, row, reason"
      " FROM talk, span WHERE number BETWEEN first - ?2 AND last + ?2 ORDER BY number");
  query.bind(row, around);
  while (query.step()) {
    out.messages.push_back({.id = query.number(0),
                            .file = query.text(1),
                            .line = query.number(2),
                            .time = query.number(3),
                            .sender = query.text(4),
                            .kind = query.text(5),
                            .text = query.text(6),
                            .quote = query.text(7),
                            .sticker = query.text(8),
                            .row = query.number(9),
                            .reason = query.text(10)});
  }
  return out;
}

}  // namespace zhiyin::chats
