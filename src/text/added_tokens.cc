#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace zhiyin {
namespace {

uint8_t class_before(std::string_view text, size_t at, size_t& begin) {
  begin = at - 1;
  while (begin > 0 && at - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
    --begin;
  }
  const DecodedCodePoint c = decode_utf8(text, begin);
  if (c.ok && begin + static_cast<size_t>(c.length) == at) return code_point_class(c.code_point);
  begin = at - 1;
  return 0;
}

uint8_t class_after(std::string_view text, size_t at, size_t& end) {
  const DecodedCodePoint c = decode_utf8(text, at);
  end = at + static_cast<size_t>(c.length);
  return c.ok ? code_point_class(c.code_point) : uint8_t{0};
}

// Would `single_word` forbid a token at [begin, end)?
bool touches_word(std::string_view text, size_t begin, size_t end) {
  size_t ignored = 0;
  const auto is_word = [&](uint8_t classes, char neighbour) {
    return (classes & (kLetter | kNumber | kMark)) != 0 || neighbour == '_';
  };
  return (begin > 0 && is_word(class_before(text, begin, ignored), text[begin - 1])) ||
         (end < text.size() && is_word(class_after(text, end, ignored), text[end]));
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<const AddedToken*>& tokens) : tokens_(tokens) {
  std::vector<PrefixSearch::Entry> entries;
  for (size_t i = 0; i < tokens.size(); ++i) {
    entries.push_back({tokens[i]->content, static_cast<int32_t>(i)});
    if (tokens[i]->content.empty()) continue;
    const char first = tokens[i]->content[0];
    only_first_byte_ = i == 0 || only_first_byte_ == first ? first : '\0';
  }
  search_ = PrefixSearch(std::move(entries));
}

AddedTokens::Hit AddedTokens::match_at(std::string_view text, size_t from, size_t at,
                                       bool with_special) const {
  Hit hit;
  search_.for_each(text.substr(at), [&](size_t length, int32_t index) {
    const AddedToken* const token = tokens_[static_cast<size_t>(index)];
    if (token->special && !with_special) return;
    if (token->single_word && touches_word(text, at, at + length)) return;
    hit = {at, at + length, token};
  });
  if (hit.token == nullptr) return hit;
  size_t next = 0;
  if (hit.token->lstrip) {
    while (hit.begin > from && (class_before(text, hit.begin, next) & kSpace) != 0) {
      hit.begin = std::max(next, from);
    }
  }
  if (hit.token->rstrip) {
    while (hit.end < text.size() && (class_after(text, hit.end, next) & kSpace) != 0) {
      hit.end = next;
    }
  }
  return hit;
}

AddedTokens::Hit AddedTokens::find(std::string_view text, size_t from, bool with_special) const {
  for (size_t at = from; at < text.size(); ++at) {
    if (only_first_byte_ != '\0') {
      at = text.find(only_first_byte_, at);
      if (at == std::string_view::npos) break;
    } else if (!search_.may_begin(text[at])) {
      continue;
    }
    const Hit hit = match_at(text, from, at, with_special);
    if (hit.token != nullptr) return hit;
  }
  return {};
}

}  // namespace zhiyin
