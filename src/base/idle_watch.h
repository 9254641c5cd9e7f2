// For work that would be in the way of computing: it waits for the breaks between answers.
#pragma once

#include <cstdint>
#include <functional>

namespace zhiyin {

class IdleWatch {
 public:
  // Returns when no pool of the process has begun a loop for a few milliseconds, more than pass
  // within a computation; at once if none has since it last did. Not later than patient() says no.
  // Pools of one thread are not seen.
  void wait(const std::function<bool()>& patient);

 private:
  uint64_t idle_at_ = UINT64_MAX;  // loops when they were idle last
};

}  // namespace zhiyin
