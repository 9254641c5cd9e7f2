#include "text/normalizer.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/unicode.h"

namespace zhiyin {
namespace {

using Kind = NormalizerStep::Kind;

// Together they bound what a hostile tokenizer.json can make of a short text.
constexpr size_t kMaxContentBytes = 64;
constexpr size_t kMaxSteps = 32;
constexpr size_t kMaxGrowth = 64;
constexpr size_t kAlwaysAllowed = 1 << 16;

// Calls visit(code point, its bytes); ill-formed bytes come as U+FFFD.
template <typename Visit>
void for_each_character(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint next = decode_utf8(text, at);
    const auto length = static_cast<size_t>(next.length);
    visit(next.code_point, text.substr(at, length));
    at += length;
  }
}

bool is_space(char32_t c) { return (code_point_class(c) & kSpace) != 0; }

// BertNormalizer of Hugging Face's library: clean-up, spaces round ideographs, accents, case.
std::string bert(const NormalizerStep& spec, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](char32_t c, std::string_view bytes) {
    const bool blank = c == '\t' || c == '\n' || c == '\r' || is_space(c);
    if (spec.clean_text && blank) {
      out += ' ';
      return;
    }
    if (spec.clean_text && (c == 0 || c == kReplacementCharacter || is_control(c))) return;
    const bool apart = spec.ideographs && is_bert_ideograph(c);
    if (apart) out += ' ';
    out += bytes;
    if (apart) out += ' ';
  });
  if (spec.strip_accents) {
    const std::string decomposed = normalize(out, NormalForm::kNfd);
    out.clear();
    for_each_character(decomposed, [&](char32_t c, std::string_view bytes) {
      if (!is_nonspacing_mark(c)) out += bytes;
    });
  }
  if (spec.lowercase) {
    std::string lower;
    lower.reserve(out.size());
    for_each_character(out, [&](char32_t c, std::string_view) { append_lowercase(lower, c); });
    out = std::move(lower);
  }
  return out;
}

std::string strip(const NormalizerStep& spec, std::string_view text) {
  size_t begin = text.size(), end = 0, at = 0;
  for_each_character(text, [&](char32_t c, std::string_view bytes) {
    if (!is_space(c)) {
      begin = std::min(begin, at);
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  if (!spec.strip_left) begin = 0;
  if (!spec.strip_right) end = text.size();
  return std::string(begin < end ? text.substr(begin, end - begin) : std::string_view());
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string replace_literal(const NormalizerStep& spec, std::string_view text) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t hit = text.find(spec.pattern, at);
    out += text.substr(at, hit == std::string_view::npos ? hit : hit - at);
    if (hit == std::string_view::npos) return out;
    out += spec.content;
    at = hit + spec.pattern.size();
  }
}

std::string replace_regex(const Regex& regex, const NormalizerStep& spec, std::string_view text) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const TextSpan match = regex.find(text, at);
    out += text.substr(at, match.begin == kNoMatch ? match.begin : match.begin - at);
    if (match.begin == kNoMatch) return out;
    out += spec.content;
    at = match.end;
  }
}

// A cheap answer to whether a step leaves the text alone; false is always safe.
bool leaves_alone(const NormalizerStep& spec, std::string_view text) {
  switch (spec.kind) {
    case Kind::kNfc:
      return is_surely_nfc(text);
    case Kind::kReplaceLiteral:
      return text.find(spec.pattern) == std::string_view::npos;
    case Kind::kPrepend:
      return text.empty();
    default:
      return false;
  }
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps) {
  check(steps.size() <= kMaxSteps, ErrorCode::kUnsupported, "normalizer of ", steps.size(),
        " steps, at most ", kMaxSteps, " are taken");
  for (const NormalizerStep& spec : steps) {
    Step step{spec, {}, {}};
    if (spec.kind == Kind::kReplaceLiteral && spec.pattern.empty()) continue;
    check(spec.kind == Kind::kPrecompiled || spec.content.size() <= kMaxContentBytes,
          ErrorCode::kUnsupported, "normalizer: a replacement of ", spec.content.size(),
          " bytes, at most ", kMaxContentBytes, " are taken");
    if (spec.kind == Kind::kReplace) step.regex.emplace(spec.pattern);
    if (spec.kind == Kind::kPrecompiled) step.charsmap.emplace(spec.content);
    steps_.push_back(std::move(step));
  }
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  const size_t limit = kAlwaysAllowed + kMaxGrowth * text.size();
  for (const Step& step : steps_) {
    if (leaves_alone(step.spec, text)) continue;
    std::string next = run(step, text);
    check(next.size() <= limit, ErrorCode::kFailed, "normalizer: the text grew from ", text.size(),
          " to ", next.size(), " bytes; is the tokenizer damaged?");
    buffer = std::move(next);
    text = buffer;
  }
  return text;
}

std::string Normalizer::run(const Step& step, std::string_view text) {
  switch (step.spec.kind) {
    case Kind::kNfc:
      return normalize(text, NormalForm::kNfc);
    case Kind::kNfd:
      return normalize(text, NormalForm::kNfd);
    case Kind::kNfkc:
      return normalize(text, NormalForm::kNfkc);
    case Kind::kNfkd:
      return normalize(text, NormalForm::kNfkd);
    case Kind::kLowercase: {
      std::string out;
      for_each_character(text, [&](char32_t c, std::string_view) { append_lowercase(out, c); });
      return out;
    }
    case Kind::kStripAccents: {
      std::string out;
      for_each_character(text, [&](char32_t c, std::string_view bytes) {
        if ((code_point_class(c) & kMark) == 0) out += bytes;
      });
      return out;
    }
    case Kind::kStrip:
      return strip(step.spec, text);
    case Kind::kReplace:
      return replace_regex(*step.regex, step.spec, text);
    case Kind::kReplaceLiteral:
      return replace_literal(step.spec, text);
    case Kind::kPrepend:
      return step.spec.content + std::string(text);
    case Kind::kBert:
      return bert(step.spec, text);
    case Kind::kPrecompiled:
      return step.charsmap->apply(text);
    case Kind::kCollapseSpaces:
      return collapse_spaces(text);
  }
  return std::string(text);
}

}  // namespace zhiyin
