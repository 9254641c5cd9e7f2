// Rewrites text before it is split into words: normal forms, case, accents, replacements.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/tokenizer_spec.h"

namespace zhiyin {

class Normalizer {
 public:
  explicit Normalizer(const std::vector<NormalizerStep>& steps);

  // True where text always comes back as it is.
  bool is_identity() const { return steps_.empty(); }

  // The normalized text: a view of text itself where nothing changed, else of buffer.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  struct Step {
    NormalizerStep spec;
    std::optional<Regex> regex;
    std::optional<Charsmap> charsmap;
  };
  static std::string run(const Step& step, std::string_view text);

  std::vector<Step> steps_;
};

}  // namespace zhiyin
