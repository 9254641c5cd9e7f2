// Speed of chat templates: milliseconds to render a chat as prompt, from Conversation to text, and
// to parse the template, in processor time.
//   bench_template TEMPLATE.json [MESSAGES [REPEAT]]
// TEMPLATE.json is one of ../shared/templates: {"template": ..., "variables": {...}}.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "measure.h"
#include "text/chat_template/chat_rendering.h"

namespace zhiyin {
namespace {

// Question and answer in turn after a system message, about 40 words each, Chinese among them.
Conversation make_chat(int messages) {
  Conversation chat;
  chat.messages.push_back(make_message("system", "You are a helpful assistant."));
  for (int i = 1; i < messages; ++i) {
    std::string text = "Message " + std::to_string(i) + ":";
    for (int k = 0; k < 3; ++k) {
      text +=
          " The quick brown fox jumps over the lazy dog, and nobody knows why. 今天天气很好。\n";
    }
    chat.messages.push_back(make_message(i % 2 == 1 ? "user" : "assistant", std::move(text)));
  }
  return chat;
}

int run(const std::string& path, int messages, int repeat) {
  const auto file = nlohmann::ordered_json::parse(read_file(path));
  const std::string source = file.at("template");
  const TemplateVariables& variables = file.at("variables");
  const Conversation chat = make_chat(messages);
  std::vector<double> parse_ms, render_ms;
  size_t bytes = 0;
  for (int i = 0; i < repeat; ++i) {
    const double start = bench::processor_ms();
    const ChatTemplate chat_template(source);
    const double parsed = bench::processor_ms();
    bytes = render_chat(chat_template, chat, variables, true).size();
    const double end = bench::processor_ms();
    parse_ms.push_back(parsed - start);
    render_ms.push_back(end - parsed);
  }
  std::printf("%d messages -> %zu bytes: render %.3f ms, parse %.3f ms\n", messages, bytes,
              bench::median(render_ms), bench::median(parse_ms));
  return 0;
}

}  // namespace
}  // namespace zhiyin

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s TEMPLATE.json [MESSAGES [REPEAT]]\n", argv[0]);
    return 2;
  }
  return zhiyin::bench::guarded(argv[0], [&] {
    return zhiyin::run(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 100,
                       argc > 3 ? std::max(1, std::atoi(argv[3])) : 200);
  });
}
