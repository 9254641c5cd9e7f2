// Pseudonyms: phone numbers, identity and account numbers, mail addresses, bank cards, street
// addresses and chosen names become stand-ins before anything is written, the same one for the same
// original wherever it turns up. What stands for what is kept in a file of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace zhiyin::chats {

struct Pseudonym {
  std::string kind;  // "phone", "id", "account", "mail", "card", "address", "name"
  std::string stands_for, pseudonym;
};

// How much of an original tells it from others.
enum class OriginalForm { kText, kLowerCase, kDigits };

class Masker {
 public:
  // names: people to mask, "张三", or "张三=老王" for a stand-in of one's own. known: from an
  // earlier import, whose stand-ins are kept. Throws kUsage for an empty name or stand-in.
  explicit Masker(const std::vector<std::string>& names, std::vector<Pseudonym> known = {});

  std::string mask(std::string_view text);

  // In the order they were first met, known ones first.
  const std::vector<Pseudonym>& pseudonyms() const { return pseudonyms_; }
  // How many places were masked, by kind.
  const std::map<std::string, int64_t>& counts() const { return counts_; }

 private:
  struct Rule {
    std::string kind;
    Regex regex;
    OriginalForm form;
    std::string stand_in = {};  // empty: of a name
    bool (*accepts)(std::string_view) = nullptr;
    bool address = false;  // begins before what the expression finds
  };
  std::string stand_in(const Rule& rule, std::string_view found);

  void add(Pseudonym pseudonym, const std::string& key);

  std::vector<Rule> rules_;
  std::vector<Pseudonym> pseudonyms_;
  std::map<std::string, size_t> by_original_;  // kind, NUL, normal form
  std::set<std::string, std::less<>> stand_ins_;
  std::map<std::string, int64_t> numbers_;  // of stand-ins made, by their form
  std::map<std::string, int64_t> counts_;
};

// What a masker would mask in these texts, each original once, as it was first written. What looks
// like a stand-in of an import that masked is none.
std::vector<std::string> private_strings(const std::vector<std::string>& texts);

// The file of pseudonyms: [{"kind": …, "pseudonym": …, "stands_for": …}, …]. Reading gives nothing
// where there is no file, and throws kFailed for one that is something else.
std::vector<Pseudonym> read_pseudonyms(const std::string& path);
std::string pseudonyms_json(const std::vector<Pseudonym>& pseudonyms);

}  // namespace zhiyin::chats
