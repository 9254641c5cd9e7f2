// The version of the program and of the public API.
#pragma once

namespace zhiyin {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace zhiyin
