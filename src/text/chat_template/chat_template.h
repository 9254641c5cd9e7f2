// Chat templates: a Jinja engine that gives what Jinja2 gives in the environment of transformers
// (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, {% generation %},
// tojson without HTML escaping, raise_exception, strftime_now), errors included.
// What the context holds and where the engine stops short: docs/formats/chat-templates.md.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/budget.h"
#include "text/chat_template/template_error.h"
#include "text/text_span.h"

namespace zhiyin {

struct RenderOptions {
  std::optional<std::tm> now;  // what strftime_now shows; default: the local time
  RenderLimits limits = {};
};

struct RenderedText {
  std::string text;
  std::vector<TextSpan> generated;  // what stood in {% generation %} blocks
};

class ChatTemplate {
 public:
  // Parses. Throws TemplateError (a syntax error) with line and column; the name appears in it.
  explicit ChatTemplate(std::string source, std::string name = {});
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // context: an object with every variable the template may read; what is absent is undefined.
  // Threads may render the same template at the same time. Throws TemplateError.
  std::string render(const nlohmann::ordered_json& context,
                     const RenderOptions& options = {}) const;
  RenderedText render_with_spans(const nlohmann::ordered_json& context,
                                 const RenderOptions& options = {}) const;

  const std::string& source() const { return source_; }
  const std::string& name() const { return name_; }

 private:
  struct Program;
  std::string source_, name_;
  std::unique_ptr<const Program> program_;
};

// "2026-11-23T09:05:07" or "2026-11-23 09:05". Throws kUsage for anything else.
std::tm parse_local_time(std::string_view text);

}  // namespace zhiyin
