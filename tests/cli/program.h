// Runs the program as a user would.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "harness/paths.h"

namespace zhiyin::testing {

struct Outcome {
  int code;  // 128 + the signal where a shell says so
  std::string out, error;
};

// Runs `zhiyin ARGUMENTS` in a shell, without standard input. `before` stands before the program,
// such as "timeout 5".
inline Outcome run_zhiyin(const std::string& arguments, const std::string& before = {}) {
  const TemporaryFolder folder;
  const char* program = std::getenv("ZHIYIN_PROGRAM");
  const std::string command = before + " " + (program != nullptr ? program : "zhiyin") + " " +
                              arguments + " < /dev/null > " + (folder / "out") + " 2> " +
                              (folder / "error");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"),
          read_file(folder / "error")};
}

}  // namespace zhiyin::testing
