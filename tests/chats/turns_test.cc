// Messages to rows: a property test over random talks, and the session gap.
#include "chats/turns.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/cat.h"

namespace zhiyin::chats {
namespace {

Message random_message(std::mt19937& random, int number, int64_t time) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Message message;
  message.file = "a.csv";
  message.talk = "t";
  message.group = false;
  message.time = time;
  message.sender = below(2) == 0 ? "p" : below(4) == 0 ? "x" : "me";
  message.sender_name = message.sender;
  message.local_id = std::to_string(number);
  if (below(2) == 0) message.server_id = std::to_string(1000 + number);
  if (below(4) == 0) message.kind = static_cast<MessageKind>(below(kMessageKinds));
  if (below(12) != 0) message.text = cat("m", number, below(5) == 0 ? "\nzwei" : "");
  if (message.kind == MessageKind::kSticker && below(2) == 0) message.sticker_key = "k";
  if (below(10) == 0) message.quote_text = "q";
  if (message.kind == MessageKind::kSystem) message.sender.clear();
  return message;
}

// The rules of turns.h, checked from the outside: only messages, fates and rows are looked at.
void check_rows(const std::vector<Message>& messages, const TalkRows& built,
                const RowOptions& options) {
  ASSERT_EQ(built.fates.size(), messages.size());
  std::vector<int> row_of(messages.size(), -1);
  std::string learned = "\n";  // all that is to be learned
  int systems = 0;
  for (size_t r = 0; r < built.rows.size(); ++r) {
    const Row& row = built.rows[r];
    ASSERT_FALSE(row.turns.empty());
    ASSERT_EQ(row.turns.size() % 2, 0u);
    for (size_t t = 0; t < row.turns.size(); ++t) {
      ASSERT_EQ(row.turns[t].assistant, t % 2 == 1);
      ASSERT_FALSE(row.turns[t].text.empty());
    }
    if (options.style == RowStyle::kPairs) {
      ASSERT_EQ(row.turns.size(), 2u);
    }
    ASSERT_TRUE(std::is_sorted(row.messages.begin(), row.messages.end()));
    std::string all;
    for (const RowTurn& turn : row.turns) {
      all += turn.text + "\n";
      if (turn.assistant && turn.learned) learned += turn.text + "\n";
      ASSERT_TRUE(turn.learned || turn.assistant);
    }
    std::vector<size_t> spoken = row.messages;
    std::erase_if(spoken, [&](size_t m) {
      if (messages[m].kind != MessageKind::kSystem) return false;
      ++systems;
      row_of[m] = static_cast<int>(r);
      return r == 0 && messages[m].text == built.system;
    });
    size_t at = 0;
    for (size_t k = 0; k < spoken.size(); ++k) {
      const size_t m = spoken[k];
      ASSERT_EQ(row_of[m], -1) << "in two rows";
      row_of[m] = static_cast<int>(r);
      const bool worded = messages[m].kind == MessageKind::kText && !messages[m].text.empty();
      if (worded) {  // the words stand there, whole and in order
        at = all.find(messages[m].text + "\n", at);
        ASSERT_NE(at, std::string::npos);
      }
      if (k == 0) continue;
      // Nothing glued: between neighbours of a row there is no silence, and nothing that was seen.
      const size_t before = spoken[k - 1];
      ASSERT_LE(messages[m].time - messages[before].time,
                options.session_gap * static_cast<int64_t>(m - before));
      const std::set<std::string_view> unseen = {"copy", "tool traffic", "hidden", "other version",
                                                 "instructions"};
      for (size_t i = before + 1; i < m; ++i) {
        ASSERT_TRUE(messages[i].kind == MessageKind::kSystem ||
                    unseen.contains(built.fates[i].reason));
      }
    }
  }
  ASSERT_LE(systems, 1);
  int64_t answers = 0, answers_used = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Fate& fate = built.fates[i];
    ASSERT_EQ(fate.row, row_of[i]);
    ASSERT_EQ(fate.row < 0, !fate.reason.empty()) << "neither a row nor a reason, or both";
    const std::set<std::string_view> unused_answers = {"question was dropped", "no question"};
    const bool is_answer = messages[i].sender == "p";
    if (is_answer && (fate.row >= 0 || unused_answers.contains(fate.reason))) ++answers;
    if (is_answer && fate.row >= 0) ++answers_used;
    if (is_answer && fate.row >= 0 && !messages[i].text.empty() &&
        messages[i].kind == MessageKind::kText) {
      const std::string words = "\n" + messages[i].text + "\n";
      const size_t first = learned.find(words);
      ASSERT_NE(first, std::string::npos) << "an answer that is never learned";
      ASSERT_EQ(learned.find(words, first + 1), std::string::npos) << "learned twice";
    }
  }
  ASSERT_EQ(built.answers, answers);
  ASSERT_EQ(built.answers_used, answers_used);
}

TEST(Rows, HoldTheirRulesForRandomTalks) {
  std::mt19937 random(7);
  for (int run = 0; run < 4000; ++run) {
    SCOPED_TRACE(run);
    std::vector<Message> messages;
    int64_t time = 1'700'000'000;
    const size_t count = random() % 40;
    for (size_t i = 0; i < count; ++i) {
      time += static_cast<int64_t>(random() % 8 == 0 ? random() % 7200 : random() % 60);
      messages.push_back(random_message(random, static_cast<int>(i), time));
      if (random() % 8 == 0) {  // a second copy, from another page or by its id
        messages.push_back(messages.back());
        messages.back().file = "b.csv";
      }
    }
    const RowOptions options = {
        .style = random() % 2 == 0 ? RowStyle::kTurns : RowStyle::kPairs,
        .session_gap = 1800,
        .row_chars = static_cast<int64_t>(random() % 3 == 0 ? 4 + random() % 60 : 2000),
        .opener = random() % 2 == 0 ? "go" : ""};
    check_rows(messages, build_rows(messages, "p", {{"k", "name"}}, options), options);
    if (HasFatalFailure()) return;
  }
}

Message say(const char* sender, const char* text, int64_t time,
            MessageKind kind = MessageKind::kText) {
  Message message;
  message.sender = sender;
  message.text = text;
  message.time = time;
  message.kind = kind;
  return message;
}

std::vector<std::string> texts(const Row& row) {
  std::vector<std::string> out;
  for (const RowTurn& turn : row.turns) out.push_back(turn.text);
  return out;
}

TEST(Rows, DroppedMessageCutsAndNeverGlues) {
  const std::vector<Message> talk = {
      say("me", "question", 0), say("me", "", 1, MessageKind::kRecall),
      say("p", "answer to what was recalled", 2), say("me", "next", 3), say("p", "reply", 4)};
  const TalkRows built = build_rows(talk, "p", {}, {.opener = "go"});
  ASSERT_EQ(built.rows.size(), 1u);
  EXPECT_EQ(texts(built.rows[0]), (std::vector<std::string>{"next", "reply"}));
  EXPECT_EQ(built.fates[0].reason, "not answered");
  EXPECT_EQ(built.fates[1].reason, "recalled");
  EXPECT_EQ(built.fates[2].reason, "question was dropped");
}

TEST(Rows, OpenerHintsAtNothing) {
  const std::vector<Message> talk = {say("p", "secret", 0), say("me", "ok", 1), say("p", "bye", 2)};
  const TalkRows built = build_rows(talk, "p", {}, {.opener = "go"});
  ASSERT_EQ(built.rows.size(), 1u);
  EXPECT_EQ(texts(built.rows[0]), (std::vector<std::string>{"go", "secret", "ok", "bye"}));
  EXPECT_EQ(built.rows[0].messages, (std::vector<size_t>{0, 1, 2}));
}

TEST(Rows, LongSessionsSplitBetweenExchangesOnly) {
  std::vector<Message> talk;
  for (int i = 0; i < 6; ++i) {
    talk.push_back(say("me", "1234", 2 * i));
    talk.push_back(say("p", "567890", 2 * i + 1));
  }
  const TalkRows built = build_rows(talk, "p", {}, {.row_chars = 25});
  ASSERT_EQ(built.rows.size(), 3u);
  for (const Row& row : built.rows) {
    EXPECT_EQ(row.turns.size(), 4u);
    EXPECT_EQ(row.chars, 20);
    EXPECT_EQ(row.session, 0);
  }
  EXPECT_EQ(built.answers_used, 6);
}

TEST(Rows, OverlongQuestionKeepsItsNewestMessages) {
  const std::vector<Message> talk = {say("me", "aaaaaaaaaa", 0), say("me", "bbbb", 1),
                                     say("me", "cccc", 2), say("p", "an answer is never cut", 3)};
  const TalkRows built = build_rows(talk, "p", {}, {.row_chars = 10});
  ASSERT_EQ(built.rows.size(), 1u);
  EXPECT_EQ(texts(built.rows[0]),
            (std::vector<std::string>{"bbbb\ncccc", "an answer is never cut"}));
  EXPECT_EQ(built.fates[0].reason, "question too long");
}

TEST(SessionGap, IsLearnedWhereTheDataShowsIt) {
  std::vector<int64_t> gaps;
  for (int i = 0; i < 40; ++i) gaps.push_back(5 + 10 * i);  // to 395 s
  EXPECT_FALSE(learn_session_gap(gaps).learned);
  for (int i = 0; i < 10; ++i) gaps.push_back(7200 + 600 * i);
  const SessionGap gap = learn_session_gap(gaps);
  EXPECT_TRUE(gap.learned);
  EXPECT_GT(gap.seconds, 395);
  EXPECT_LT(gap.seconds, 7200);
  EXPECT_EQ(learn_session_gap({10, 20, 9000}).seconds, 30 * 60);
  EXPECT_EQ(learn_session_gap({}).seconds, 30 * 60);
}

}  // namespace
}  // namespace zhiyin::chats
