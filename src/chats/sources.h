// From the paths a user gives to messages in the ledger.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "chats/ledger.h"
#include "chats/progress.h"

namespace zhiyin::chats {

struct Sources {
  std::vector<std::string> files;    // that were read
  std::vector<std::string> skipped;  // found in a folder or an archive, but no chat export
};

// Reads every export among the paths: files, and what lies in folders and zip archives. Throws
// kUsage without paths, kNotFound for a missing file and a folder without exports, kFailed for a
// file that is no export, is empty or lacks what is needed, and where nobody says anything.
// edit: changes a message before the ledger gets it; may be null.
Sources read_sources(Ledger& ledger, const std::vector<std::string>& paths,
                     const ProgressCallback& progress,
                     const std::function<void(Message&)>& edit = nullptr);

}  // namespace zhiyin::chats
