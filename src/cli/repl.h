// The chat on a terminal.
#pragma once

#include <string>
#include <vector>

#include "zhiyin/generate.h"
#include "zhiyin/stickers.h"

namespace zhiyin::cli {

struct ReplOptions {
  std::string system;
  bool raw = false;  // every line is continued as text
  int64_t max_tokens = -1, context = 0;
  std::vector<std::string> stop;
  SamplingOptions sampling;
  Stickers stickers;
  std::string speculate = "auto";
};

// Until /bye or the end of input. Ctrl-C stops the answer, not the program. draft may be nullptr.
void repl(Model& model, Model* draft, const ReplOptions& options);

}  // namespace zhiyin::cli
