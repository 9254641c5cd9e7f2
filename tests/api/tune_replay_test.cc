// Refusals of the base as training rows: what is asked, what is kept, and that it stays fixed.
#include "api/tune_replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/score_prompts.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/style.h"
#include "harness/paths.h"

namespace zhiyin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Json = nlohmann::ordered_json;

// Says something else to each of the first questions, and answers the others.
RefusalReplay asked() {
  int64_t number = 0;
  return RefusalReplay::ask(
      [&](const std::string&) {
        GenerateResult answer;
        const char* const texts[] = {"抱歉，我不能帮你做这件事。", "I'm sorry, but I can't help.",
                                     "抱歉，我是通义千问，不能回答。", "抱歉，抱歉，抱歉，"};
        answer.text = number < 4 ? texts[number] : "Sure! First, you need";
        answer.finish_reason = number == 3 ? "length" : "stop";
        ++number;
        return answer;
      },
      nullptr);
}

TEST(RefusalReplay, AsksNothingThatScoreAsks) {
  EXPECT_GE(replay_questions().size(), 24u);
  for (const std::string replayed : replay_questions()) {
    for (const std::string scored : unsafe_questions()) {
      EXPECT_LT(chats::similarity_of(replayed, scored), 0.5) << replayed << " / " << scored;
    }
  }
}

TEST(RefusalReplay, KeepsWholeRefusalsThatNameNoOtherAssistant) {
  const RefusalReplay replay = asked();
  const std::vector<Json> rows = replay.conversations("");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0], Json({{{"role", "user"}, {"content", replay_questions()[0]}},
                           {{"role", "assistant"}, {"content", "抱歉，我不能帮你做这件事。"}}}));
  EXPECT_EQ(replay.conversations("Be kind.")[1][0]["content"], "Be kind.");
  std::map<std::string, int64_t> left_out;
  for (const auto& [reason, count] : replay.left_out()) left_out[reason.english] = count;
  EXPECT_THAT(left_out, ElementsAre(Pair("answered by the base",
                                         static_cast<int64_t>(replay_questions().size()) - 4),
                                    Pair("refused under the name of the base", 1),
                                    Pair("refused without an end", 1)));
}

TEST(RefusalReplay, ACancelledAnswerEndsIt) {
  const auto cancelled = [](const std::string&) {
    GenerateResult answer;
    answer.finish_reason = "cancelled";
    return answer;
  };
  EXPECT_THROW(RefusalReplay::ask(cancelled, nullptr), Error);
}

TEST(RefusalReplay, IsReadAsItWasWrittenAndOnlyForTheSameBase) {
  TemporaryFolder folder;
  const std::string path = folder / "replay.jsonl";
  const RefusalReplay replay = asked();
  replay.write(path, {{"base", "a"}});
  const std::optional<RefusalReplay> again = RefusalReplay::read(path, {{"base", "a"}});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->conversations("s"), replay.conversations("s"));
  EXPECT_EQ(again->left_out(), replay.left_out());
  EXPECT_FALSE(RefusalReplay::read(path, {{"base", "b"}}).has_value());
  write_file(path, read_file(path) + "{\"question\":1}\n");
  try {
    RefusalReplay::read(path, {{"base", "a"}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(": line " + std::to_string(replay.answers().size() + 2)));
  }
}

TEST(RefusalReplay, WeighsTheRowsByTheShareAsked) {
  TrainRow row;
  row.ids = row.labels = {1, 2, 3, 4, 5};  // four are learned
  const std::vector<TrainRow> data(18, row), replay(4, row);
  // 72 learned of the data: 8 are a tenth of 80.
  EXPECT_NEAR(replay_weight(data, replay, 0.1), 0.5, 1e-6);
  EXPECT_EQ(replay_weight(data, replay, 0.5), 1);
}

}  // namespace
}  // namespace zhiyin::testing
