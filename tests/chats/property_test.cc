// Exports made at random, in every format, whole and damaged: every message is accounted for.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "base/cat.h"
#include "base/error.h"
#include "chats/import_checks.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

using Json = nlohmann::json;

struct MadeExport {
  std::string name;
  std::string bytes = {};
  size_t header = 0;  // bytes at its beginning that damage spares, so that it stays recognised
  int64_t messages = 0;
};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  template <typename T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[engine_() % values.size()];
  }
  std::string words() {
    return pick<const char*>({"在吗", "\"好\"", "一,二", "长\n短", "", " ", "[微笑]", "你好，世界",
                              "reply\n\n[引用]()x:y", "}, {", "]", "\\", "\x1b[0m", "👍🏽",
                              "https://e.example/?m=0123456789abcdef0123456789abcdef&x=1"});
  }
  template <typename T>
  void shuffle(std::vector<T>& values) {
    std::shuffle(values.begin(), values.end(), engine_);
  }
  char byte() { return static_cast<char>(engine_()); }

 private:
  std::mt19937 engine_;
};

MadeExport make_wechat(Random& random) {
  MadeExport made{
      .name = "a.csv",
      .bytes = "id,MsgSvrID,type_name,is_sender,talker,room_name,msg,src,CreateTime\r\n"};
  made.header = made.bytes.size();
  made.messages = 1 + random.below(40);
  std::vector<std::string> records;
  for (int64_t i = 0; i < made.messages; ++i) {
    const bool is_sender = random.one_in(2);
    std::string quoted = "\"";
    for (const char c : random.words())
      quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    const int minute = static_cast<int>(i) / 3 + random.below(4) * (random.one_in(9) ? 60 : 1);
    records.push_back(cat(
        i, ",", random.one_in(4) ? "7.4E+18" : std::to_string(1000 + i), ",\"",
        random.pick<const char*>({"文本", "文本", "文本", "引用回复", "动画表情", "图片", "语音",
                                  "语音通话", "系统通知", "消息撤回5", "未知-49,15", "转账"}),
        "\",", is_sender ? 1 : 0, ",",
        is_sender ? "我" : random.pick<const char*>({"wxid_a", "wxid_b"}), ",",
        random.pick<const char*>({"wxid_a", "wxid_a", "wxid_a", "wxid_b", "9@chatroom"}), ",",
        quoted, "\",,2024-10-04 ", minute / 60 % 24, ":", minute % 60, ":", random.below(60),
        "\r\n"));
  }
  if (random.one_in(3)) random.shuffle(records);
  for (const std::string& record : records) made.bytes += record;
  return made;
}

Json random_node(Random& random, const std::string& id, const std::string& parent) {
  const auto role = random.pick<const char*>(
      {"user", "user", "assistant", "assistant", "assistant", "system", "tool"});
  const auto type = random.pick<const char*>({"text", "text", "text", "text", "multimodal_text",
                                              "code", "thoughts", "user_editable_context"});
  Json content = {{"content_type", type}};
  if (!random.one_in(8)) content["parts"] = {random.words()};
  if (random.one_in(4)) content["text"] = random.words();
  if (random.one_in(9)) content["user_profile"] = random.words();
  if (random.one_in(9)) content["parts"] = {{{"content_type", "image_asset_pointer"}}, 3, nullptr};
  Json message = {{"author", {{"role", role}}}, {"content", content}};
  if (!random.one_in(5)) message["create_time"] = 1.7e9 + random.below(1000);
  if (random.one_in(6)) message["recipient"] = random.pick<const char*>({"all", "python", "web"});
  if (random.one_in(3))
    message["metadata"] = {{"is_visually_hidden_from_conversation", random.one_in(4)}};
  if (random.one_in(5)) message["channel"] = "final";
  Json node = {{"id", id}, {"message", message}};
  if (random.one_in(12)) node["message"] = nullptr;
  if (!random.one_in(20)) node["parent"] = parent;
  return node;
}

// Trees of any shape, some with a circle, some without a current node.
MadeExport make_chatgpt(Random& random) {
  MadeExport made{.name = "conversations.json"};
  Json list = Json::array();
  for (int c = 1 + random.below(4); c > 0; --c) {
    const int nodes = 1 + random.below(12);
    Json mapping = Json::object();
    for (int n = 0; n < nodes; ++n) {
      const int above = random.one_in(4) ? random.below(nodes) : n - 1;
      const Json node = random_node(random, cat("n", n), above < 0 ? "root" : cat("n", above));
      if (node["message"].is_object()) ++made.messages;
      mapping[cat("n", n)] = node;
    }
    Json conversation = {{"mapping", mapping}, {"title", random.words()}};
    if (!random.one_in(5)) conversation["id"] = cat("c", c);
    if (!random.one_in(4)) conversation["current_node"] = cat("n", random.below(nodes + 1));
    list.push_back(conversation);
  }
  const int indent = random.one_in(3) ? 1 : -1;
  const std::string text = list.dump(indent, ' ', random.one_in(2));
  if (random.one_in(4)) {
    made.name = "chat.html";
    made.bytes = "<html><script>var jsonData = ";
    made.header = made.bytes.size();
    made.bytes += text + ";\nvar assetsJson = {};</script></html>";
  } else if (random.one_in(4)) {
    made.bytes = "{\"n\": 1, \"conversations\": " + text + "}";
  } else {
    made.bytes = text;
  }
  if (made.header == 0) made.header = made.bytes.find("\"mapping\"") + 9;
  return made;
}

MadeExport make_telegram(Random& random) {
  MadeExport made{.name = "result.json"};
  made.messages = 1 + random.below(30);
  Json messages = Json::array();
  for (int64_t i = 0; i < made.messages; ++i) {
    Json message = {
        {"id", i},
        {"type", random.pick<const char*>({"message", "message", "message", "service"})},
        {"date", "2025-07-11T15:36:11"},
        {"date_unixtime", std::to_string(1752219371 + i * random.below(200))},
        {"from", "x"},
        {"from_id", random.pick<const char*>({"user1", "user2"})},
        {"text", random.words()}};
    if (random.one_in(5)) message["text"] = {random.words(), {{"type", "link"}, {"text", "l"}}};
    if (random.one_in(8)) message["media_type"] = "sticker";
    if (random.one_in(8)) message["photo"] = "(File not included.)";
    if (random.one_in(8)) message["reply_to_message_id"] = i - 1;
    if (random.one_in(9)) message["from"] = nullptr;
    messages.push_back(message);
  }
  made.bytes =
      Json{{"name", "x"}, {"type", "personal_chat"}, {"id", 1}, {"messages", messages}}.dump();
  made.header = made.bytes.find("\"date\"") + 6;
  return made;
}

MadeExport make_chatlab(Random& random) {
  MadeExport made{.name = "chat.json"};
  made.messages = 1 + random.below(30);
  const Json chatlab = {{"version", "0.0.2"}};
  const Json meta = {{"name", "x"},
                     {"platform", "qq"},
                     {"type", random.one_in(3) ? "group" : "private"},
                     {"ownerId", "1"}};
  Json messages = Json::array();
  for (int64_t i = 0; i < made.messages; ++i) {
    Json message = {{"sender", random.pick<const char*>({"1", "2"})},
                    {"accountName", "x"},
                    {"timestamp", 1700000000 + i * random.below(4000)},
                    {"type", random.one_in(2) ? 0 : random.below(100)},
                    {"content", random.words()}};
    if (random.one_in(9)) message.erase(random.pick<const char*>({"sender", "type", "content"}));
    if (random.one_in(4)) message["platformMessageId"] = std::to_string(i);
    if (random.one_in(4)) message["replyToMessageId"] = std::to_string(i - 1);
    messages.push_back(message);
  }
  if (random.one_in(2)) {
    made.bytes = "{\"chatlab\":" + chatlab.dump() + ",\"meta\":" + meta.dump() + ",\"messages\":";
    made.header = made.bytes.size();
    made.bytes += messages.dump() + "}";
  } else {
    made.bytes = Json{{"_type", "header"}, {"chatlab", chatlab}, {"meta", meta}}.dump() + "\n";
    made.header = made.bytes.size();
    for (Json& message : messages) {
      message["_type"] = "message";
      made.bytes += message.dump() + "\n";
    }
  }
  return made;
}

MadeExport make_dataset(Random& random) {
  MadeExport made{.name = "rows.json"};
  const bool alpaca = random.one_in(2);
  Json rows = Json::array();
  for (int r = 1 + random.below(6); r > 0; --r) {
    if (alpaca) {
      Json row = {{"instruction", random.words()}, {"output", random.words()}};
      ++made.messages;  // the question
      if (row["output"] != "") ++made.messages;
      if (random.one_in(3)) {
        row["history"] = Json::array({Json::array({random.words(), random.words()})});
        made.messages += 2;
      }
      if (random.one_in(3)) {
        row["system"] = "s";
        ++made.messages;
      }
      rows.push_back(row);
    } else {
      Json messages = Json::array();
      for (int m = 1 + random.below(6); m > 0; --m) {
        messages.push_back(
            {{"role", random.pick<const char*>({"user", "assistant", "system", "tool"})},
             {"content", random.words()}});
        ++made.messages;
      }
      rows.push_back({{"messages", messages}});
    }
  }
  const std::string first = alpaca ? R"([{"instruction":"a","output":"b"},)"
                                   : R"([{"messages":[{"role":"user","content":"a"}]},)";
  made.messages += alpaca ? 2 : 1;
  made.header = first.size();
  made.bytes = first + rows.dump().substr(1);
  return made;
}

// One to five bytes changed, stretches lost or doubled, or the end cut off.
void damage(Random& random, MadeExport& made) {
  for (int i = 1 + random.below(5); i > 0 && made.bytes.size() > made.header; --i) {
    const size_t at =
        made.header +
        static_cast<size_t>(random.below(static_cast<int>(made.bytes.size() - made.header)));
    switch (random.below(5)) {
      case 0:
      case 1:
        made.bytes[at] = random.byte();
        break;
      case 2:
        made.bytes.erase(at, static_cast<size_t>(random.below(20)));
        break;
      case 3:
        made.bytes.insert(at, made.bytes.substr(at, static_cast<size_t>(random.below(30))));
        break;
      default:
        if (random.one_in(3)) made.bytes.resize(at);
    }
  }
}

void import_random_exports(unsigned seed, int runs) {
  const std::function<MadeExport(Random&)> makers[] = {make_wechat, make_chatgpt, make_telegram,
                                                       make_chatlab, make_dataset};
  Random random(seed);
  int imported = 0;
  for (int run = 0; run < runs; ++run) {
    SCOPED_TRACE(run);
    const testing::TemporaryFolder folder;
    MadeExport made = makers[static_cast<size_t>(run) % std::size(makers)](random);
    const bool damaged = random.one_in(2);
    if (damaged) damage(random, made);
    write_file(folder / made.name, made.bytes);
    ImportOptions options = {.paths = {folder / made.name}, .out = folder / "out", .persona = "me"};
    if (random.one_in(3)) options.persona = "";
    options.style = random.one_in(2) ? RowStyle::kTurns : RowStyle::kPairs;
    options.row_chars = random.one_in(3) ? 40 : 2000;
    options.val_share = random.one_in(2) ? 0.3 : 0;
    options.mask = random.one_in(4);
    try {
      const ImportSummary summary = import_chats(options);
      std::vector<Json> rows = read_jsonl(options.out + "/train.jsonl");
      for (const Json& row : read_jsonl(options.out + "/val.jsonl")) {
        for (const Json& trained : rows) {
          EXPECT_NE(row["messages"], trained["messages"]) << "on both sides of the hold-out";
        }
      }
      const std::vector<Json> held_out = read_jsonl(options.out + "/val.jsonl");
      rows.insert(rows.end(), held_out.begin(), held_out.end());
      check_invariants(summary, rows);
      if (!damaged) {
        EXPECT_EQ(summary.messages, made.messages);
      }
      ++imported;
    } catch (const Error& error) {
      // Nobody answers in it, several could be meant, or the damage hit what all of it hangs on.
      const auto says = [](const char* words) { return ::testing::HasSubstr(words); };
      EXPECT_THAT(error.what(), ::testing::AnyOf(says("answers nothing"), says("nobody"),
                                                 says("whose voice"), says("no messages in it")));
      EXPECT_TRUE(std::filesystem::is_empty(options.out));
    }
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << made.name << "\n" << made.bytes;
      return;
    }
  }
  EXPECT_GT(imported, runs / 3);  // in the others nobody answers, or all could be meant
}

// Each run waits for the disk several times.
TEST(Import, AccountsForEveryMessageOfRandomAndDamagedExports) { import_random_exports(11, 150); }
TEST(SlowImport, AccountsForEveryMessageOfTenThousandExports) { import_random_exports(12, 10000); }

}  // namespace
}  // namespace zhiyin::chats
