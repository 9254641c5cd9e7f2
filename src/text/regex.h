// Regular expressions of tokenizer.json over UTF-8 text, by PCRE2 with its JIT compiler.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/scanner.h"

namespace zhiyin {

// Immutable after construction; find() may run on several threads at once. Classes such as \s and
// \p{L} are Unicode's, ^ and $ match at line breaks as in Oniguruma, which tokenizers are written
// for. Ill-formed bytes match nothing.
class Regex {
 public:
  // Throws kUnsupported with the pattern and PCRE2's reason.
  explicit Regex(std::string pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // A pattern that matches the text literally.
  static std::string escape(std::string_view text);

  const std::string& pattern() const { return pattern_; }

  // The first non-empty match at or after from; begin == kNoMatch where there is none. Throws
  // kFailed when the pattern needs more backtracking than any sane tokenizer does.
  TextSpan find(std::string_view text, size_t from) const;

 private:
  struct Compiled;
  std::string pattern_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace zhiyin
