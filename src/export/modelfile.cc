#include "export/modelfile.h"

#include "base/cat.h"

namespace zhiyin {

const char* const kChatMlTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";

const char* const kChatMlGoTemplate =
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end "
    "}}<|im_start|>assistant\n";

namespace {

constexpr std::string_view kTemplateOpen = "TEMPLATE \"\"\"", kTripleQuote = "\"\"\"";

// A value for PARAMETER and SYSTEM: quoted three times where it holds quotes or line breaks.
std::string quoted(const std::string& text) {
  const bool plain = text.find_first_of("\"\n") == std::string::npos;
  return plain ? "\"" + text + "\"" : "\"\"\"" + text + "\"\"\"";
}

}  // namespace

std::string modelfile_text(const Modelfile& m) {
  std::string text = "FROM ./" + m.gguf + "\n";
  if (m.go_template.empty()) {
    text += "# The chat template is in the GGUF; Ollama runs it from there.\n";
  } else {
    text += cat(kTemplateOpen, m.go_template, kTripleQuote, "\n");
  }
  if (!m.system.empty()) text += "SYSTEM " + quoted(m.system) + "\n";
  for (const std::string& stop : m.stop) text += "PARAMETER stop " + quoted(stop) + "\n";
  return text;
}

std::optional<std::string> modelfile_template(std::string_view text) {
  const size_t open = text.find(kTemplateOpen);
  if (open == text.npos) return std::nullopt;
  text.remove_prefix(open + kTemplateOpen.size());
  return std::string(text.substr(0, text.find(kTripleQuote)));
}

}  // namespace zhiyin
