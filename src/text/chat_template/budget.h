// How much one render may do. A hostile template (range(10**12), 'a' * 10**10, lists that hold
// themselves twice, endless macros) meets LimitError or RecursionError, never the machine's limits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zhiyin {

struct RenderLimits {
  int64_t steps = 50'000'000;          // nodes evaluated and items visited
  int64_t bytes = int64_t{512} << 20;  // all strings and lists ever made, freed ones included
  int64_t output = int64_t{64} << 20;  // the rendered text
};

namespace jinja {

// The limits of the render that runs on this thread. While none is alive, nothing is counted.
class Budget {
 public:
  explicit Budget(const RenderLimits& limits);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

 private:
  friend void spend_steps(int64_t count);
  friend void spend_bytes(size_t count);
  static thread_local Budget* current_;
  RenderLimits left_;
  Budget* outer_;
};

void spend_steps(int64_t count = 1);
// Call before allocating where the template chooses the size.
void spend_bytes(size_t count);

}  // namespace jinja
}  // namespace zhiyin
