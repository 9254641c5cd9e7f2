// Small helpers of the io tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "harness/paths.h"
#include "io/mutate.h"

namespace zhiyin::testing {

inline Bytes read_bytes(const std::string& path) {
  const std::string text = read_file(path);
  return {text.begin(), text.end()};
}

// The error that `action` throws; fails the test when it throws none.
inline Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kFailed, "");
}

// error_of(...) has the code and a message that contains the text.
inline void expect_error(const std::function<void()>& action, ErrorCode code,
                         const std::string& text) {
  const Error error = error_of(action);
  EXPECT_EQ(error.code(), code) << error.what();
  EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
}

}  // namespace zhiyin::testing
