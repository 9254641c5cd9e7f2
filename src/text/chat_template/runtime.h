// What filters, methods and global functions may ask of the render that runs them.
#pragma once

#include <ctime>
#include <string>
#include <vector>

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

class Runtime {
 public:
  bool autoescape = false;  // inside {% autoescape true %}
  std::tm now{};            // local time that strftime_now shows

  // Namespaces and loops can hold themselves; the render empties those it knows when it ends.
  void adopt(Value mutable_object) { mutable_objects_.push_back(std::move(mutable_object)); }

 protected:
  std::vector<Value> mutable_objects_;
};

}  // namespace zhiyin::jinja
