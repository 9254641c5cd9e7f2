// Times as exports write them. A chat's clock is the one its owner saw: no zone is applied, and a
// time is the seconds since 1970-01-01 00:00 on that clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zhiyin::chats {

// Reads "2024-10-04 11:43:02", what spreadsheets make of it ("2024/10/4 11:43"), "…T11:43:02",
// "2024年10月4日 11:43" and seconds or milliseconds since 1970. nullopt for anything else.
std::optional<int64_t> parse_time(std::string_view text);

// "2024-10-04 11:43:02".
std::string format_time(int64_t time);

}  // namespace zhiyin::chats
