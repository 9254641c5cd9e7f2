// Real chat templates with the outputs and errors of Jinja2: ../shared/templates.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "harness/paths.h"
#include "text/chat_template/chat_template.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;
using testing::shared_path;

Json load(const std::string& path) { return Json::parse(read_file(path)); }

// The outcome of a render in the form of the recorded cases.
Json outcome(const ChatTemplate& chat_template, const Json& context, const RenderOptions& options) {
  try {
    return {{"expected", chat_template.render(context, options)}};
  } catch (const TemplateError& error) {
    const bool of_jinja = error.kind().starts_with("Template") ||
                          error.kind() == "UndefinedError" || error.kind() == "SecurityError";
    if (of_jinja) return {{"error", error.message()}, {"error_kind", error.kind()}};
    return {{"error", error.kind() + ": " + error.message()}, {"error_kind", "python"}};
  }
}

TEST(ChatTemplateShared, EveryRealTemplateRendersAsInJinja2) {
  const std::string folder = shared_path("templates");
  ZHIYIN_NEEDS(folder);
  const Json conversations = load(folder + "/conversations.json");
  int cases = 0, templates = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (entry.path().extension() != ".json" || path.ends_with("conversations.json")) continue;
    const Json file = load(path);
    ++templates;
    SCOPED_TRACE(path);
    const ChatTemplate chat_template(file.at("template"), file.at("name"));
    RenderOptions options;
    options.now = parse_local_time(file.at("now").get<std::string>());
    for (const Json& test : file.at("cases")) {
      ++cases;
      // The tokens of the model and the conversation's own variables; nothing else is defined.
      Json context = file.at("variables");
      const std::string name = test.at("conversation");
      for (const auto& [key, value] : conversations.at(name).items()) context[key] = value;
      Json expected = test;
      expected.erase("conversation");
      EXPECT_EQ(outcome(chat_template, context, options).dump(1), expected.dump(1)) << name;
    }
  }
  EXPECT_GE(templates, 78);
  EXPECT_GE(cases, 936);
}

}  // namespace
}  // namespace zhiyin
