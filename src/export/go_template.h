// The part of Go's text/template that a Modelfile's TEMPLATE needs for plain talk: what Ollama
// makes of a conversation before the model sees it. zhiyin writes such templates and runs them to
// prove that they give the prompts of training.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

struct ChatTurn {
  std::string role, content;
};

// Runs a template over a conversation as Ollama does: neighbouring messages of one role become one,
// joined by a blank line; .System is all system messages. Known are text, range over .Messages, if,
// else, else if, end, trim marks, fields (.Role .Content .System .Messages), string literals and
// the functions eq ne and or not len index. Throws kUnsupported, naming the action, for the rest.
std::string render_go_template(std::string_view source, const std::vector<ChatTurn>& turns);

// Renders a conversation with a model's own template; nullopt where the template refuses it.
using RenderTurns =
    std::function<std::optional<std::string>(const std::vector<ChatTurn>&, bool prompt)>;

// A Go template that gives the same texts as `render`, found from how it surrounds the contents of
// sample conversations. `bos` (may be empty) is cut off at the start: Ollama puts it there itself.
// nullopt where the template does more than surround (it is then for the caller to leave the work
// to the GGUF's own template). What is found holds for the samples; check it on others.
std::optional<std::string> derive_go_template(const RenderTurns& render, std::string_view bos);

}  // namespace zhiyin
