// How an import tells how far it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace zhiyin::chats {

struct ImportProgress {
  std::string_view stage;  // "read": bytes of the exports; "build": talks done
  int64_t done = 0;
  int64_t total = 0;
};

using ProgressCallback = std::function<void(const ImportProgress&)>;

inline void report(const ProgressCallback& progress, std::string_view stage, int64_t done,
                   int64_t total) {
  if (progress) progress({stage, done, total});
}

}  // namespace zhiyin::chats
