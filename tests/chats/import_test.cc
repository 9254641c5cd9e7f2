// Import as a whole, data-driven: every folder of tests/data/chats holds export files and a
// case.json with the options and what must come out.
#include "chats/import.h"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "base/cat.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/import_checks.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

using Json = nlohmann::json;

ImportOptions options_of(const Json& json) {
  ImportOptions options;
  options.persona = json.value("persona", options.persona);
  options.style = json.value("style", "turns") == "pairs" ? RowStyle::kPairs : RowStyle::kTurns;
  options.session_gap = json.value("session_gap", options.session_gap);
  options.row_chars = json.value("row_chars", options.row_chars);
  options.val_share = json.value("val_share", options.val_share);
  options.system = json.value("system", options.system);
  options.opener = json.value("opener", options.opener);
  return options;
}

// The words of the rows against expected[key], where the case has it.
void check_contents(const std::vector<Json>& rows, const Json& expected, const char* key) {
  if (!expected.contains(key)) return;
  ASSERT_EQ(rows.size(), expected[key].size()) << Json(rows).dump(1);
  for (size_t i = 0; i < rows.size(); ++i) {
    Json contents = Json::array();
    for (const Json& message : rows[i]["messages"]) contents.push_back(message["content"]);
    if (expected.contains("system")) {
      EXPECT_EQ(contents[0], expected["system"]);
      contents.erase(0);
    }
    EXPECT_EQ(contents, expected[key][i]);
  }
}

class ImportCase : public ::testing::TestWithParam<std::string> {};

TEST_P(ImportCase, GivesWhatTheCaseSays) {
  const std::string folder = testing::data_path("chats/" + GetParam());
  const Json expected = Json::parse(read_file(folder + "/case.json"));
  const testing::TemporaryFolder out;
  ImportOptions options = options_of(expected["options"]);
  options.out = out / "data";
  for (const Json& input : expected["inputs"]) {
    options.paths.push_back(folder + "/" + input.get<std::string>());
  }
  if (expected.contains("error")) {
    try {
      import_chats(options);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(expected["error"].get<std::string>()));
      EXPECT_EQ(static_cast<int>(error.code()), expected["code"].get<int>());
    }
    EXPECT_TRUE(std::filesystem::is_empty(options.out)) << "an error left files behind";
    return;
  }
  const ImportSummary summary = import_chats(options);
  const std::vector<Json> rows = read_jsonl(out / "data/train.jsonl");
  const std::vector<Json> val = read_jsonl(out / "data/val.jsonl");
  std::vector<Json> all = rows;
  all.insert(all.end(), val.begin(), val.end());
  check_invariants(summary, all);
  const Json actual = Json::parse(summary_json(summary));
  const Json fields = expected.value("summary", Json::object());
  for (const auto& [key, value] : fields.items()) {
    EXPECT_EQ(actual[key], value) << key;
  }
  check_contents(rows, expected, "rows");
  check_contents(val, expected, "val");
  for (const std::string name : {"preferences", "preferences_val"}) {
    if (!expected.contains(name)) continue;
    Json pairs = Json::array();
    for (const Json& pair : read_jsonl(out / ("data/" + name + ".jsonl"))) {
      Json question = Json::array();
      for (const Json& message : pair["messages"]) question.push_back(message["content"]);
      pairs.push_back({question, pair["chosen"]["content"], pair["rejected"]["content"]});
    }
    EXPECT_EQ(pairs, expected[name]);
    EXPECT_EQ(Json::parse(read_file(out / "data/dataset_info.json"))[name]["ranking"], true);
  }
  if (expected.contains("damaged")) {
    ASSERT_EQ(actual["damaged"].size(), expected["damaged"].size());
    for (size_t i = 0; i < expected["damaged"].size(); ++i) {
      EXPECT_THAT(actual["damaged"][i].get<std::string>(),
                  ::testing::HasSubstr(expected["damaged"][i].get<std::string>()));
    }
  }
  if (expected.contains("message_ids")) {
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i]["message_ids"], expected["message_ids"][i]);
    }
  }
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(testing::data_path("chats"))) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Data, ImportCase, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param; });

TEST(Import, ExampleIsWholeAndItsStickersAreByteExact) {
  const testing::TemporaryFolder out;
  const ImportSummary summary =
      import_chats({.paths = {testing::source_path("examples/wechat")}, .out = out.path()});
  check_invariants(summary, read_jsonl(out / "train.jsonl"));
  EXPECT_EQ(summary.persona.name, "小满");
  EXPECT_TRUE(summary.session_gap.learned);
  EXPECT_GE(summary.coverage, 0.95);
  const auto count = [&](const char* reason) {
    const auto found = summary.dropped.find(reason);
    return found == summary.dropped.end() ? 0 : found->second;
  };
  EXPECT_EQ(count("recalled"), 1);
  EXPECT_EQ(count("call"), 1);
  EXPECT_EQ(count("picture"), 4);

  const std::string csv =
      read_file(testing::source_path("examples/wechat/wxid_xiaoman0520_0_319.csv"));
  const Json stickers = Json::parse(read_file(out / "stickers.json"));
  EXPECT_EQ(stickers.size(), 5u);
  for (const auto& [key, sticker] : stickers.items()) {
    const std::string url = sticker["url"];
    EXPECT_NE(url.find("m=" + key), std::string::npos);
    EXPECT_NE(csv.find("," + url + ","), std::string::npos);
  }
}

TEST(Import, ChatgptExampleGivesPairsAndKeepsItsTreeInOrder) {
  const testing::TemporaryFolder out;
  const ImportSummary summary =
      import_chats({.paths = {testing::source_path("examples/chatgpt")}, .out = out.path()});
  check_invariants(summary, read_jsonl(out / "train.jsonl"));
  EXPECT_EQ(summary.messages, 61);
  EXPECT_EQ(summary.coverage, 1.0);
  EXPECT_EQ(summary.preferences, 3);
  EXPECT_THAT(summary.skipped, ::testing::ElementsAre(::testing::HasSubstr("user.json")));
  const std::string rows = read_file(out / "train.jsonl");
  for (const char* words : {"猫把影子拖到门旁", "我来算一下。\\n\\n一共 1366 元"}) {
    EXPECT_THAT(rows, ::testing::HasSubstr(words));
  }
  for (const char* citation : {"\uE200", "【7"}) {
    EXPECT_THAT(rows, ::testing::Not(::testing::HasSubstr(citation)));
  }
}

TEST(Import, HoldsOutTheNewestSessionsWhole) {
  for (const RowStyle style : {RowStyle::kTurns, RowStyle::kPairs}) {
    const testing::TemporaryFolder out;
    const ImportSummary summary = import_chats({.paths = {testing::source_path("examples/wechat")},
                                                .out = out.path(),
                                                .style = style,
                                                .val_share = 0.1});
    const std::vector<Json> train = read_jsonl(out / "train.jsonl");
    const std::vector<Json> val = read_jsonl(out / "val.jsonl");
    EXPECT_EQ(static_cast<int64_t>(train.size()), summary.rows);
    EXPECT_EQ(static_cast<int64_t>(val.size()), summary.val_rows);
    int64_t held_out = 0, newest_trained = 0;
    for (const Json& row : val) {
      held_out += static_cast<int64_t>(row["messages"].size() / 2);
      for (const Json& other : train) EXPECT_NE(row["messages"], other["messages"]);
    }
    for (const Json& row : train)
      newest_trained = std::max<int64_t>(newest_trained, row["message_ids"][0]);
    EXPECT_LT(newest_trained, val.back()["message_ids"][0]);
    EXPECT_NEAR(static_cast<double>(held_out) / static_cast<double>(summary.answers), 0.1, 0.05);
    const Json info = Json::parse(read_file(out / "dataset_info.json"));
    EXPECT_EQ(info["chats"]["file_name"], "train.jsonl");
    EXPECT_EQ(info["chats_val"]["tags"]["role_tag"], "role");
  }
}

TEST(Import, HoldsOutAConversationWholeThoughItIsCut) {
  const testing::TemporaryFolder folder;
  std::string csv = "id,MsgSvrID,type_name,is_sender,talker,room_name,msg,src,CreateTime\n";
  int id = 0;
  const auto say = [&](const char* type, int is_sender, const std::string& words, int hour,
                       int minute) {
    ++id;
    csv += cat(id, ",", id, ",", type, ",", is_sender, ",x,wxid_a,", words, ",,2024-10-04 ", hour,
               ":", 10 + minute, ":00\n");
  };
  for (const int hour : {8, 12, 16, 20}) {
    for (int i = 0; i < 10; i += 2) {
      say("文本", 1, cat("q", hour, "x", i), hour, i);
      say("文本", 0, cat("a", hour, "x", i), hour, i + 1);
      if (i == 4) say("语音通话", 1, "", hour, i + 1);  // cuts the conversation in two
    }
  }
  write_file(folder / "a.csv", csv);
  const ImportSummary summary = import_chats(
      {.paths = {folder / "a.csv"}, .out = folder / "out", .session_gap = 1800, .val_share = 0.1});
  EXPECT_EQ(summary.rows, 6);
  EXPECT_EQ(summary.val_rows, 2) << "both halves of the newest";
  for (const Json& row : read_jsonl(folder / "out/val.jsonl")) {
    EXPECT_THAT(row["messages"][0]["content"].get<std::string>(), ::testing::StartsWith("q20x"));
  }
}

TEST(Import, NeverHoldsOutMostOfTheData) {
  const testing::TemporaryFolder out;
  const ImportSummary summary =
      import_chats({.paths = {testing::data_path("chats/chatgpt_html/chat.html")},
                    .out = out.path(),
                    .val_share = 0.01});
  EXPECT_EQ(summary.rows, 2);  // wanted are 0.02 answers, which is none
  const ImportSummary half =
      import_chats({.paths = {testing::data_path("chats/chatgpt_html/chat.html")},
                    .out = out.path(),
                    .val_share = 0.8});
  EXPECT_EQ(half.rows, 1);
  EXPECT_EQ(half.val_rows, 1);
  const ImportSummary one =
      import_chats({.paths = {testing::data_path("chats/chatgpt_preferences/conversations.json")},
                    .out = out.path(),
                    .val_share = 0.6});
  EXPECT_EQ(one.rows, 1);
  EXPECT_EQ(one.val_rows, 0);
}

TEST(Import, KeepsEditedStickerNamesAndReplacesTheRest) {
  const testing::TemporaryFolder out;
  const ImportOptions options = {
      .paths = {testing::source_path("examples/wechat")}, .out = out.path(), .val_share = 0.1};
  import_chats(options);
  Json stickers = Json::parse(read_file(out / "stickers.json"));
  const std::string key = stickers.begin().key();
  stickers[key]["name"] = "撒花";
  write_file(out / "stickers.json", stickers.dump());
  ImportOptions again = options;
  again.val_share = 0;
  import_chats(again);
  EXPECT_EQ(Json::parse(read_file(out / "stickers.json"))[key]["name"], "撒花");
  EXPECT_NE(read_file(out / "train.jsonl").find("[[撒花]]"), std::string::npos);
  EXPECT_FALSE(file_exists(out / "val.jsonl"));
  EXPECT_FALSE(Json::parse(read_file(out / "dataset_info.json")).contains("chats_val"));

  stickers[key]["name"] = "a]]b";
  write_file(out / "stickers.json", stickers.dump());
  EXPECT_THROW(import_chats(again), Error);
}

TEST(Import, FailedWritingLeavesTheOldDataAsItWas) {
  const testing::TemporaryFolder out;
  ImportOptions options = {.paths = {testing::source_path("examples/wechat")}, .out = out.path()};
  import_chats(options);
  const auto contents = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(out.path())) {
      files[entry.path()] = read_file(entry.path());
    }
    return files;
  };
  const auto before = contents();
  options.val_share = 0.2;
  // A file that cannot grow fails like a full disk.
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  for (const rlim_t bytes : {1000u, 20000u, 60000u}) {
    const rlimit limit{bytes, old_limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THROW(import_chats(options), Error) << bytes;
    setrlimit(RLIMIT_FSIZE, &old_limit);
    EXPECT_EQ(contents(), before);
  }
  std::signal(SIGXFSZ, old_handler);
}

TEST(Import, LedgerTellsWhereEveryMessageWent) {
  const testing::TemporaryFolder out;
  const ImportSummary summary =
      import_chats({.paths = {testing::source_path("examples/wechat")}, .out = out.path()});
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2((out / "ledger.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr),
            SQLITE_OK);
  const auto number = [&](const char* sql) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
  };
  EXPECT_EQ(number("SELECT count(*) FROM messages"), summary.messages);
  EXPECT_EQ(number("SELECT count(row) FROM messages"), summary.used);
  EXPECT_EQ(number("SELECT count(*) FROM messages WHERE (row IS NULL) = (reason IS NULL)"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM rows"), summary.rows + summary.val_rows);
  // The ids in a row's JSON are the messages that the ledger says are in it.
  EXPECT_EQ(number("SELECT count(*) FROM rows, json_each(rows.json, '$.message_ids') AS j"
                   " JOIN messages m ON m.id = j.value AND m.row = rows.id"),
            summary.used);
  sqlite3_close(db);
}

TEST(Import, ListsPeopleWithoutWriting) {
  const std::vector<Person> people = people_in({testing::data_path("chats/wechat_group/g.csv")});
  ASSERT_EQ(people.size(), 3u);
  EXPECT_EQ(people[0].name, "老王");
  EXPECT_EQ(people[0].messages, 2);
}

TEST(Import, ReportsProgress) {
  const testing::TemporaryFolder out;
  std::vector<std::string> stages;
  ImportOptions options = {.paths = {testing::source_path("examples/wechat")}, .out = out.path()};
  options.progress = [&](const ImportProgress& progress) {
    stages.emplace_back(progress.stage);
    EXPECT_LE(progress.done, progress.total);
  };
  import_chats(options);
  EXPECT_THAT(stages, ::testing::ElementsAre("read", "build"));
}

}  // namespace
}  // namespace zhiyin::chats
