#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <vector>

#include "base/error.h"

namespace zhiyin {
namespace {

constexpr size_t kCodePoints = 0x110000;

uint8_t class_of_category(utf8proc_category_t category) {
  switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kLetter | kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLetter | kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kSymbol;
    default:
      return 0;
  }
}

std::unique_ptr<uint8_t[]> build_classes() {
  auto classes = std::make_unique<uint8_t[]>(kCodePoints);
  // Planes 4 to 13 are unassigned, 15 and 16 private use: all of class 0.
  const auto fill = [&](size_t begin, size_t end) {
    for (size_t c = begin; c < end; ++c) {
      classes[c] = class_of_category(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
    }
  };
  fill(0, 0x40000);
  fill(0xE0000, 0xF0000);
  static constexpr std::array<char32_t, 25> kSpaces = {
      0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,   0xA0,   0x1680,
      0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
      0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  for (const char32_t c : kSpaces) classes[c] = kSpace;
  return classes;
}

struct Range {
  char32_t first, last;
};

// Blocks, in order, whose code points NFC neither changes nor joins with a neighbour: no combining
// class, no decomposition that does not compose back, never the second half of a composition.
constexpr Range kNfcInert[] = {
    {0x00, 0x2FF},    {0x388, 0x482},    {0x48A, 0x52F},   {0x10A0, 0x10FF}, {0x1E00, 0x1EFF},
    {0x2002, 0x2063}, {0x2070, 0x2094},  {0x20A0, 0x20C0}, {0x2100, 0x2125}, {0x2190, 0x2328},
    {0x2400, 0x2ADB}, {0x3000, 0x3029},  {0x3041, 0x3096}, {0x309D, 0x312F}, {0x3131, 0x318E},
    {0x3200, 0x9FFF}, {0xAC00, 0xD7A3},  {0xE000, 0xF8FF}, {0xFE00, 0xFE0F}, {0xFE30, 0xFE6B},
    {0xFF00, 0xFFFD}, {0x1F000, 0x1FAFF}};

bool is_nfc_inert(char32_t c) {
  const Range* const range =
      std::lower_bound(std::begin(kNfcInert), std::end(kNfcInert), c,
                       [](const Range& r, char32_t value) { return r.last < value; });
  return range != std::end(kNfcInert) && c >= range->first;
}

// utf8proc takes only well-formed text.
std::string normalize_well_formed(std::string_view text, int options) {
  std::string out;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  const auto option = static_cast<utf8proc_option_t>(options);
  std::vector<utf8proc_int32_t> points(text.size() + 16);
  utf8proc_ssize_t count = utf8proc_decompose(bytes, size, points.data(),
                                              static_cast<utf8proc_ssize_t>(points.size()), option);
  if (count > static_cast<utf8proc_ssize_t>(points.size())) {
    points.resize(static_cast<size_t>(count));
    count = utf8proc_decompose(bytes, size, points.data(), count, option);
  }
  check(count >= 0, ErrorCode::kFailed, "normalising ", text.size(),
        " bytes of text failed: ", utf8proc_errmsg(count));
  count = utf8proc_normalize_utf32(points.data(), count, option);
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    append_utf8(out, static_cast<char32_t>(points[static_cast<size_t>(i)]));
  }
  return out;
}

int options_of(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case NormalForm::kNfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case NormalForm::kNfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case NormalForm::kNfkd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
  return 0;
}

// Offset of the first character, at or after from, that NFC may change or join with the one before
// it; text.size() where there is none.
size_t find_not_inert(std::string_view text, size_t from) {
  while (from < text.size()) {
    if (static_cast<unsigned char>(text[from]) < 0x80) {
      ++from;
      continue;
    }
    const DecodedCodePoint next = decode_utf8(text, from);
    if (!next.ok || !is_nfc_inert(next.code_point)) return from;
    from += static_cast<size_t>(next.length);
  }
  return from;
}

// Offset of the first character at or after from that NFC leaves alone.
size_t find_inert(std::string_view text, size_t from) {
  while (from < text.size()) {
    const DecodedCodePoint next = decode_utf8(text, from);
    if (next.ok && is_nfc_inert(next.code_point)) return from;
    from += static_cast<size_t>(next.length);
  }
  return from;
}

size_t character_before(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

utf8proc_category_t category_of(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

}  // namespace

const uint8_t* code_point_classes() {
  static const std::unique_ptr<uint8_t[]> classes = build_classes();
  return classes.get();
}

bool is_control(char32_t c) {
  const utf8proc_category_t category = category_of(c);
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO;
}

bool is_nonspacing_mark(char32_t c) { return category_of(c) == UTF8PROC_CATEGORY_MN; }

bool is_bert_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void append_lowercase(std::string& out, char32_t c) {
  if (c == 0x130) {  // the one code point whose full mapping has two: i and a dot above
    out += "i\u0307";
    return;
  }
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

std::string normalize(std::string_view text, NormalForm form) {
  const int options = options_of(form);
  std::string out;
  const auto append = [&](std::string_view part) {
    while (!part.empty()) {
      const size_t bad = std::min(find_invalid_utf8(part), part.size());
      if (bad > 0) out += normalize_well_formed(part.substr(0, bad), options);
      if (bad < part.size()) out += part[bad];
      part.remove_prefix(std::min(bad + 1, part.size()));
    }
  };
  if (form != NormalForm::kNfc) {
    append(text);
    return out;
  }
  // Nearly all text is composed already: only what may change is taken apart, each time together
  // with the character before it, which it may join.
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = find_not_inert(text, at);
    const size_t first = begin > at && begin < text.size() ? character_before(text, begin) : begin;
    out += text.substr(at, first - at);
    at = find_inert(text, begin);
    append(text.substr(first, at - first));
  }
  return out;
}

bool is_surely_nfc(std::string_view text) { return find_not_inert(text, 0) == text.size(); }

}  // namespace zhiyin
