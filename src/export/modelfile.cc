#include "export/modelfile.h"

namespace zhiyin {

const char* const kChatMlTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";

namespace {

// The same prompt in Go's template language.
constexpr const char* kChatMlGo =
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end "
    "}}<|im_start|>assistant\n";

// A value for PARAMETER and SYSTEM: quoted three times where it holds quotes or line breaks.
std::string quoted(const std::string& text) {
  const bool plain = text.find_first_of("\"\n") == std::string::npos;
  return plain ? "\"" + text + "\"" : "\"\"\"" + text + "\"\"\"";
}

}  // namespace

std::string modelfile_text(const Modelfile& m) {
  std::string text = "FROM ./" + m.gguf + "\n";
  if (m.chat_template == kChatMlTemplate) {
    text += std::string("TEMPLATE \"\"\"") + kChatMlGo + "\"\"\"\n";
  } else {
    text += "# The chat template is in the GGUF; Ollama runs it from there.\n";
  }
  if (!m.system.empty()) text += "SYSTEM " + quoted(m.system) + "\n";
  for (const std::string& stop : m.stop) text += "PARAMETER stop " + quoted(stop) + "\n";
  return text;
}

}  // namespace zhiyin
