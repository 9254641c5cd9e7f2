// Decides at parse time where every variable lives, by the rules of jinja2.idtracking and
// jinja2.compiler: which scopes copy a variable of the outer one, which names come from the
// context, what a macro closes over. Also raises what the compiler raises: unknown filters and
// tests outside conditions, assignments to loop, a block defined twice, break outside loops.
#pragma once

#include "text/chat_template/ast.h"

namespace zhiyin::jinja {

// Throws TemplateAssertionError or SyntaxError with line and column.
void resolve(Tree& tree);

}  // namespace zhiyin::jinja
