#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/cat.h"

namespace zhiyin {

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  char buffer[32];
  if (s >= 3600) {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld:%02ld", static_cast<long>(s / 3600),
                  static_cast<long>(s / 60 % 60), static_cast<long>(s % 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld", static_cast<long>(s / 60),
                  static_cast<long>(s % 60));
  }
  return buffer;
}

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(int64_t done, const std::string& note) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  const auto since = [&](auto from) { return std::chrono::duration<double>(now - from).count(); };
  if (since(start_) < 1 || since(last_) < 0.1) return;
  last_ = now;
  drawn_ = true;
  std::string line = what_;
  if (total_ > 0) {
    constexpr int64_t kWidth = 24;
    const int64_t filled = std::min(kWidth, kWidth * done / total_);
    line += " [";
    for (int64_t i = 0; i < kWidth; ++i) line += i < filled ? '#' : '.';
    line += cat("] ", done, "/", total_);
    if (done > 0) {
      const double left =
          since(start_) * static_cast<double>(total_ - done) / static_cast<double>(done);
      line += " " + duration_text(left);
    }
  } else {
    line += cat(" ", done);
  }
  if (!note.empty()) line += "  " + note;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

}  // namespace zhiyin
