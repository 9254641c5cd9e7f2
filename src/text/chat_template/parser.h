// Builds the tree of a template: the grammar and the messages of jinja2.parser, with the
// extensions that transformers turns on (loop controls and {% generation %}).
#pragma once

#include <string_view>

#include "text/chat_template/ast.h"

namespace zhiyin::jinja {

// Throws TemplateSyntaxError with line and column. Names are not resolved yet.
Tree parse_template(std::string_view source);

}  // namespace zhiyin::jinja
