// An Ollama Modelfile beside an exported GGUF.
#pragma once

#include <string>
#include <vector>

namespace zhiyin {

// Plain ChatML as one Jinja line. Ollama knows this very text and its stop tokens, and, unlike
// Qwen's own template, it puts no system message of another maker before the conversation.
extern const char* const kChatMlTemplate;

struct Modelfile {
  std::string gguf;           // file name, beside the Modelfile
  std::string chat_template;  // Jinja; where it is kChatMlTemplate, TEMPLATE is written too
  std::string system;
  std::vector<std::string> stop;
};

// The text of the file. Other templates than ChatML are left to the GGUF, whose Jinja Ollama runs.
std::string modelfile_text(const Modelfile& modelfile);

}  // namespace zhiyin
