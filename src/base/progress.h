// A progress line with the time that is left, for anything that takes over two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace zhiyin {

// Draws on stderr, at most ten times a second and only on a terminal; elsewhere it prints nothing.
// Appears after the first second, so that quick work leaves no trace. One thread.
class Progress {
 public:
  // total 0: unknown; then only the count and the speed are shown.
  Progress(std::string what, int64_t total);
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // note: what stands behind the bar, such as "loss 1.23".
  void update(int64_t done, const std::string& note = {});
  void set_total(int64_t total) { total_ = total; }

 private:
  std::string what_;
  int64_t total_;
  bool terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

// "1:05" or "2:03:04"
std::string duration_text(double seconds);

}  // namespace zhiyin
