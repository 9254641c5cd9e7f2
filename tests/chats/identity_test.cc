// The identity pack: what it teaches, what it holds back, and cards that cannot be read.
#include "chats/identity.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

// Letters and ideographs alone: two questions that differ in punctuation are the same question.
std::string bare(const std::string& text) {
  std::string out;
  for (char32_t c : utf8_to_utf32(text)) {
    if (c >= 'A' && c <= 'Z') c = c - 'A' + 'a';
    if ((c >= 'a' && c <= 'z') || (c >= 0x4E00 && c < 0xA000)) append_utf8(out, c);
  }
  return out;
}

TEST(Identity, HeldOutPhrasingsAreNeverTrained) {
  const IdentityCard card = {.name = "小满", .maker = "阿远", .relation = "好朋友"};
  const IdentityPack pack = make_identity_pack(card);
  std::set<std::string> trained;
  for (const auto& row : pack.rows) {
    for (size_t i = 0; i < row.size(); i += 2) trained.insert(bare(row[i].text));
  }
  EXPECT_GE(trained.size(), 120u);
  EXPECT_GE(pack.probes.size(), 20u);
  for (const IdentityProbe& probe : pack.probes) {
    EXPECT_FALSE(trained.contains(bare(probe.question))) << probe.question;
  }
}

TEST(Identity, EachLanguageAloneHasEnoughAndNothingIsLeftOpen) {
  for (const bool chinese : {true, false}) {
    const IdentityCard card = {
        .name = "Mira", .maker = "Jo", .chinese = chinese, .english = !chinese, .system = "S"};
    const IdentityPack pack = make_identity_pack(card);
    EXPECT_GE(pack.rows.size(), 40u);
    if (chinese) {
      EXPECT_GE(pack.probes.size(), 10u);
    }
    std::set<std::string> seen;
    for (const auto& row : pack.rows) {
      std::string whole;
      for (const RowTurn& turn : row) {
        EXPECT_EQ(turn.text.find_first_of("{}"), std::string::npos) << turn.text;
        whole += turn.text + "|";
      }
      EXPECT_TRUE(seen.insert(whole).second) << "duplicate: " << whole;
      EXPECT_TRUE(row.back().assistant);
    }
    for (const IdentityProbe& probe : pack.probes) {
      EXPECT_TRUE(answers_probe(probe, "No! I'm mira, made by jo.")) << probe.question;
      EXPECT_FALSE(answers_probe(probe, "I am Qwen, made by Alibaba Cloud."));
      EXPECT_FALSE(answers_probe(probe, "我是通义千问 Mira Jo"));
    }
  }
}

TEST(Identity, CardOfTheExamplesIsWrittenAsDataSet) {
  const IdentityCard card = read_identity_card(testing::source_path("examples/persona.yaml"));
  EXPECT_EQ(card.name, "小满");
  EXPECT_GE(card.facts.size(), 4u);
  const testing::TemporaryFolder out;
  IdentityCard weighted = card;
  weighted.weight = 1.5;
  weighted.system = "你是小满。";
  const IdentitySummary summary = write_identity(weighted, out.path());
  std::istringstream lines(read_file(out / "identity.jsonl"));
  int64_t rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(row["weight"], 1.5);
    EXPECT_EQ(row["messages"][0]["content"], "你是小满。");
    EXPECT_EQ(row["messages"].back()["role"], "assistant");
  }
  EXPECT_EQ(rows, summary.rows);
  const auto probes = read_identity_probes(out / "identity_probes.jsonl");
  EXPECT_EQ(static_cast<int64_t>(probes.size()), summary.probes);
  EXPECT_EQ(probes[0].expect, std::vector<std::string>{"小满"});
  const auto info = nlohmann::json::parse(read_file(out / "dataset_info.json"));
  EXPECT_EQ(info["identity"]["file_name"], "identity.jsonl");
}

TEST(Identity, UnreadableCardsSayWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"name: a\n", "has no maker:"},
      {"maker: a\n", "has no name:"},
      {"- a\n", "is no identity card"},
      {"name: [a\n", "line 2"},
      {"name: [a]\nmaker: b\n", "line 1: name: must be a text"},
      {"name: a\nmaker: b\ncolour: red\n", "unknown key colour"},
      {"name: a\nmaker: b\nlanguage: fr\n", "language: fr is none of zh, en, both"},
      {"name: a\nmaker: b\nweight: x\n", "weight: x is no number"},
      {"name: 小满\nmaker: b\nanswers: [我是小美]\n", "does not hold the name 小满"},
      {"name: a\nmaker: b\nfacts: [{question: q}]\n", "a fact needs question: and answer:"},
      {"", "is no identity card"},
  };
  const testing::TemporaryFolder folder;
  for (const auto& [yaml, expected] : cases) {
    write_file(folder / "card.yaml", yaml);
    try {
      read_identity_card(folder / "card.yaml");
      ADD_FAILURE() << "no error for " << yaml;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(expected));
    }
  }
  EXPECT_THROW(read_identity_card(folder / "nowhere.yaml"), Error);
}

}  // namespace
}  // namespace zhiyin::chats
