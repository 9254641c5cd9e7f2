#include "chats/turns.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/cat.h"

namespace zhiyin::chats {
namespace {

// What becomes of a message that is not plain text. The other side's pictures and links stay in
// the question as a placeholder, because the answer is about them; the persona cannot send any,
// so there they are dropped. A kind without placeholder is dropped on either side, and a drop cuts
// unless the message was never to be seen.
struct KindRule {
  std::string_view placeholder;
  std::string_view reason;
  bool cuts = true;
};

KindRule kind_rule(MessageKind kind) {
  switch (kind) {
    case MessageKind::kText:
      return {"", "empty"};
    case MessageKind::kSticker:
      return {"[表情]", "sticker without address"};
    case MessageKind::kPicture:
      return {"[图片]", "picture"};
    case MessageKind::kVideo:
      return {"[视频]", "video"};
    case MessageKind::kVoice:
      return {"[语音]", "voice without transcript"};
    case MessageKind::kLink:
      return {"[链接]", "link"};
    case MessageKind::kFile:
      return {"[文件]", "file"};
    case MessageKind::kPlace:
      return {"[位置]", "place"};
    case MessageKind::kMoney:
      return {"[转账]", "money"};
    case MessageKind::kContact:
      return {"[名片]", "contact card"};
    case MessageKind::kCall:
      return {"", "call"};
    case MessageKind::kForward:
      return {"", "forwarded messages"};
    case MessageKind::kNotice:
      return {"", "notice"};
    case MessageKind::kRecall:
      return {"", "recalled"};
    case MessageKind::kBranch:
      return {"", "other version", false};
    case MessageKind::kTool:
      return {"", "tool traffic", false};
    case MessageKind::kHidden:
      return {"", "hidden", false};
    case MessageKind::kInstructions:
      return {"", "instructions", false};
    case MessageKind::kSystem:
      return {"", "system message", false};
    case MessageKind::kOther:
      return {"", "unknown type"};
    case MessageKind::kDamaged:
      return {"", "damaged record"};
  }
  return {"", "unknown type"};
}

struct Rendered {
  std::string text;
  std::string_view reason = {};  // set: the message is dropped
  bool cuts = false;
};

Rendered render(const Message& message, bool is_persona, const StickerNames& stickers) {
  Rendered out;
  const KindRule rule = kind_rule(message.kind);
  const auto sticker = stickers.find(message.sticker_key);
  if (message.kind == MessageKind::kText || message.kind == MessageKind::kVoice) {
    out.text = message.text;
  } else if (message.kind == MessageKind::kSticker && sticker != stickers.end()) {
    out.text = cat("[[", sticker->second, "]]");
  } else if (message.kind == MessageKind::kLink && !is_persona && !message.text.empty()) {
    out.text = cat("[链接：", message.text, "]");
  }
  if (out.text.empty() && !is_persona && !rule.placeholder.empty()) {
    out.text = rule.placeholder;
    if (!message.text.empty()) out.text += cat("\n", message.text);
  }
  if (out.text.empty()) return {{}, rule.reason, rule.cuts};
  if (is_persona) return out;  // the persona is not to learn to write quotes, so only the reply
  if (!message.quote_text.empty() && !message.quote_text.starts_with('<')) {
    out.text = cat("「", message.quote_name, "：", message.quote_text, "」\n", out.text);
  }
  if (message.group) out.text = cat(message.sender_name, "：", out.text);
  return out;
}

// Finds second copies. The server's id settles it where the export has kept it; otherwise a copy
// is an equal message of the same minute (spreadsheets drop the seconds) from another file.
// A thread that several exports have may have gone on, or changed its branch, from one to the next:
// there the newest export counts, and what it has of the others is a copy.
class CopyFinder {
 public:
  CopyFinder(std::span<const Message> messages, bool is_thread) {
    if (!is_thread) return;
    const auto newest =
        std::max_element(messages.begin(), messages.end(), [](const Message& a, const Message& b) {
          return std::tie(a.time, a.id) < std::tie(b.time, b.id);
        });
    newest_file_ = newest->file;
    for (const Message& message : messages) {
      if (message.file == newest_file_) newest_ids_.insert(message.server_id);
    }
  }

  bool is_copy(const Message& message) {
    if (!message.server_id.empty() && message.file != newest_file_ &&
        newest_ids_.contains(message.server_id)) {
      return true;
    }
    const std::string words = cat(message.sender, '\0', kind_name(message.kind), '\0', message.text,
                                  '\0', message.sticker_url, '\0');
    if (!message.server_id.empty()) return !by_id_.insert(cat(words, message.server_id)).second;
    if (message.kind == MessageKind::kDamaged) return false;
    const std::string key = cat(words, message.local_id, '\0', message.time / 60);
    return by_words_.try_emplace(key, message.file).first->second != message.file;
  }

 private:
  std::string newest_file_;
  std::unordered_set<std::string> newest_ids_;
  std::unordered_set<std::string> by_id_;
  std::unordered_map<std::string, std::string> by_words_;  // key -> the file that had it first
};

struct Piece {
  size_t message;
  std::string text;
  std::string_view joint;  // before it
};

struct Turn {
  bool assistant = false;
  bool opener = false;  // stands for a question nobody asked
  std::vector<Piece> pieces = {};

  std::string text() const {
    std::string out;
    for (const Piece& piece : pieces) {
      if (&piece != &pieces.front()) out += piece.joint;
      out += piece.text;
    }
    return out;
  }
};

class RowBuilder {
 public:
  RowBuilder(const RowOptions& options, size_t messages) : options_(options) {
    out_.fates.resize(messages);
  }

  void drop(size_t message, std::string_view reason) { out_.fates[message].reason = reason; }

  void add(size_t message, bool assistant, std::string text, std::string_view joint) {
    if (turns_.empty() || turns_.back().assistant != assistant) {
      turns_.push_back({.assistant = assistant});
    }
    turns_.back().pieces.push_back({message, std::move(text), joint});
    if (assistant) ++out_.answers;
  }

  // Ends the session; what comes next is preceded by silence.
  void end_session() {
    finish_turns();
    after_cut_ = false;
    ++session_;
  }

  // Ends the row; what comes next is preceded by a message that was dropped.
  void cut() {
    finish_turns();
    after_cut_ = true;
  }

  // Of several the first counts.
  void add_system(size_t message, const std::string& text) {
    if (system_ || text.empty()) {
      drop(message, system_ ? "second system message" : "empty");
      return;
    }
    system_ = message;
    out_.system = text;
  }

  TalkRows take() {
    end_session();
    if (system_ && out_.rows.empty()) drop(*system_, "not answered");
    if (system_ && !out_.rows.empty()) {
      out_.fates[*system_].row = 0;
      std::vector<size_t>& messages = out_.rows.front().messages;
      messages.insert(std::lower_bound(messages.begin(), messages.end(), *system_), *system_);
    }
    return std::move(out_);
  }

 private:
  void drop_turn(const Turn& turn, std::string_view reason) {
    for (const Piece& piece : turn.pieces) drop(piece.message, reason);
  }

  void finish_turns() {
    if (turns_.empty()) return;
    if (!turns_.back().assistant) {
      drop_turn(turns_.back(), "not answered");
      turns_.pop_back();
    }
    if (!turns_.empty() && turns_.front().assistant) {
      if (after_cut_ || options_.opener.empty()) {
        drop_turn(turns_.front(), after_cut_ ? "question was dropped" : "no question");
        turns_.erase(turns_.begin());
      } else {
        turns_.insert(turns_.begin(), Turn{.opener = true});
      }
    }
    row_open_ = false;
    for (size_t i = 0; i + 1 < turns_.size(); i += 2) add_exchange(i);
    turns_.clear();
  }

  std::string asked_in(const Turn& question) const {
    return question.opener ? options_.opener : question.text();
  }

  // Fills a fresh row with the exchanges before the one at turns_[end], newest kept, that fit.
  void add_context(Row& row, size_t end, int64_t chars) const {
    const int64_t room = std::min(options_.row_chars / 4, options_.row_chars - chars);
    size_t begin = end;
    for (int64_t taken = 0; begin >= 2; begin -= 2) {
      taken += count_chars(asked_in(turns_[begin - 2]));
      taken += count_chars(turns_[begin - 1].text());
      if (taken > room) break;
    }
    for (; begin < end; begin += 2) {
      row.turns.push_back({false, asked_in(turns_[begin])});
      row.turns.push_back({true, turns_[begin + 1].text(), /*learned=*/false});
    }
    for (const RowTurn& turn : row.turns) row.chars += count_chars(turn.text);
  }

  // The question at turns_[index] and the answer behind it.
  void add_exchange(size_t index) {
    Turn& question = turns_[index];
    const Turn& answer = turns_[index + 1];
    const bool shortened = shorten(question);
    if (shortened || options_.style == RowStyle::kPairs) row_open_ = false;
    std::string asked = asked_in(question);
    std::string answered = answer.text();
    const int64_t chars = count_chars(asked) + count_chars(answered);
    if (row_open_ && out_.rows.back().chars + chars > options_.row_chars) row_open_ = false;
    if (!row_open_) {
      out_.rows.push_back({.session = session_});
      if (!shortened && options_.style == RowStyle::kTurns) {
        add_context(out_.rows.back(), index, chars);
      }
      row_open_ = true;
    }
    Row& row = out_.rows.back();
    row.chars += chars;
    row.turns.push_back({false, std::move(asked)});
    row.turns.push_back({true, std::move(answered)});
    for (const Turn* turn : {static_cast<const Turn*>(&question), &answer}) {
      for (const Piece& piece : turn->pieces) {
        row.messages.push_back(piece.message);
        out_.fates[piece.message].row = static_cast<int>(out_.rows.size()) - 1;
      }
    }
    out_.answers_used += static_cast<int64_t>(answer.pieces.size());
  }

  // Drops the oldest messages of a question that alone would fill a row; true when it did.
  bool shorten(Turn& question) {
    int64_t chars = 0;
    size_t keep = 0;  // from the end
    while (keep < question.pieces.size()) {
      chars += count_chars(question.pieces[question.pieces.size() - 1 - keep].text) + 1;
      if (keep > 0 && chars > options_.row_chars) break;
      ++keep;
    }
    const auto end = question.pieces.end() - static_cast<std::ptrdiff_t>(keep);
    if (end == question.pieces.begin()) return false;
    for (auto piece = question.pieces.begin(); piece != end; ++piece) {
      drop(piece->message, "question too long");
    }
    question.pieces.erase(question.pieces.begin(), end);
    return true;
  }

  const RowOptions& options_;
  TalkRows out_;
  std::vector<Turn> turns_;
  std::optional<size_t> system_;
  bool after_cut_ = false;
  bool row_open_ = false;
  int session_ = 0;
};

}  // namespace

int64_t count_chars(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

TalkRows build_rows(std::span<const Message> messages, std::string_view persona,
                    const StickerNames& stickers, const RowOptions& options) {
  RowBuilder builder(options, messages.size());
  const bool is_thread = std::any_of(messages.begin(), messages.end(), [](const Message& message) {
    return message.side == Side::kMachine;
  });
  CopyFinder copies(messages, is_thread);
  const Message* previous = nullptr;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (copies.is_copy(message)) {
      builder.drop(i, kCopyReason);
      continue;
    }
    if (!is_thread && previous != nullptr && message.time - previous->time > options.session_gap) {
      builder.end_session();
    }
    previous = &message;
    if (message.kind == MessageKind::kSystem) {
      builder.add_system(i, message.text);
      continue;
    }
    const bool is_persona = message.sender == persona;
    Rendered rendered = render(message, is_persona, stickers);
    if (rendered.reason.empty()) {
      builder.add(i, is_persona, std::move(rendered.text), message.joint);
    } else {
      builder.drop(i, rendered.reason);
      if (rendered.cuts) builder.cut();
    }
  }
  return builder.take();
}

SessionGap learn_session_gap(std::vector<int64_t> gaps) {
  constexpr int64_t kShortest = 5 * 60, kLongest = 12 * 3600;
  constexpr double kWidth = 1.5;
  constexpr size_t kFewestGaps = 20;
  SessionGap result;
  std::sort(gaps.begin(), gaps.end());
  if (gaps.size() < kFewestGaps) return result;
  double widest = kWidth;
  for (size_t i = 0; i + 1 < gaps.size(); ++i) {
    const double low = static_cast<double>(std::clamp(gaps[i], kShortest, kLongest));
    const double high = static_cast<double>(std::clamp(gaps[i + 1], kShortest, kLongest));
    if (high / low <= widest) continue;
    widest = high / low;
    result.seconds = std::llround(std::sqrt(low * high));
    result.learned = true;
  }
  return result;
}

}  // namespace zhiyin::chats
