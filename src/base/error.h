// Throwing the one exception type, with the message joined from parts.
#pragma once

#include "base/cat.h"
#include "zhiyin/error.h"

namespace zhiyin {

template <typename... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, cat(parts...));
}

// Always on, for input that a user or a file can get wrong: check(ok, ErrorCode::kFailed, "…", x).
template <typename... Parts>
void check(bool ok, ErrorCode code, const Parts&... parts) {
  if (!ok) [[unlikely]] {
    fail(code, parts...);
  }
}

}  // namespace zhiyin
