#include "chats/summary.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/cat.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "chats/civil_time.h"

namespace zhiyin::chats {
namespace {

int64_t longest(const ImportSummary& s) { return s.row_lengths.empty() ? 0 : s.row_lengths.back(); }

int64_t quantile(const std::vector<int64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<size_t>(std::llround(share * last))];
}

struct Bar {
  int64_t from, to;  // code points, both inclusive
  int64_t rows;
};

// Bars that double in width, since lengths do.
std::vector<Bar> histogram_of(const std::vector<int64_t>& sorted) {
  std::vector<Bar> bars;
  if (sorted.empty()) return bars;
  Bar bar{0, 15, 0};
  for (const int64_t length : sorted) {
    while (length > bar.to) {
      if (!bars.empty() || bar.rows > 0) bars.push_back(bar);
      bar = {bar.to + 1, bar.to * 2 + 1, 0};
    }
    ++bar.rows;
  }
  bars.push_back(bar);
  return bars;
}

std::string one_line(std::string text) {
  constexpr size_t kBytesShown = 300;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return printable(text, kBytesShown);
}

std::string padded(const std::string& text, size_t width) {
  return text.size() >= width ? text : std::string(width - text.size(), ' ') + text;
}

}  // namespace

std::string summary_json(const ImportSummary& s) {
  nlohmann::ordered_json people = nlohmann::ordered_json::array();
  for (const Person& person : s.people) {
    people.push_back({{"id", person.id}, {"name", person.name}, {"messages", person.messages}});
  }
  nlohmann::ordered_json histogram = nlohmann::ordered_json::array();
  for (const Bar& bar : histogram_of(s.row_lengths)) {
    histogram.push_back({{"from", bar.from}, {"to", bar.to}, {"rows", bar.rows}});
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
                                       {"preferences", s.preferences},
                                       {"val_preferences", s.val_preferences},
                                       {"first_time", format_time(s.first_time)},
                                       {"last_time", format_time(s.last_time)},
                                       {"longest_row", longest(s)},
                                       {"row_lengths",
                                        {{"median", quantile(s.row_lengths, 0.5)},
                                         {"p90", quantile(s.row_lengths, 0.9)},
                                         {"histogram", histogram}}},
                                       {"instructions", s.instructions},
                                       {"masked", s.masked},
                                       {"mask_map", s.mask_map},
                                       {"damaged", s.damaged},
                                       {"files", s.files},
                                       {"skipped", s.skipped}};
  return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string summary_text(const ImportSummary& s) {
  constexpr size_t kFilesShown = 10, kPeopleShown = 10;
  constexpr int64_t kBarWidth = 40;
  std::string text;
  const auto line = [&](const auto&... parts) { text += cat(parts...) + "\n"; };
  line("persona   ", s.persona.name, " (", s.persona.id, ")");
  for (size_t i = 0; i < std::min(s.people.size(), kPeopleShown); ++i) {
    const Person& person = s.people[i];
    line(i == 0 ? "people    " : "          ", person.name, " (", person.id, "): ", person.messages,
         " messages");
  }
  if (s.people.size() > kPeopleShown)
    line("          and ", s.people.size() - kPeopleShown, " more");
  if (s.last_time > 0)
    line("time      ", format_time(s.first_time), " to ", format_time(s.last_time));
  line("messages  ", s.messages, ": ", s.used, " used");
  for (const auto& [reason, count] : s.dropped) line("          ", count, " dropped: ", reason);
  for (const std::string& record : s.damaged) line("damaged   ", one_line(record));
  if (!s.damaged.empty()) line("          what is lost there comes back with a new export");
  line("coverage  ", std::round(s.coverage * 1000) / 10.0,
       " % of the persona's messages with words");
  line("session   ends after ", duration_text(static_cast<double>(s.session_gap.seconds)),
       s.session_gap.learned ? " of silence (learned from the data)" : " of silence");
  line("rows      ", s.rows, " to train on, ", s.val_rows, " held out, ", s.answers, " answers");
  line("lengths   ", quantile(s.row_lengths, 0.5), " characters in the middle, ",
       quantile(s.row_lengths, 0.9), " at 90 %, ", longest(s), " at most");
  const std::vector<Bar> bars = histogram_of(s.row_lengths);
  int64_t most = 1;
  for (const Bar& bar : bars) most = std::max(most, bar.rows);
  for (const Bar& bar : bars) {
    const auto width = static_cast<size_t>((bar.rows * kBarWidth + most - 1) / most);
    line("          ", padded(cat(bar.from, "-", bar.to), 13), " ", std::string(width, '#'),
         width > 0 ? " " : "", bar.rows);
  }
  line("stickers  ", s.stickers);
  if (s.preferences + s.val_preferences > 0) {
    line("pairs     ", s.preferences, " of a chosen and a rejected answer, ", s.val_preferences,
         " held out");
  }
  if (!s.instructions.empty()) {
    line("custom    the export holds instructions to the assistant; --system could be: ",
         one_line(s.instructions.front()));
  }
  for (const auto& [kind, count] : s.masked) line("masked    ", count, " times: ", kind);
  if (!s.mask_map.empty())
    line("          what stands for what is in ", s.mask_map, "; keep it apart");
  for (size_t i = 0; i < std::min(s.skipped.size(), kFilesShown); ++i) {
    line("skipped   ", s.skipped[i]);
  }
  if (s.skipped.size() > kFilesShown) {
    line("skipped   ", s.skipped.size() - kFilesShown, " more files");
  }
  return text;
}

}  // namespace zhiyin::chats
