#include "zhiyin/chats.h"

#include "base/error.h"
#include "base/progress.h"
#include "chats/civil_time.h"
#include "chats/identity.h"
#include "chats/import.h"
#include "chats/ledger_view.h"
#include "chats/summary.h"

namespace zhiyin {
namespace {

chats::RowStyle style_of(const std::string& name) {
  if (name == "turns") return chats::RowStyle::kTurns;
  if (name == "pairs") return chats::RowStyle::kPairs;
  fail(ErrorCode::kUsage, "the style ", name, " is not known; it can be turns or pairs");
}

chats::ProgressCallback inner_progress(const ChatProgress& progress) {
  if (!progress) return nullptr;
  return [&](const chats::ImportProgress& p) { progress(std::string(p.stage), p.done, p.total); };
}

}  // namespace

ChatImportResult import_chats(const ChatImportOptions& o) {
  chats::ImportOptions options;
  options.paths = o.paths;
  options.out = o.out;
  options.persona = o.persona;
  options.style = style_of(o.style);
  options.system = o.system;
  options.session_gap = o.session_gap;
  options.val_share = o.val_share;
  options.mask = o.mask;
  options.mask_names = o.mask_names;
  options.mask_map = o.mask_map;
  options.progress = inner_progress(o.progress);
  const chats::ImportSummary summary = chats::import_chats(options);
  return {chats::summary_json(summary), chats::summary_text(summary),
          std::string(chats::kConsentNote)};
}

std::vector<ChatPerson> chat_people(const std::vector<std::string>& paths,
                                    const ChatProgress& progress) {
  std::vector<ChatPerson> people;
  for (const chats::Person& p : chats::people_in(paths, inner_progress(progress)))
    people.push_back({p.id, p.name, p.messages});
  return people;
}

namespace {

ChatRow public_row(const chats::ShownRow& row) {
  ChatRow out{.id = row.id,
              .place = cat(row.split, ".jsonl:", row.line),
              .begin_time = chats::format_time(row.begin_time),
              .end_time = chats::format_time(row.end_time),
              .system = row.system,
              .turns = {}};
  for (const chats::RowTurn& turn : row.turns) out.turns.push_back({turn.assistant, turn.text});
  return out;
}

}  // namespace

ChatRows chat_rows(const std::string& folder, int64_t from, int64_t count) {
  const chats::LedgerView ledger(folder);
  ChatRows out{.rows = {}, .total = ledger.row_count()};
  for (const chats::ShownRow& row : ledger.rows(from, count)) out.rows.push_back(public_row(row));
  return out;
}

ChatExplanation explain_chat_row(const std::string& folder, int64_t row) {
  const chats::RowExplanation found = chats::LedgerView(folder).explain(row);
  ChatExplanation out{.row = public_row(found.row), .messages = {}};
  for (const chats::ShownMessage& m : found.messages) {
    out.messages.push_back({.id = m.id,
                            .place = cat(m.file, ":", m.line),
                            .time = chats::format_time(m.time),
                            .sender = m.sender,
                            .kind = m.kind,
                            .text = m.text,
                            .quote = m.quote,
                            .row = m.row,
                            .reason = m.reason});
  }
  return out;
}

IdentityResult make_identity(const std::string& card, const std::string& out) {
  const chats::IdentitySummary s = chats::write_identity(chats::read_identity_card(card), out);
  return {s.rows, s.probes};
}

}  // namespace zhiyin
