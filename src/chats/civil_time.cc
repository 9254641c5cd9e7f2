#include "chats/civil_time.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace zhiyin::chats {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<int64_t> parse_time(std::string_view text) {
  // Year, month, day, hour, minute, second: whatever stands between the numbers is no concern.
  std::array<int64_t, 6> part = {0, 0, 0, 0, 0, 0};
  size_t parts = 0, at = 0;
  while (at < text.size() && parts < part.size()) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && is_digit(text[at])) {
      if (at - begin >= 13) return std::nullopt;
      part[parts] = part[parts] * 10 + (text[at] - '0');
      ++at;
    }
    const size_t digits = at - begin;
    if (parts == 0 && digits >= 9) {  // since 1970
      if (begin != 0 || at != text.size()) return std::nullopt;
      return digits >= 12 ? part[0] / 1000 : part[0];
    }
    if (parts == 0 ? digits != 4 : digits > 2) return std::nullopt;
    ++parts;
  }
  if (parts < 3) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(part[0])),
                                         std::chrono::month(static_cast<unsigned>(part[1])),
                                         std::chrono::day(static_cast<unsigned>(part[2]))};
  if (!date.ok() || part[3] > 23 || part[4] > 59 || part[5] > 60) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400 + part[3] * 3600 + part[4] * 60 + part[5];
}

std::string format_time(int64_t time) {
  const std::chrono::sys_seconds point{std::chrono::seconds(time)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const int64_t seconds = (point - day).count();
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02u %02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(seconds / 3600),
                static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  return buffer;
}

}  // namespace zhiyin::chats
