// The small parts: times, CSV, character sets, choosing the persona, stickers.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "chats/charset.h"
#include "chats/civil_time.h"
#include "chats/csv.h"
#include "chats/persona.h"
#include "chats/stickers.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

TEST(CivilTime, ReadsWhatExportsAndSpreadsheetsWrite) {
  const int64_t whole = 1728042182;  // 2024-10-04 11:43:02
  for (const char* text : {"2024-10-04 11:43:02", "2024/10/4 11:43:02", "2024-10-04T11:43:02",
                           "2024年10月4日 11:43:02", "1728042182", "1728042182000"}) {
    EXPECT_EQ(parse_time(text), whole) << text;
  }
  EXPECT_EQ(parse_time("2024/10/4 11:43"), whole - 2);
  EXPECT_EQ(parse_time("2024-10-04"), whole - 2 - 11 * 3600 - 43 * 60);
  EXPECT_EQ(format_time(whole), "2024-10-04 11:43:02");
  EXPECT_EQ(format_time(-1), "1969-12-31 23:59:59");
  for (const char* text : {"", "yesterday", "10/4/2024 11:42", "2024-13-01 10:00", "2024-02-30",
                           "2024-10-04 25:00", "99999999999999999999", "11:42", "2024"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

std::vector<std::vector<std::string>> read_csv(std::string_view text) {
  CsvReader reader(text, guess_delimiter(text));
  std::vector<std::vector<std::string>> records;
  for (CsvRecord record; reader.next(record);) records.push_back(record.fields);
  return records;
}

TEST(Csv, ReadsQuotesLineEndsAndDelimiters) {
  using Records = std::vector<std::vector<std::string>>;
  EXPECT_EQ(read_csv("a,b\r\n\"x,\"\"y\"\"\n\",\r\n"), (Records{{"a", "b"}, {"x,\"y\"\n", ""}}));
  EXPECT_EQ(read_csv("a;b\n\n1;\"2;3\"\n"), (Records{{"a", "b"}, {"1", "2;3"}}));
  EXPECT_EQ(read_csv("a\tb\r1\t\"\""), (Records{{"a", "b"}, {"1", ""}}));
  // A quote that never closes, or closes in the middle, is a character like any other.
  EXPECT_EQ(read_csv("a,b\n\"1,2\n3,\"4\n5\""), (Records{{"a", "b"}, {"\"1", "2"}, {"3", "4\n5"}}));
  EXPECT_EQ(read_csv("a,b\n\"x\"y,2\n"), (Records{{"a", "b"}, {"\"x\"y", "2"}}));
  EXPECT_EQ(read_csv(""), Records{});
}

TEST(Csv, CountsLinesInsideQuotes) {
  CsvReader reader("a\n\"b\nc\"\n\nd", ',');
  std::vector<int64_t> lines;
  for (CsvRecord record; reader.next(record);) lines.push_back(record.line);
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 2, 5}));
}

TEST(Charset, DecodesWhatWindowsLeaves) {
  EXPECT_EQ(to_utf8("\xEF\xBB\xBF你好"), "你好");
  EXPECT_EQ(to_utf8("\xC4\xE3\xBA\xC3"), "你好");                          // GBK
  EXPECT_EQ(to_utf8(std::string("\xFF\xFE\x60\x4F\x7D\x59", 6)), "你好");  // UTF-16
  EXPECT_EQ(to_utf8("\x94\x39\xFC\x36"), "😀");                            // GB18030, four bytes
  EXPECT_EQ(to_utf8("你好吗朋友\xFF"), "你好吗朋友\uFFFD");
  EXPECT_EQ(to_utf8(""), "");
}

TEST(Persona, IsNeverGuessedAmongSeveral) {
  const std::vector<Person> two = {{"a", "甲", Side::kOther, 3}, {"me", "我", Side::kOwner, 2}};
  const std::vector<Person> machine = {{"me", "我", Side::kOwner, 2},
                                       {"gpt", "ChatGPT", Side::kMachine, 3}};
  const std::vector<Person> twins = {{"a", "甲", Side::kOther, 3}, {"b", "甲", Side::kOther, 2}};
  const std::vector<Talk> talk = {{"a", false, 5}}, group = {{"g", true, 5}};
  EXPECT_EQ(choose_persona(two, talk, "").id, "a");
  EXPECT_EQ(choose_persona(two, talk, "me").id, "me");
  EXPECT_EQ(choose_persona(two, group, "甲").id, "a");
  EXPECT_EQ(choose_persona(machine, talk, "").id, "gpt");
  EXPECT_EQ(choose_persona(twins, talk, "b").id, "b");
  const auto code = [&](const std::vector<Person>& people, const std::vector<Talk>& talks,
                        const char* wanted) {
    try {
      choose_persona(people, talks, wanted);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("甲 (a): 3 messages"));
      return error.code();
    }
    return ErrorCode::kFailed;
  };
  EXPECT_EQ(code(two, group, ""), ErrorCode::kUsage);
  EXPECT_EQ(code(twins, talk, ""), ErrorCode::kUsage);
  EXPECT_EQ(code(twins, talk, "甲"), ErrorCode::kUsage);
  EXPECT_EQ(code(two, talk, "丙"), ErrorCode::kNotFound);
}

TEST(Stickers, KeyIsTheMd5OfTheAddress) {
  const std::string md5 = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(sticker_key("https://e.x/a?m=" + md5 + "&b=1"), md5);
  EXPECT_EQ(sticker_key("https://e.x/a?b=1&m=0123456789ABCDEF0123456789ABCDEF"), md5);
  for (const std::string& url : {std::string("https://e.x/a?m=123"), "https://e.x/a?em=" + md5,
                                 "https://e.x/a?m=" + md5 + "0", std::string()}) {
    EXPECT_EQ(sticker_key(url), "") << url;
  }
}

TEST(Stickers, AreNamedAfterWhatIsSaidBesideThem) {
  const std::vector<StickerUse> used = {
      {"a", "u1", 9}, {"b", "u2", 4}, {"c", "u3", 2}, {"d", "u4", 2}, {"e", "u5", 50}};
  std::vector<StickerContext> said;
  for (int i = 0; i < 5; ++i) said.push_back({"a", "好耶！今天", 1});
  for (int i = 0; i < 3; ++i) said.push_back({"b", "今天[晚安]", 1});
  said.push_back({"c", "一句比较长的话，摸摸头", 1});
  said.push_back({"c", "救命", 2});
  said.push_back({"d", "好耶", 1});  // taken by then
  said.push_back({"e", "嗯嗯", 1});
  said.push_back({"e", "嗯嗯", 1});  // twice in 50 says nothing
  std::vector<std::string> names;
  for (const Sticker& s : name_stickers(used, said, {{"x", "旧", "u6"}, {"b", "我的", "old"}})) {
    names.push_back(s.name + " " + s.url);
  }
  EXPECT_THAT(names, ::testing::ElementsAre("好耶 u1", "我的 u2", "摸摸头 u3", "表情1 u4",
                                            "表情2 u5", "旧 u6"));
}

TEST(Stickers, NamesAreUniqueAndAddressesComeBackByteForByte) {
  std::mt19937 random(3);
  std::vector<StickerUse> used;
  std::vector<StickerContext> said;
  for (int i = 0; i < 1870; ++i) {
    std::string url = "https://e.x/?a=[[" + std::to_string(random()) + "]]&m=";
    for (int k = 0; k < 20; ++k) url += static_cast<char>(33 + random() % 94);
    used.push_back({std::to_string(i), url, 2});
    const char* words[] = {"好耶", "好", "好耶好耶", "救命[[x]]", "🍞🍞", "a]]b", "晚安"};
    said.push_back({std::to_string(i), words[random() % 7], 1});
  }
  const testing::TemporaryFolder folder;
  write_file(folder / "stickers.json", stickers_json(name_stickers(used, said, {})));
  std::set<std::string> names;
  std::map<std::string, std::string> urls;
  for (const Sticker& sticker : read_stickers(folder / "stickers.json")) {
    EXPECT_TRUE(names.insert(sticker.name).second);
    EXPECT_EQ(sticker.name.find_first_of("[]\r\n"), std::string::npos);
    urls[sticker.key] = sticker.url;
  }
  EXPECT_EQ(names.size(), 1870u);
  for (const StickerUse& use : used) EXPECT_EQ(urls[use.key], use.url);
}

}  // namespace
}  // namespace zhiyin::chats
