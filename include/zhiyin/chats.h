// Chat exports into training rows, and the rows that teach a persona who it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/error.h"

namespace zhiyin {

struct ChatImportOptions {
  std::vector<std::string> paths;
  std::string out;
  std::string persona;          // a name, an id, "me"; empty: the other side of a talk of two
  std::string style = "turns";  // whole conversations; "pairs": single questions and answers
  std::string system;           // system message of every row
  int64_t session_gap = 0;      // seconds; 0: learned from the data
  std::function<void(const std::string& stage, int64_t done, int64_t total)> progress;
};

struct ChatImportResult {
  std::string json;          // the summary, as --json prints it
  std::string text;          // the same for people, in lines
  std::string consent_note;  // to be shown once
};

ChatImportResult import_chats(const ChatImportOptions& options);

struct ChatPerson {
  std::string id, name;
  int64_t messages;
};
std::vector<ChatPerson> chat_people(const std::vector<std::string>& paths);

struct IdentityResult {
  int64_t rows, probes;
};
IdentityResult make_identity(const std::string& card, const std::string& out);

}  // namespace zhiyin
