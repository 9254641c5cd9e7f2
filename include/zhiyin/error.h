// The one exception type of zhiyin. A message names the thing, both values and the remedy.
#pragma once

#include <stdexcept>
#include <string>

namespace zhiyin {

// Also the exit code of the program and, in the server, the class of the HTTP status.
enum class ErrorCode {
  kFailed = 1,       // damaged file, failed check, anything without a code of its own
  kUsage = 2,        // the caller asked for something that cannot be meant
  kNotFound = 3,     // no such file, tensor, model, key
  kUnsupported = 4,  // well-formed, but nothing zhiyin can do today
  kOutOfMemory = 5,
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace zhiyin
