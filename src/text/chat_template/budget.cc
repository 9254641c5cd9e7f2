#include "text/chat_template/budget.h"

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

thread_local Budget* Budget::current_ = nullptr;

Budget::Budget(const RenderLimits& limits) : left_(limits), outer_(current_) { current_ = this; }
Budget::~Budget() { current_ = outer_; }

void spend_steps(int64_t count) {
  Budget* budget = Budget::current_;
  if (budget == nullptr) return;
  budget->left_.steps -= count;
  if (budget->left_.steps < 0) {
    raise("LimitError", "the template takes more steps than a render may");
  }
}

void spend_bytes(size_t count) {
  Budget* budget = Budget::current_;
  if (budget == nullptr) return;
  if (count > static_cast<uint64_t>(budget->left_.bytes)) {
    raise("LimitError", "the template builds more text and lists than a render may");
  }
  budget->left_.bytes -= static_cast<int64_t>(count);
}

}  // namespace zhiyin::jinja
