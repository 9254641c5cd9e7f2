// Every feature and error class against Jinja2: tests/data/jinja_cases.json, which
// tools/golden/jinja_cases.py computes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "harness/paths.h"
#include "text/chat_template/chat_template.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

TEST(ChatTemplateCases, EveryCaseGivesWhatJinja2Gives) {
  const Json file = Json::parse(read_file(testing::data_path("jinja_cases.json")));
  RenderOptions options;
  options.now = parse_local_time(file.at("now").get<std::string>());
  int errors = 0;
  for (const Json& test : file.at("cases")) {
    const std::string source = test.at("template");
    const Json& context = file.at("contexts").at(test.at("context").get<std::string>());
    Json outcome = {{"template", source}, {"context", test.at("context")}};
    try {
      outcome["expected"] = ChatTemplate(source).render(context, options);
    } catch (const TemplateError& error) {
      outcome["error"] = error.message();
      outcome["kind"] = error.kind();
      if (test.contains("line")) outcome["line"] = error.line();
      EXPECT_GT(error.line(), 0) << source;
      EXPECT_GT(error.column(), 0) << source;
      ++errors;
    }
    EXPECT_EQ(outcome.dump(1), test.dump(1));
  }
  EXPECT_GE(file.at("cases").size(), 500u);
  EXPECT_GE(errors, 300);
}

}  // namespace
}  // namespace zhiyin
