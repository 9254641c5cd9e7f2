#include "api/tune_template.h"

#include "base/error.h"
#include "export/modelfile.h"

namespace zhiyin {
namespace {

// A text as a Jinja string.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

constexpr const char* kIfNoSystem = "{% if messages[0]['role'] != 'system' %}";

std::string chatml(const std::string& system) {
  if (system.empty()) return kChatMlTemplate;
  return cat(kIfNoSystem, "{{ '<|im_start|>system\\n' + ", quoted(system),
             " + '<|im_end|>\\n' }}{% endif %}", kChatMlTemplate);
}

}  // namespace

const char* const kQwenSystem =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

std::string tuning_template(const TuneConfig& config, const Model::Impl& model) {
  if (config.chat_template == "chatml") return chatml(config.system);
  if (config.chat_template == "qwen") {
    return chatml(config.system.empty() ? kQwenSystem : config.system);
  }
  check(config.chat_template.empty() || config.chat_template == "auto", ErrorCode::kUnsupported,
        "template: ", config.chat_template,
        " is not built in; use chatml, qwen (ChatML with Qwen's system message), or leave it out "
        "for the model's own");
  check(model.chat_template.has_value(), ErrorCode::kUnsupported, model.files.path,
        ": the base has no chat template; set template: chatml");
  const std::string& own = model.chat_template->source();
  if (config.system.empty()) return own;
  return cat(kIfNoSystem,
             "{% set messages = [{'role': 'system', 'content': ", quoted(config.system),
             "}] + messages %}{% endif %}", own);
}

}  // namespace zhiyin
