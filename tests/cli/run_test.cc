// Asking a model, as a user does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/program.h"
#include "harness/tiny_chat_model.h"

namespace zhiyin {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

using testing::run_zhiyin;

class Run : public ::testing::Test {
 protected:
  Run() { testing::write_tiny_chat_model(folder_ / "model"); }

  std::string model() const { return folder_ / "model"; }
  Json ask(const std::string& options) const {
    const auto outcome = run_zhiyin("run " + model() + " --raw 'abcabcabcabc' --json " + options);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return Json::parse(outcome.out);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Run, SpeculationLeavesTheAnswerAsItIs) {
  const std::string common = "--max-tokens 60 --temp 0 --speculate ";
  const Json plain = ask(common + "off");
  EXPECT_EQ(plain.at("timings").at("draft_n"), 0);
  for (const std::string& how :
       std::vector<std::string>{"auto", "always", "always --draft " + model()}) {
    const Json answer = ask(common + how);
    EXPECT_EQ(answer.at("ids"), plain.at("ids")) << how;
    const Json& timings = answer.at("timings");
    EXPECT_LE(timings.at("draft_n_accepted"), timings.at("draft_n"));
    EXPECT_TRUE(how == "auto" || timings.at("draft_n_accepted") > 0) << how;
  }
}

TEST_F(Run, ADraftNeedsTheSameVocabulary) {
  const std::string other = folder_ / "other";
  testing::write_tiny_chat_model(other);
  std::string tokenizer = read_file(other + "/tokenizer.json");
  tokenizer.replace(tokenizer.find("\"a\":"), 4, "\"AA\":");
  write_file(other + "/tokenizer.json", tokenizer);
  const auto outcome = run_zhiyin("run " + model() + " --draft " + other + " hello");
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.error, HasSubstr(other +
                                       ": token 97 is \"AA\", not \"a\"; a draft must have "
                                       "the vocabulary of " +
                                       model()));
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1);
}

TEST_F(Run, SpeculateTakesItsThreeWords) {
  EXPECT_EQ(run_zhiyin("run " + model() + " --speculate sometimes hello").code, 2);
}

}  // namespace
}  // namespace zhiyin
