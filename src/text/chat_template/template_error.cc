#include "text/chat_template/template_error.h"

#include "base/cat.h"

namespace zhiyin {
namespace {

std::string full_message(std::string_view kind, std::string_view message, int line, int column,
                         std::string_view template_name) {
  std::string out = "chat template";
  if (!template_name.empty()) out += cat(" ", template_name);
  if (line > 0) out += cat(", line ", line, ", column ", column);
  return cat(out, ": ", kind, ": ", message);
}

}  // namespace

TemplateError::TemplateError(std::string_view kind, std::string_view message, int line, int column,
                             std::string_view template_name)
    : Error(ErrorCode::kFailed, full_message(kind, message, line, column, template_name)),
      kind_(kind),
      message_(message),
      line_(line),
      column_(column) {}

}  // namespace zhiyin
