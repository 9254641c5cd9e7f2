// Pseudonyms: what is found, what is left alone, and that one original has one stand-in.
#include "chats/mask.h"

#include <gmock/gmock.h>

#include <random>

#include "base/cat.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/import.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

TEST(Masker, FindsWhatTellsWhoSomeoneIs) {
  const struct {
    std::string text, masked;
  } cases[] = {
      {"打我电话13812345678哦", "打我电话10000000001哦"},
      {"+86 138-1234-5678", "10000000001"},
      {"0571-88888888 或 (010) 66666666", "000-00000001 或 000-00000002"},
      {"call +44 20 7946 0958", "call +00 00 0000001"},
      {"身份证11010119900307123X", "身份证000000190001010001"},
      {"卡号 6222 0212 3456 7894 吗", "卡号 0000000000000001 吗"},
      {"4532 1234 5678 9012", "0000000000000001"},
      {"IBAN DE89370400440532013000", "IBAN XX000000000000000001"},
      {"SSN 078-05-1120", "SSN 000-00-0001"},
      {"mail Li.Lei+x@mail.example.cn。", "mail user1@example.com。"},
      {"我是wxid_abc123def", "我是wxid_masked0001"},
      {"加我QQ：123456789", "加我QQ：00000001"},
      {"我的微信号是 lilei_1990", "我的微信号是 masked_0001"},
      {"护照E12345678", "护照X00000001"},
      {"我住在杭州市西湖区文三路478号2栋301室，来吧", "我住在某市某区某路1号，来吧"},
      {"I live at 221 Baker Street", "I live at 1 Example Street"},
  };
  for (const auto& c : cases) {
    Masker masker({});
    EXPECT_EQ(masker.mask(c.text), c.masked);
    EXPECT_EQ(masker.mask(masker.mask(c.text)), c.masked) << "a stand-in was masked again";
  }
}

TEST(Masker, LeavesOtherNumbersAndWordsAlone) {
  for (const char* text :
       {"2024-10-04 11:42", "3-4 个人", "一共 1234567 元", "订单 1234567890123", "v1.2.3",
        "路上小心", "第5号", "a@b", "[[好耶]]", "走了两条街", "12:30:45", "1000000000"}) {
    Masker masker({});
    EXPECT_EQ(masker.mask(text), text);
  }
}

TEST(Masker, IsConsistentAndKeepsNamesApart) {
  Masker masker({"张三", "张三丰", "Tom", "李四=老李"});
  EXPECT_EQ(masker.mask("张三和张三丰，李四、Tom、Tommy"), "阿乙和阿甲，老李、Person1、Tommy");
  EXPECT_EQ(masker.mask("张三 13812345678 138 1234 5678 13987654321"),
            "阿乙 10000000001 10000000001 10000000002");
  EXPECT_EQ(masker.counts().at("phone"), 3);
  // A later import goes on with the same stand-ins.
  Masker later({"王五"}, masker.pseudonyms());
  EXPECT_EQ(later.mask("+8613987654321 13700000000"), "10000000002 10000000003");
  EXPECT_THROW(Masker({"=x"}), Error);
  EXPECT_THROW(Masker({"x="}), Error);
}

TEST(Masker, StandsLongAndHostileText) {
  Masker masker({"张三"});
  std::mt19937 random(5);
  const std::string parts[] = {"市", "文", "区", "1",  "-",  " ", "a",
                               "@",  ".",  "+",  "路", "号", "在"};
  for (const std::string& part : parts) {
    std::string text;
    for (int i = 0; i < 50000; ++i) text += part;
    masker.mask(text);
  }
  std::string text;
  for (int i = 0; i < 200000; ++i) text += parts[random() % std::size(parts)];
  masker.mask(text);
}

TEST(Masker, PrivateStringsAreWhatWouldBeMasked) {
  EXPECT_THAT(private_strings({"我电话138 0013 8000，邮箱 a.b-c@mail.example.cn。",
                               "是13800138000？", "住在文三路478号", "加我QQ：123456789"}),
              ::testing::UnorderedElementsAre("138 0013 8000", "a.b-c@mail.example.cn",
                                              "文三路478号", "123456789"));
  // Neither dates and small numbers nor what an import put in their place.
  std::vector<std::string> nothing = {"2026年11月27日 1234567 @小满 a@b 表情1234"};
  Masker masker({});
  for (const char* text : {"13800138000", "call +44 20 7946 0958", "li@mail.example.cn",
                           "护照E12345678", "我住在文三路478号", "卡号 6222 0212 3456 7894 吗"}) {
    nothing.push_back(masker.mask(text));
  }
  EXPECT_THAT(private_strings(nothing), ::testing::IsEmpty());
}

TEST(Masker, ImportKeepsTheMapApart) {
  const testing::TemporaryFolder folder;
  write_file(folder / "wxid_a.csv",
             "id,MsgSvrID,type_name,is_sender,talker,room_name,msg,src,CreateTime\n"
             "1,1,文本,1,我,wxid_a,张三的电话,,2024-10-04 11:43:02\n"
             "2,2,文本,0,wxid_a,wxid_a,13812345678,,2024-10-04 11:43:09\n"
             "3,3,文本,1,我,wxid_a,是13812345678？,,2024-10-04 11:44:02\n"
             "4,4,文本,0,wxid_a,wxid_a,对,,2024-10-04 11:44:09\n");
  ImportOptions options = {.paths = {folder / "wxid_a.csv"}, .out = folder / "data/"};
  options.mask = true;
  options.mask_names = {"张三"};
  const ImportSummary summary = import_chats(options);
  EXPECT_EQ(summary.mask_map, folder / "data.mask.json");
  EXPECT_EQ(summary.masked.at("phone"), 2);
  EXPECT_THAT(read_file(folder / "data/train.jsonl"), ::testing::HasSubstr("是10000000001？"));
  for (const char* file : {"train.jsonl", "ledger.db", "stickers.json"}) {
    const std::string bytes = read_file(folder / (cat("data/", file)));
    EXPECT_EQ(bytes.find("13812345678"), std::string::npos) << file;
    EXPECT_EQ(bytes.find("张三"), std::string::npos) << file;
  }
  EXPECT_THAT(read_file(summary.mask_map), ::testing::HasSubstr("13812345678"));
  EXPECT_EQ(std::filesystem::status(summary.mask_map).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  write_file(folder / "data.mask.json", "{}");
  EXPECT_THROW(import_chats(options), Error);
}

}  // namespace
}  // namespace zhiyin::chats
