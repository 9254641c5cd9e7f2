// Splits normalized text into the words that a tokenizer model encodes one by one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/scanner.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

// A known scanner where the pattern has one, PCRE2 otherwise.
class Matcher {
 public:
  explicit Matcher(const std::string& given);
  TextSpan find(std::string_view text, size_t from) const {
    return scanner_ != nullptr ? scanner_(text, from) : regex_.front().find(text, from);
  }

 private:
  Scanner scanner_ = nullptr;
  std::vector<Regex> regex_;  // one, or none where there is a scanner
};

// Words of one text; the views are into text or into the text that was split.
struct Words {
  std::string_view text;
  std::vector<TextSpan> spans;
  std::string buffers[2];  // where steps that change the text write
  std::vector<TextSpan> previous;
};

class PreTokenizer {
 public:
  explicit PreTokenizer(const std::vector<PreTokenizerStep>& steps);

  // Splits text from byte `from` on into words, replacing their contents. Returns where to go on:
  // long texts come in batches that stay in the cache, until text.size() is returned. `first`:
  // the text is the beginning of what the user wrote.
  size_t split(std::string_view text, size_t from, bool first, Words& words) const;

 private:
  struct Step {
    PreTokenizerStep spec;
    std::vector<Matcher> matcher;  // of kSplit, one
  };
  void cut(const Step& step, Words& words) const;
  void rewrite(const Step& step, bool first, Words& words) const;

  std::vector<Step> steps_;
};

}  // namespace zhiyin
