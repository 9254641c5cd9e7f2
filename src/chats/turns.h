// From the messages of one talk to rows for training: bursts become turns, turns become rows, and
// every message gets a fate. Nothing here reads or writes files.
//
// The rules, in the order they apply (a talk's own system message stands outside them: it goes with
// every row, and is counted in the first):
//  1. A second copy of a message (overlapping exports) is dropped; nothing is lost by that.
//  2. A silence longer than the session gap starts a new session; a thread with an assistant, which
//     never keeps one waiting, is one session.
//  3. A message that cannot be part of a row (a call, a recall, a picture of the persona, ...) is
//     dropped and CUTS: what stands before it and what stands behind it never meet in one row, so
//     no answer is paired with a question it was not given to. What was never on the screen (tool
//     traffic, other versions of a turn) is dropped without a cut.
//  4. In what remains, messages of one side in a row form a turn, joined by line breaks in order.
//  5. A session that the persona opens gets a neutral opener as the user's turn; the answer itself
//     is never hinted at. Behind a cut the question is unknown and the turn is dropped.
//  6. Questions at the end of a session that were never answered are dropped.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chats/message.h"

namespace zhiyin::chats {

enum class RowStyle {
  kTurns,  // whole sessions: user, assistant, user, assistant, ...
  kPairs,  // one question and its answer a row
};

struct RowOptions {
  RowStyle style = RowStyle::kTurns;
  int64_t session_gap = 30 * 60;  // seconds
  int64_t row_chars = 2000;       // code points a row of kTurns may grow to; see build_rows
  std::string opener = {};        // rule 5; empty: such turns are dropped
};

struct RowTurn {
  bool assistant = false;
  std::string text;
  bool learned = true;  // false: an answer of an earlier row, carried as context
};

struct Row {
  std::vector<RowTurn> turns = {};    // user first, alternating, assistant last
  std::vector<size_t> messages = {};  // indices of the messages in it, in order; not of context
  int session = 0;                    // number within the talk, from 0; a cut starts no new one
  int64_t chars = 0;                  // code points of all turns
};

inline constexpr std::string_view kCopyReason = "copy";

struct Fate {
  int row = -1;             // index into rows, or -1 and
  std::string_view reason;  // why it is in none
};

struct TalkRows {
  std::vector<Row> rows;
  std::string system = {};   // the talk's own system message, for all of its rows
  std::vector<Fate> fates;   // one for each message
  int64_t answers = 0;       // messages of the persona with words (or a sticker) in them,
  int64_t answers_used = 0;  // and how many of those are in a row
};

// Names to write for stickers, by their key.
using StickerNames = std::map<std::string, std::string>;

// messages: one talk in order of time. persona: the sender who becomes the assistant.
// Rows of kTurns are split between exchanges when they would pass row_chars; the next row then
// begins with what came right before, as context that is not learned, as far as it fits into a
// quarter of row_chars. So every answer is learned exactly once and none is cut; of a question
// longer than row_chars the oldest messages are dropped.
TalkRows build_rows(std::span<const Message> messages, std::string_view persona,
                    const StickerNames& stickers, const RowOptions& options);

// Code points of a valid UTF-8 text.
int64_t count_chars(std::string_view text);

struct SessionGap {
  int64_t seconds = 30 * 60;
  bool learned = false;  // false: too few messages, or no clear gap between short and long silences
};

// The session gap from the silences between neighbours (seconds, any order): the middle of the
// widest empty stretch of their logarithms between 5 minutes and 12 hours, when it is at least a
// factor of 1.5 wide and silences stand on both sides.
SessionGap learn_session_gap(std::vector<int64_t> gaps);

}  // namespace zhiyin::chats
