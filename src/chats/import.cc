#include "chats/import.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "chats/civil_time.h"
#include "chats/dataset_files.h"
#include "chats/importer.h"
#include "chats/persona.h"
#include "chats/stickers.h"

namespace zhiyin::chats {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kProgressStep = 4096;

struct Sources {
  std::vector<std::string> files, skipped;
};

void report(const ProgressCallback& progress, std::string_view stage, int64_t done, int64_t total) {
  if (progress) progress({stage, done, total});
}

std::string formats_read() {
  std::vector<std::string_view> formats;
  for (const Importer* importer : importers()) formats.push_back(importer->reads);
  return join(formats, "; ");
}

// A file that was named must be an export; in a folder, what is none is passed over and listed.
void read_file_into(Ledger& ledger, const std::string& path, bool named, Sources& sources,
                    const ProgressCallback& progress) {
  check(!named || !fs::is_empty(path), ErrorCode::kFailed, path,
        ": is empty; export the chat again");
  const Importer* importer = find_importer(path);
  check(importer != nullptr || !named, ErrorCode::kFailed, path,
        ": is no chat export that zhiyin knows; it reads ", formats_read());
  (importer != nullptr ? sources.files : sources.skipped).push_back(path);
  if (importer == nullptr) return;
  importer->read(path, [&](Message&& message) {
    ledger.add(message);
    if (ledger.message_count() % kProgressStep == 0) {
      report(progress, "read", ledger.message_count(), 0);
    }
  });
}

Sources read_sources(Ledger& ledger, const std::vector<std::string>& paths,
                     const ProgressCallback& progress) {
  check(!paths.empty(), ErrorCode::kUsage, "no chat export given; name a file or a folder");
  Sources sources;
  std::unordered_set<std::string> seen;  // the same file named twice is read once
  for (const std::string& path : paths) {
    check(fs::exists(path), ErrorCode::kNotFound, path, ": no such file or folder");
    if (!fs::is_directory(path)) {
      if (seen.insert(fs::canonical(path)).second) {
        read_file_into(ledger, path, /*named=*/true, sources, progress);
      }
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    const size_t before = sources.files.size();
    for (const std::string& file : inside) {
      if (seen.insert(fs::canonical(file)).second) {
        read_file_into(ledger, file, /*named=*/false, sources, progress);
      }
    }
    check(sources.files.size() > before, ErrorCode::kNotFound, path,
          ": holds no chat export that zhiyin knows; it reads ", formats_read());
  }
  check(ledger.message_count() > 0, ErrorCode::kFailed, join(sources.files),
        ": there are no messages in it; export the chat again");
  report(progress, "read", ledger.message_count(), ledger.message_count());
  return sources;
}

// FNV-1a of the words of a row, for finding equal ones.
uint64_t hash_row(const Row& row) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const RowTurn& turn : row.turns) {
    for (const char c : cat(turn.text, '\0')) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
  }
  return hash;
}

// Builds the rows of all talks into the ledger and fills in what the summary knows of them.
void build_all_rows(Ledger& ledger, const ImportOptions& options, const StickerNames& stickers,
                    ImportSummary& summary) {
  const RowOptions row_options = {.style = options.style,
                                  .session_gap = summary.session_gap.seconds,
                                  .row_chars = options.row_chars,
                                  .opener = options.opener};
  const std::vector<Talk> talks = ledger.talks();
  int64_t rows = 0, sessions = 0, answers = 0, answers_used = 0;
  for (size_t t = 0; t < talks.size(); ++t) {
    const std::vector<Message> messages = ledger.messages(talks[t].id);
    const TalkRows built = build_rows(messages, summary.persona.id, stickers, row_options);
    answers += built.answers;
    answers_used += built.answers_used;
    for (size_t i = 0; i < messages.size(); ++i) {
      const Fate& fate = built.fates[i];
      if (fate.row >= 0) {
        ledger.set_row(messages[i].id, rows + 1 + fate.row);
      } else {
        ledger.set_reason(messages[i].id, fate.reason);
      }
    }
    for (const Row& row : built.rows) {
      std::vector<int64_t> ids;
      for (const size_t index : row.messages) ids.push_back(messages[index].id);
      const LedgerRow entry = {.id = ++rows,
                               .session = sessions + row.session,
                               .begin_time = messages[row.messages.front()].time,
                               .end_time = messages[row.messages.back()].time,
                               .answers = static_cast<int>(row.turns.size() / 2),
                               .hash = hash_row(row)};
      ledger.add_row(entry, row_json(row.turns, options.system, ids));
      summary.answers += entry.answers;
      summary.longest_row = std::max(summary.longest_row, row.chars);
      if (rows == 1) summary.first_time = entry.begin_time;
      summary.first_time = std::min(summary.first_time, entry.begin_time);
      summary.last_time = std::max(summary.last_time, entry.end_time);
    }
    if (!built.rows.empty()) sessions += built.rows.back().session + 1;
    report(options.progress, "build", static_cast<int64_t>(t + 1),
           static_cast<int64_t>(talks.size()));
  }
  summary.rows = rows;
  summary.coverage =
      answers == 0 ? 0 : static_cast<double>(answers_used) / static_cast<double>(answers);
}

// Holds out the newest sessions, whole, so that no half of a conversation gives the other away. A
// row whose words also stand in the training rows stays there.
void split_rows(Ledger& ledger, double share, ImportSummary& summary) {
  constexpr int64_t kEnoughAnswers = 400;
  constexpr double kDefaultShare = 0.05;
  if (share < 0) share = summary.answers >= kEnoughAnswers ? kDefaultShare : 0;
  const auto wanted = static_cast<int64_t>(share * static_cast<double>(summary.answers));
  std::vector<LedgerRow> rows = ledger.rows();
  std::sort(rows.begin(), rows.end(), [](const LedgerRow& a, const LedgerRow& b) {
    return std::tie(a.end_time, a.id) > std::tie(b.end_time, b.id);
  });
  std::unordered_map<int64_t, int64_t> session_answers;
  for (const LedgerRow& row : rows) session_answers[row.session] += row.answers;
  std::unordered_set<int64_t> held_out;
  int64_t held_answers = 0;
  for (const LedgerRow& row : rows) {
    if (held_answers >= wanted) break;
    if (held_out.insert(row.session).second) held_answers += session_answers[row.session];
  }
  std::unordered_set<uint64_t> trained;
  for (const LedgerRow& row : rows) {
    if (!held_out.contains(row.session)) trained.insert(row.hash);
  }
  for (const LedgerRow& row : rows) {
    if (!held_out.contains(row.session) || trained.contains(row.hash)) continue;
    ledger.set_split(row.id, "val");
    ++summary.val_rows;
  }
  summary.rows -= summary.val_rows;
}

void write_rows(const Ledger& ledger, std::string_view split, const std::string& path) {
  AtomicFile file(path);
  ledger.each_row(split, [&](std::string_view json) {
    file.write(json);
    file.write("\n");
  });
  file.commit();
}

}  // namespace

ImportSummary import_chats(const ImportOptions& options) {
  check(!options.out.empty(), ErrorCode::kUsage, "no folder given for the data set; name one");
  check(options.val_share < 1, ErrorCode::kUsage, "val_share ", options.val_share,
        " leaves nothing to train on; give a share below 1");
  check(options.row_chars > 0 && options.session_gap >= 0, ErrorCode::kUsage,
        "row_chars and session_gap cannot be negative");
  std::error_code error;
  fs::create_directories(options.out, error);
  check(!error, ErrorCode::kFailed, options.out, ": cannot be made: ", error.message());
  const auto out = [&](const char* name) { return cat(options.out, "/", name); };

  ImportSummary summary;
  Ledger ledger(out("ledger.db"));
  Sources sources = read_sources(ledger, options.paths, options.progress);
  summary.files = std::move(sources.files);
  summary.skipped = std::move(sources.skipped);
  summary.messages = ledger.message_count();
  summary.people = ledger.people();
  summary.persona = choose_persona(summary.people, ledger.talks(), options.persona);
  summary.session_gap = options.session_gap > 0 ? SessionGap{options.session_gap, false}
                                                : learn_session_gap(ledger.gaps());
  const std::vector<Sticker> stickers =
      name_stickers(ledger.stickers(), read_stickers(out("stickers.json")));
  summary.stickers = static_cast<int64_t>(stickers.size());

  build_all_rows(ledger, options, sticker_names(stickers), summary);
  summary.used = ledger.used();
  summary.dropped = ledger.dropped();
  check(summary.rows > 0, ErrorCode::kFailed, summary.persona.name,
        " answers nothing in this export, so there is nothing to learn; ",
        people_text(summary.people));
  split_rows(ledger, options.val_share, summary);

  write_rows(ledger, "train", out("train.jsonl"));
  add_dataset(options.out, "chats", "train.jsonl");
  if (summary.val_rows > 0) {
    write_rows(ledger, "val", out("val.jsonl"));
    add_dataset(options.out, "chats_val", "val.jsonl");
  } else {
    remove_dataset(options.out, "chats_val");
    fs::remove(out("val.jsonl"));
  }
  write_file(out("stickers.json"), stickers_json(stickers));
  ledger.commit();
  return summary;
}

std::vector<Person> people_in(const std::vector<std::string>& paths,
                              const ProgressCallback& progress) {
  Ledger ledger;
  read_sources(ledger, paths, progress);
  return ledger.people();
}

std::string summary_json(const ImportSummary& s) {
  nlohmann::ordered_json people = nlohmann::ordered_json::array();
  for (const Person& person : s.people) {
    people.push_back({{"id", person.id}, {"name", person.name}, {"messages", person.messages}});
  }
  const nlohmann::ordered_json root = {{"messages", s.messages},
                                       {"used", s.used},
                                       {"dropped", s.dropped},
                                       {"rows", s.rows},
                                       {"val_rows", s.val_rows},
                                       {"answers", s.answers},
                                       {"coverage", s.coverage},
                                       {"people", people},
                                       {"persona", s.persona.id},
                                       {"session_gap_s", s.session_gap.seconds},
                                       {"session_gap_learned", s.session_gap.learned},
                                       {"stickers", s.stickers},
                                       {"first_time", format_time(s.first_time)},
                                       {"last_time", format_time(s.last_time)},
                                       {"longest_row", s.longest_row},
                                       {"files", s.files},
                                       {"skipped", s.skipped}};
  return root.dump(2);
}

}  // namespace zhiyin::chats
