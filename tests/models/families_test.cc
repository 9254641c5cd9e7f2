#include <gtest/gtest.h>

#include "base/error.h"
#include "harness/check_family.h"
#include "harness/paths.h"
#include "models/family.h"

namespace zhiyin {
namespace {

class Families : public ::testing::TestWithParam<const char*> {};
TEST_P(Families, AgreeWithTheReference) {
  testing::check_family(testing::data_path(std::string("models/") + GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Golden, Families,
                         ::testing::Values("llama", "llama31", "llama_yarn", "qwen2", "qwen2_tied"),
                         [](const auto& test) { return std::string(test.param); });

TEST(FamilyRegistry, NamesWhatItKnows) {
  EXPECT_STREQ(family_of("Qwen2ForCausalLM").name, "qwen2");
  EXPECT_STREQ(family_of("llama").name, "llama");
  try {
    family_of("MambaForCausalLM");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("MambaForCausalLM"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("Qwen2ForCausalLM"), std::string::npos);
  }
}

}  // namespace
}  // namespace zhiyin
