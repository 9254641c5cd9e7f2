// Time that has passed, by a clock that never goes back.
#pragma once

#include <chrono>

namespace zhiyin {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
inline double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return 1000 * seconds_since(start);
}

}  // namespace zhiyin
