// Chat templates: any source must parse or fail with a TemplateError, and render or fail likewise,
// within small limits; every error has a place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "text/chat_template/chat_template.h"

namespace {

const nlohmann::ordered_json& context() {
  static const auto json = nlohmann::ordered_json::parse(R"({
    "messages": [
      {"role": "system", "content": "S"},
      {"role": "user", "content": "你好 <b>"},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "function": {"name": "f", "arguments": {"a": [1, 2.5, true, null]}}}]},
      {"role": "tool", "content": [{"type": "text", "text": "3"}, {"type": "image"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "bos_token": "<s>", "add_generation_prompt": true, "n": 3, "x": "abc"})");
  return json;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zhiyin::RenderOptions options;
  options.now = zhiyin::parse_local_time("2026-11-23T09:05:07");
  options.limits = {.steps = 20'000, .bytes = 1 << 20, .output = 1 << 16};
  try {
    const zhiyin::ChatTemplate chat_template(
        std::string(reinterpret_cast<const char*>(data), size));
    const std::string text = chat_template.render(context(), options);
    if (text.size() > static_cast<size_t>(options.limits.output)) std::abort();
  } catch (const zhiyin::TemplateError& error) {
    if (error.line() < 1 || error.column() < 1) std::abort();
  }
  return 0;
}
