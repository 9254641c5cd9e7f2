#include "zhiyin/chats.h"

#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "chats/identity.h"
#include "chats/import.h"
#include "chats/persona.h"

namespace zhiyin {
namespace {

chats::RowStyle style_of(const std::string& name) {
  if (name == "turns") return chats::RowStyle::kTurns;
  if (name == "pairs") return chats::RowStyle::kPairs;
  fail(ErrorCode::kUsage, "the style ", name, " is not known; it can be turns or pairs");
}

std::string summary_text(const chats::ImportSummary& s) {
  std::string text;
  const auto line = [&](const auto&... parts) { text += cat(parts...) + "\n"; };
  line("persona   ", s.persona.name, " (", s.persona.id, ")");
  line("messages  ", s.messages, ": ", s.used, " used");
  for (const auto& [reason, count] : s.dropped) line("          ", count, " dropped: ", reason);
  line("rows      ", s.rows, " to train on, ", s.val_rows, " held out, ", s.answers, " answers");
  line("coverage  ", std::round(s.coverage * 1000) / 10.0,
       " % of the persona's messages with words");
  line("session   ends after ", duration_text(static_cast<double>(s.session_gap.seconds)),
       s.session_gap.learned ? " of silence (learned from the data)" : " of silence");
  line("stickers  ", s.stickers, ", longest row ", s.longest_row, " characters");
  for (const std::string& file : s.skipped) line("skipped   ", file);
  return text;
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
  if (o.progress) {
    options.progress = [&](const chats::ImportProgress& p) {
      o.progress(std::string(p.stage), p.done, p.total);
    };
  }
  const chats::ImportSummary summary = chats::import_chats(options);
  return {chats::summary_json(summary), summary_text(summary), std::string(chats::kConsentNote)};
}

std::vector<ChatPerson> chat_people(const std::vector<std::string>& paths) {
  std::vector<ChatPerson> people;
  for (const chats::Person& p : chats::people_in(paths))
    people.push_back({p.id, p.name, p.messages});
  return people;
}

IdentityResult make_identity(const std::string& card, const std::string& out) {
  const chats::IdentitySummary s = chats::write_identity(chats::read_identity_card(card), out);
  return {s.rows, s.probes};
}

}  // namespace zhiyin
