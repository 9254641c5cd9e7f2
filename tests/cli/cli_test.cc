// The program as a user meets it: what it prints and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "cli/program.h"
#include "harness/paths.h"

namespace zhiyin {
namespace {

using ::testing::HasSubstr;

using testing::Outcome;

Outcome zhiyin(const std::string& arguments) { return testing::run_zhiyin(arguments); }

std::string model(const char* name) { return testing::data_path(std::string("models/") + name); }

TEST(Cli, EveryVerbExplainsItselfWithAnExample) {
  for (const char* verb :
       {"run", "tokenize", "template", "eval", "inspect", "bench", "doctor", "chats import",
        "chats identity", "chats people", "chats show", "chats explain", "export", "quantize",
        "merge", "adapter", "score", "cache"}) {
    const Outcome help = zhiyin(std::string(verb) + " --help");
    EXPECT_EQ(help.code, 0) << verb;
    EXPECT_THAT(help.out, HasSubstr("Example:\n  zhiyin ")) << verb;
  }
}

TEST(Cli, SpeaksChineseWhereAskedTo) {
  setenv("LC_ALL", "zh_CN.UTF-8", 1);
  EXPECT_THAT(zhiyin("run --help").out, HasSubstr("例子"));
  unsetenv("LC_ALL");
}

TEST(Cli, ErrorsAreOneLineAndACode) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  write_file(folder / "broken.gguf", std::string("GGUF\x03\0\0\0", 8));
  const struct {
    std::string arguments;
    int code;
    std::string says;
  } cases[] = {
      {"run --no-such-flag x", 2, "no-such-flag"},
      {"sing", 2, "--help"},
      {"inspect no-such-model", 3, "no-such-model"},
      {"inspect " + (folder / "empty"), 3, "empty"},
      {"inspect " + (folder / "broken.gguf"), 1, "broken.gguf"},
      {"run " + (model("qwen2/model")) + " hello", 4, "tokenizer"},
      {"eval " + model("qwen2/model"), 2, "--text-file"},
      {"quantize a b --type Q9", 2, "Q4_K_M"},
      {"quantize " + model("qwen2/model") + " --type F16", 2, "--preview"},
      {"run --adapter no-such-adapter " + model("qwen2/model") + " hello", 3, "no-such-adapter"},
      {"adapter " + model("qwen2/model") + " --out " + (folder / "x.gguf"), 2, "no LoRA adapter"},
      {"merge " + model("qwen2/model") + " --out " + (folder / "m") + " --type Q4_K_M", 2, ".gguf"},
      {"chats import " + (folder / "none.csv") + " --out " + (folder / "data"), 3, "none.csv"},
      {"chats show " + (folder / "empty"), 3, "ledger.db"},
      {"run --packed-cache much " + model("qwen2/model") + " hello", 2, "packed-cache"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = zhiyin(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << c.arguments << ": " << outcome.error;
    EXPECT_THAT(outcome.error, HasSubstr(c.says)) << c.arguments;
    EXPECT_THAT(outcome.error, ::testing::StartsWith("zhiyin: ")) << c.arguments;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  }
}

TEST(Cli, ListsAndClearsTheCacheOfPackedWeights) {
  const testing::TemporaryFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const std::string cache = folder / "zhiyin/packed";
  std::filesystem::create_directories(cache);
  write_file(cache + "/x-1.packed", "damaged");
  const auto listed = nlohmann::json::parse(zhiyin("cache --json").out);
  EXPECT_EQ(listed.at("folder"), cache);
  ASSERT_EQ(listed.at("files").size(), 1u);
  EXPECT_EQ(listed.at("files")[0].at("bytes"), 7);
  EXPECT_THAT(zhiyin("cache").out, HasSubstr("a damaged file\n7 B of packed weights in " + cache));
  EXPECT_THAT(zhiyin("cache --clear").out, HasSubstr("7 B removed"));
  EXPECT_TRUE(std::filesystem::is_empty(cache));
  EXPECT_EQ(nlohmann::json::parse(zhiyin("cache --json").out).at("files").size(), 0u);
  unsetenv("XDG_CACHE_HOME");
}

TEST(Cli, EvalWorksOnIdsAlone) {
  const testing::TemporaryFolder folder;
  const std::string folder_of_model = testing::data_path("models/qwen2");
  const Outcome outcome =
      zhiyin("eval " + folder_of_model + "/model --ids-file " + folder_of_model +
             "/ids.txt --exact --json --logits " + (folder / "logits.npy"));
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("tokens"), 40);
  EXPECT_NEAR(json.at("perplexity").get<double>(), std::exp(json.at("mean_nll").get<double>()),
              1e-6);
  // 40 rows of 257 floats behind the header.
  const std::string npy = read_file(folder / "logits.npy");
  EXPECT_EQ(npy.substr(1, 5), "NUMPY");
  EXPECT_THAT(npy.substr(0, 128), HasSubstr("(40, 257)"));
  EXPECT_EQ(npy.size() % 64, (40 * 257 * 4) % 64);
}

// Each of three sequences ends with 70 + 4 + 2 tokens, which take two pages of the cache.
TEST(Cli, BenchFillsAContextAndDecodesABatch) {
  const Outcome outcome =
      zhiyin("bench " + model("qwen2/model") +
             " --context 70 --prefill 4 --decode 2 --batch 3 --repeat 1 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_GT(json.at("decode_tps").get<double>(), 0);
  const auto info =
      nlohmann::json::parse(zhiyin("inspect " + model("qwen2/model") + " --json").out);
  EXPECT_EQ(json.at("cache_bytes"), 3 * 2 * 64 * info.at("kv_bytes_per_token").get<int64_t>());
  const Outcome wrong = zhiyin("bench " + model("qwen2/model") + " --batch 0");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.error, HasSubstr("--batch"));
}

TEST(Cli, InspectAndStats) {
  const Outcome outcome = zhiyin("inspect " + model("llama31/model") + " --json --tensors");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("family"), "llama");
  EXPECT_EQ(json.at("layers"), 2);
  EXPECT_EQ(json.at("tensors").size(), 20);
  const Outcome stats =
      zhiyin("inspect " + model("llama31/model") + " --stats model.norm.weight --json");
  ASSERT_EQ(stats.code, 0) << stats.error;
  EXPECT_EQ(nlohmann::json::parse(stats.out).at("nan"), 0);
}

TEST(Cli, TemplateRendersAFile) {
  const testing::TemporaryFolder folder;
  write_file(folder / "t.jinja",
             "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
  write_file(folder / "c.json", R"({"messages":[{"role":"user","content":"你好"}]})");
  const Outcome outcome =
      zhiyin("template --template " + (folder / "t.jinja") + " --context " + (folder / "c.json"));
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.out, "<user>你好");
  write_file(folder / "t.jinja", "line one\n{{ 1 + }}");
  const Outcome broken =
      zhiyin("template --template " + (folder / "t.jinja") + " --context " + (folder / "c.json"));
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.error, HasSubstr("2"));
}

TEST(Cli, ImportsTheExample) {
  const testing::TemporaryFolder folder;
  const Outcome outcome = zhiyin("chats import " + testing::source_path("examples/wechat") +
                                 " --out " + (folder / "data") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto json = nlohmann::json::parse(outcome.out);
  int64_t dropped = 0;
  for (const auto& [reason, count] : json.at("dropped").items()) dropped += count.get<int64_t>();
  EXPECT_EQ(json.at("used").get<int64_t>() + dropped, json.at("messages").get<int64_t>());
  EXPECT_TRUE(file_exists(folder / "data/train.jsonl"));
}

TEST(Cli, ShowsAndExplainsRows) {
  const testing::TemporaryFolder folder;
  const std::string data = folder / "data";
  ASSERT_EQ(
      zhiyin("chats import " + testing::source_path("examples/chatgpt") + " --out " + data).code,
      0);
  const Outcome page = zhiyin("chats show " + data + " --from 2 --count 2");
  EXPECT_THAT(page.out, HasSubstr("row 2  train.jsonl:2"));
  EXPECT_THAT(page.out, HasSubstr("assistant  1786 元。"));
  EXPECT_THAT(page.out, HasSubstr("--from 4  (8 rows)"));
  const Outcome why = zhiyin("chats explain " + data + " 2");
  EXPECT_THAT(why.out, HasSubstr("  + 2026-04-02 03:20:21  user: 三天出差"));
  EXPECT_THAT(why.out, HasSubstr("dropped: tool traffic"));
  const auto json = nlohmann::json::parse(zhiyin("chats explain " + data + " 2 --json").out);
  std::string reasons;
  for (const auto& source : json.at("sources")) reasons += source.value("dropped", "+") + " ";
  EXPECT_EQ(reasons, "hidden + + tool traffic tool traffic + + tool traffic tool traffic + ");
  EXPECT_EQ(zhiyin("chats explain " + data + " 99").code, 3);
}

}  // namespace
}  // namespace zhiyin
