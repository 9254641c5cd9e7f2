// An Ollama Modelfile beside an exported GGUF.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

// Plain ChatML as one Jinja line. Ollama knows this very text and its stop tokens, and, unlike
// Qwen's own template, it puts no system message of another maker before the conversation.
extern const char* const kChatMlTemplate;
// The same prompt in Go's template language.
extern const char* const kChatMlGoTemplate;

struct Modelfile {
  std::string gguf;         // file name, beside the Modelfile
  std::string go_template;  // TEMPLATE; empty: Ollama runs the Jinja of the GGUF
  std::string system;
  std::vector<std::string> stop;
};

std::string modelfile_text(const Modelfile& modelfile);

// The TEMPLATE of a Modelfile's text, for checking what was written; nullopt without one.
std::optional<std::string> modelfile_template(std::string_view text);

}  // namespace zhiyin
