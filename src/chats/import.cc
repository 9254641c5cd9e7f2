#include "chats/import.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "chats/dataset_files.h"
#include "chats/hold_out.h"
#include "chats/mask.h"
#include "chats/persona.h"
#include "chats/preferences.h"
#include "chats/sources.h"
#include "chats/stickers.h"

namespace zhiyin::chats {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDamagedShown = 5;

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

// Most talks have no other versions of an answer, and need no second look.
std::vector<Preference> preferences_in(const std::vector<Message>& messages,
                                       const std::vector<Fate>& fates, std::string_view persona,
                                       int64_t row_chars) {
  const bool branches = std::any_of(messages.begin(), messages.end(), [](const Message& message) {
    return message.kind == MessageKind::kBranch;
  });
  if (!branches) return {};
  std::vector<Message> originals;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (fates[i].reason != kCopyReason) originals.push_back(messages[i]);
  }
  return find_preferences(originals, persona, row_chars);
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
    const std::string& system = built.system.empty() ? options.system : built.system;
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
      ledger.add_row(entry, row_json(row.turns, system, ids));
      summary.answers += entry.answers;
      summary.row_lengths.push_back(row.chars);
      if (rows == 1) summary.first_time = entry.begin_time;
      summary.first_time = std::min(summary.first_time, entry.begin_time);
      summary.last_time = std::max(summary.last_time, entry.end_time);
    }
    for (const Preference& pair :
         preferences_in(messages, built.fates, summary.persona.id, options.row_chars)) {
      const int64_t first = rows + 1 - static_cast<int64_t>(built.rows.size());
      ledger.add_preference(first, rows, preference_json(pair, system));
    }
    if (!built.rows.empty()) sessions += built.rows.back().session + 1;  // they only ever grow
    report(options.progress, "build", static_cast<int64_t>(t + 1),
           static_cast<int64_t>(talks.size()));
  }
  std::sort(summary.row_lengths.begin(), summary.row_lengths.end());
  summary.rows = rows;
  summary.coverage =
      answers == 0 ? 0 : static_cast<double>(answers_used) / static_cast<double>(answers);
}

// "data/" -> "data.mask.json"
std::string mask_map_beside(const std::string& folder) {
  fs::path path = fs::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return cat(path.string(), ".mask.json");
}

bool has_person(const std::vector<Person>& people, const std::string& id) {
  return std::any_of(people.begin(), people.end(), [&](const Person& p) { return p.id == id; });
}

// The files of an import, written under temporary names; they appear when all of them are whole.
class Outputs {
 public:
  AtomicFile& open(const std::string& path) {
    return *files_.emplace_back(std::make_unique<AtomicFile>(path));
  }
  void add(const std::string& path, std::string_view bytes) { open(path).write(bytes); }
  void add(std::unique_ptr<AtomicFile> file) { files_.push_back(std::move(file)); }
  // For one that earlier imports may have left and this one has not.
  void remove(const std::string& path) { unwanted_.push_back(path); }

  void commit(Ledger& ledger) {
    for (const auto& file : files_) file->finish();
    ledger.finish();
    for (const auto& file : files_) file->commit();
    ledger.commit();
    for (const std::string& path : unwanted_) fs::remove(path);
  }

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::vector<std::string> unwanted_;
};

void write_rows(const Ledger& ledger, std::string_view split, AtomicFile& file) {
  ledger.each_row(split, [&](std::string_view json) { file.write(cat(json, '\n')); });
}

// Pairs of talks that are held out stay apart, or preference tuning would see what it is checked
// with. Returns how many there are.
int64_t write_preferences(const Ledger& ledger, bool held_out, const std::string& folder,
                          Outputs& outputs, DatasetInfo& info) {
  const char* const name = held_out ? "preferences_val" : "preferences";
  const std::string file_name = cat(name, ".jsonl"), path = cat(folder, "/", file_name);
  auto file = std::make_unique<AtomicFile>(path);
  int64_t count = 0;
  ledger.each_preference(held_out, [&](std::string_view json) {
    file->write(cat(json, '\n'));
    ++count;
  });
  if (count > 0) {
    outputs.add(std::move(file));
    info.add(name, file_name, DatasetKind::kPairs);
  } else {
    outputs.remove(path);
    info.remove(name);
  }
  return count;
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
  std::optional<Masker> masker;
  if (options.mask || !options.mask_names.empty()) {
    summary.mask_map = options.mask_map.empty() ? mask_map_beside(options.out) : options.mask_map;
    masker.emplace(options.mask_names, read_pseudonyms(summary.mask_map));
  }
  Ledger ledger(out("ledger.db"));
  Sources sources = read_sources(ledger, options.paths, options.progress, [&](Message& message) {
    if (!masker) return;
    for (std::string* text :
         {&message.text, &message.quote_text, &message.quote_name, &message.sender_name}) {
      *text = masker->mask(*text);
    }
  });
  summary.files = std::move(sources.files);
  summary.skipped = std::move(sources.skipped);
  summary.messages = ledger.message_count();
  for (const DamagedRecord& record : ledger.damaged(kDamagedShown)) {
    summary.damaged.push_back(cat(record.file, ": record ", record.line, ": ", record.what));
  }
  summary.people = ledger.people();
  summary.persona = choose_persona(summary.people, ledger.talks(),
                                   masker && !has_person(summary.people, options.persona)
                                       ? masker->mask(options.persona)
                                       : options.persona);
  summary.session_gap = options.session_gap > 0 ? SessionGap{options.session_gap, false}
                                                : learn_session_gap(ledger.gaps());
  const std::vector<StickerUse> used = ledger.stickers();
  const std::vector<Sticker> stickers =
      name_stickers(used, used.empty() ? std::vector<StickerContext>() : ledger.sticker_contexts(),
                    read_stickers(out("stickers.json")));
  summary.stickers = static_cast<int64_t>(used.size());

  Outputs outputs;
  build_all_rows(ledger, options, sticker_names(stickers), summary);
  summary.used = ledger.used();
  summary.instructions = ledger.instructions();
  summary.dropped = ledger.dropped();
  check(summary.rows > 0, ErrorCode::kFailed, summary.persona.name,
        " answers nothing in this export, so there is nothing to learn; ",
        people_text(summary.people));
  for (const int64_t row : choose_hold_out(ledger.rows(), options.val_share)) {
    ledger.set_split(row, "val");
    ++summary.val_rows;
  }
  summary.rows -= summary.val_rows;

  DatasetInfo info(options.out);
  write_rows(ledger, "train", outputs.open(out("train.jsonl")));
  info.add("chats", "train.jsonl");
  if (summary.val_rows > 0) {
    write_rows(ledger, "val", outputs.open(out("val.jsonl")));
    info.add("chats_val", "val.jsonl");
  } else {
    outputs.remove(out("val.jsonl"));
    info.remove("chats_val");
  }
  summary.preferences = write_preferences(ledger, false, options.out, outputs, info);
  summary.val_preferences = write_preferences(ledger, true, options.out, outputs, info);
  outputs.add(out("dataset_info.json"), info.text());
  outputs.add(out("stickers.json"), stickers_json(stickers));
  if (masker) {
    summary.masked = masker->counts();
    AtomicFile& map = outputs.open(summary.mask_map);
    fs::permissions(map.temporary_path(), fs::perms::owner_read | fs::perms::owner_write);
    map.write(pseudonyms_json(masker->pseudonyms()));
  }
  outputs.commit(ledger);
  return summary;
}

std::vector<Person> people_in(const std::vector<std::string>& paths,
                              const ProgressCallback& progress) {
  Ledger ledger;
  read_sources(ledger, paths, progress);
  return ledger.people();
}

}  // namespace zhiyin::chats
