// What goes wrong in a chat template: Jinja2's exception, or Python's, with the place in the
// source.
#pragma once

#include <string>
#include <string_view>

#include "zhiyin/error.h"

namespace zhiyin {

class TemplateError : public Error {
 public:
  // kind: the class as Python names it, such as UndefinedError, TemplateSyntaxError, TypeError.
  // LimitError is the one class of our own: the template asked for more work, memory or output
  // than RenderLimits allow. line and column count from 1; 0 means not known yet.
  TemplateError(std::string_view kind, std::string_view message, int line = 0, int column = 0,
                std::string_view template_name = {});

  const std::string& kind() const { return kind_; }
  // str() of the Python exception, without class and place (what() has all of them).
  const std::string& message() const { return message_; }
  int line() const { return line_; }
  int column() const { return column_; }

 private:
  std::string kind_, message_;
  int line_, column_;
};

}  // namespace zhiyin
