#include "chats/mask.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "chats/ascii.h"

namespace zhiyin::chats {
namespace {

using Form = OriginalForm;

// Long numbers are cards when they pass the Luhn check of ISO/IEC 7812, and, since people mistype
// them, also when they have the length and the first digit of one.
bool is_card(std::string_view text) {
  int sum = 0, place = 0;
  const bool begins_so = text.starts_with('4') || text.starts_with('5') || text.starts_with("62");
  for (size_t i = text.size(); i-- > 0;) {
    if (text[i] < '0' || text[i] > '9') continue;
    const int digit = (text[i] - '0') * (place++ % 2 == 0 ? 1 : 2);
    sum += digit / 10 + digit % 10;
  }
  return sum % 10 == 0 || (begins_so && (place == 16 || place == 19));
}

std::string normal_form(Form form, std::string_view text) {
  if (form == Form::kLowerCase) return ascii_lower(text);
  if (form == Form::kText) return std::string(text);
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') digits += c;
  }
  // +86 before a mobile number says nothing new.
  if (digits.size() == 13 && digits.starts_with("86")) digits.erase(0, 2);
  return digits;
}

std::string zero_padded(int64_t number, size_t width) {
  const std::string digits = std::to_string(number);
  return digits.size() >= width ? digits : std::string(width - digits.size(), '0') + digits;
}

// A street address begins with the names of places, and what leads up to it ("我住在") does not
// belong to them. Walks back from the street; text.size() where no name stands before it.
size_t address_begin(std::string_view text, size_t street, size_t earliest) {
  constexpr size_t kMostCharacters = 24;
  constexpr std::u32string_view kNoPlace = U"在到去住是来从我你他她们的了和跟给寄回";
  size_t begin = street;
  for (size_t taken = 0; begin > earliest && taken < kMostCharacters; ++taken) {
    size_t before = begin - 1;
    while (before > earliest && (static_cast<unsigned char>(text[before]) & 0xC0) == 0x80) --before;
    const char32_t c = decode_utf8(text, before).code_point;
    const bool han = (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF);
    if (!han || kNoPlace.find(c) != std::u32string_view::npos) break;
    begin = before;
  }
  return begin == street ? text.size() : begin;
}

struct Pattern {
  const char* kind;
  const char* regex;
  Form form;
  const char*
      stand_in;  // # is its number; of several, zero padded. No such number or address exists
  bool (*accepts)(std::string_view) = nullptr;
  bool address = false;  // begins before what the expression finds: see address_begin
};

// In this order: what is longer and surer comes first.
constexpr Pattern kPatterns[] = {
    {"mail",
     R"((?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})",
     Form::kLowerCase, "user#@example.com"},
    {"id",
     R"((?<![0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx](?![0-9A-Za-z]))",
     Form::kLowerCase, "00000019000101####"},
    {"phone", R"((?<![\d-])(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![\d-]))",
     Form::kDigits, "1000000####"},
    {"card", R"((?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-]))", Form::kDigits, "000000000000####",
     &is_card},
    {"phone", R"((?<![\d-])\(?0\d{2,3}[) -]{1,2}\d{7,8}(?![\d-]))", Form::kDigits, "000-0000####"},
    {"phone", R"((?<![\w+])\+\d{1,3}(?:[ -]?\(?\d{2,4}\)?){2,5}(?![\d-]))", Form::kDigits,
     "+00 00 000####"},
    {"card",
     R"((?<![0-9A-Za-z])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?![0-9A-Za-z]))",
     Form::kText, "XX00000000000000####"},
    {"id", R"((?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-]))", Form::kDigits, "000-00-####"},
    {"id", R"((?<![0-9A-Za-z])[EGPegp]\d{8}(?![0-9A-Za-z]))", Form::kLowerCase, "X0000####"},
    {"account", R"((?<![0-9A-Za-z_])wxid_[0-9a-z]{6,32})", Form::kText, "wxid_masked####"},
    {"account", R"((?i:qq)[号群]{0,2}[是为:： ]{0,3}\K[1-9]\d{4,10}(?!\d))", Form::kDigits,
     "0000####"},
    {"account", R"(微信号?[是为:： ]{1,3}\K[a-zA-Z][-_a-zA-Z0-9]{5,19})", Form::kLowerCase,
     "masked_####"},
    {"address",
     "(?:路|街|大道|巷|弄|胡同) ?\\d{1,5} ?(?:号|弄)院?"
     "(?: ?[0-9A-Za-z]{1,5} ?(?:号楼|栋|幢|座|单元|层|楼|室))*",
     Form::kText, "某市某区某路#号", nullptr, true},
    {"address",
     R"(\b\d{1,5} (?:[A-Z][a-z]{1,20} ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd)\b)",
     Form::kText, "# Example Street"},
};

bool is_latin(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return (c & 0x80) == 0; });
}

// A name as a whole word: letters of the Latin alphabet must not go on on either side.
std::string name_pattern(const std::string& name) {
  const std::string literal = Regex::escape(name);
  return is_latin(name) ? cat("(?<![A-Za-z])", literal, "(?![A-Za-z])") : literal;
}

// 阿甲 to 阿癸, then 阿甲2; Latin names become Person1 and so on.
std::string name_stand_in(std::string_view name, int64_t number) {
  if (is_latin(name)) return cat("Person", number);
  constexpr std::string_view kStems[] = {"甲", "乙", "丙", "丁", "戊",
                                         "己", "庚", "辛", "壬", "癸"};
  constexpr int64_t kCount = std::size(kStems);
  const int64_t round = (number - 1) / kCount;
  return cat("阿", kStems[(number - 1) % kCount], round == 0 ? "" : std::to_string(round + 1));
}

// Whether a text has the form of the stand-ins of its kind: "user12@example.com".
bool is_stand_in(std::string_view kind, std::string_view text) {
  return std::any_of(std::begin(kPatterns), std::end(kPatterns), [&](const Pattern& p) {
    const std::string_view form = p.stand_in;
    const size_t sign = form.find('#');
    const std::string_view before = form.substr(0, sign);
    const std::string_view after = form.substr(form.find_last_of('#') + 1);
    if (p.kind != kind || text.size() <= before.size() + after.size()) return false;
    const std::string_view number =
        text.substr(before.size(), text.size() - before.size() - after.size());
    return text.starts_with(before) && text.ends_with(after) &&
           number.find_first_not_of("0123456789") == std::string_view::npos;
  });
}

std::string key_of(std::string_view kind, std::string_view normal) {
  return cat(kind, '\0', normal);
}

}  // namespace

Masker::Masker(const std::vector<std::string>& names, std::vector<Pseudonym> known) {
  for (const Pattern& p : kPatterns) {
    rules_.push_back({p.kind, Regex(p.regex), p.form, p.stand_in, p.accepts, p.address});
  }
  std::vector<std::pair<std::string, std::string>> chosen;  // name, stand-in or empty
  for (const std::string& name : names) {
    const size_t equals = name.find('=');
    chosen.emplace_back(trim(std::string_view(name).substr(0, equals)),
                        equals == std::string::npos ? "" : trim(name.substr(equals + 1)));
    check(!chosen.back().first.empty() &&
              (equals == std::string::npos || !chosen.back().second.empty()),
          ErrorCode::kUsage, "\"", name, "\" is no name to mask; write NAME or NAME=STAND-IN");
  }
  // 张三丰 before 张三, which is a part of it.
  std::sort(chosen.begin(), chosen.end(),
            [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  for (const auto& [name, stand_in] : chosen) {
    rules_.push_back({"name", Regex(name_pattern(name)), Form::kText});
    if (!stand_in.empty()) known.push_back({"name", name, stand_in});
  }
  for (Pseudonym& p : known) {
    // Which rule made it says what tells it from others.
    const auto pattern =
        std::find_if(std::begin(kPatterns), std::end(kPatterns), [&](const auto& r) {
          return p.kind == r.kind && Regex(r.regex).find(p.stands_for, 0).begin != kNoMatch;
        });
    const Form form = pattern == std::end(kPatterns) ? Form::kText : pattern->form;
    const std::string key = key_of(p.kind, normal_form(form, p.stands_for));
    if (!by_original_.contains(key)) add(std::move(p), key);
  }
}

void Masker::add(Pseudonym pseudonym, const std::string& key) {
  by_original_.emplace(key, pseudonyms_.size());
  stand_ins_.insert(pseudonym.pseudonym);
  pseudonyms_.push_back(std::move(pseudonym));
}

std::string Masker::stand_in(const Rule& rule, std::string_view found) {
  ++counts_[rule.kind];
  const std::string key = key_of(rule.kind, normal_form(rule.form, found));
  if (const auto known = by_original_.find(key); known != by_original_.end()) {
    return pseudonyms_[known->second].pseudonym;
  }
  // Stand-ins of one form are counted together.
  const std::string form = !rule.stand_in.empty() ? rule.stand_in : is_latin(found) ? "a" : "阿";
  std::string made;
  do {
    const int64_t number = ++numbers_[cat(rule.kind, '\0', form)];
    if (rule.stand_in.empty()) {
      made = name_stand_in(found, number);
    } else {
      const size_t begin = rule.stand_in.find('#');
      const size_t end = rule.stand_in.find_last_of('#') + 1;
      made = cat(rule.stand_in.substr(0, begin), zero_padded(number, end - begin),
                 rule.stand_in.substr(end));
    }
  } while (stand_ins_.contains(made));
  add({rule.kind, std::string(found), made}, key);
  return made;
}

std::string Masker::mask(std::string_view text) {
  std::string out(text);
  for (const Rule& rule : rules_) {
    std::string masked;
    size_t copied = 0;
    for (size_t at = 0; at < out.size();) {
      const TextSpan span = rule.regex.find(out, at);
      if (span.begin == kNoMatch) break;
      at = span.end;
      const size_t begin = rule.address ? address_begin(out, span.begin, copied) : span.begin;
      if (begin == out.size()) continue;
      const std::string_view found = std::string_view(out).substr(begin, span.end - begin);
      if (stand_ins_.contains(found)) continue;  // of a rule before this one
      if (rule.accepts != nullptr && !rule.accepts(found)) continue;
      masked.append(out, copied, begin - copied);
      masked += stand_in(rule, found);
      copied = span.end;
    }
    if (copied == 0) continue;
    masked.append(out, copied);
    out = std::move(masked);
  }
  return out;
}

std::vector<std::string> private_strings(const std::vector<std::string>& texts) {
  Masker masker({});
  for (const std::string& text : texts) masker.mask(text);
  std::vector<std::string> found;
  for (const Pseudonym& p : masker.pseudonyms()) {
    if (!is_stand_in(p.kind, p.stands_for)) found.push_back(p.stands_for);
  }
  return found;
}

std::vector<Pseudonym> read_pseudonyms(const std::string& path) {
  std::vector<Pseudonym> pseudonyms;
  if (!file_exists(path)) return pseudonyms;
  const auto list = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check(list.is_array(), ErrorCode::kFailed, path,
        ": is not a list of pseudonyms; name another file for the map");
  for (const auto& entry : list) {
    const auto text = [&](const char* key) {
      check(entry.is_object() && entry.contains(key) && entry[key].is_string(), ErrorCode::kFailed,
            path, ": entry ", pseudonyms.size() + 1, " has no ", key);
      return entry[key].template get<std::string>();
    };
    pseudonyms.push_back({text("kind"), text("stands_for"), text("pseudonym")});
  }
  return pseudonyms;
}

std::string pseudonyms_json(const std::vector<Pseudonym>& pseudonyms) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Pseudonym& p : pseudonyms) {
    list.push_back({{"kind", p.kind}, {"pseudonym", p.pseudonym}, {"stands_for", p.stands_for}});
  }
  return list.dump(2) + "\n";
}

}  // namespace zhiyin::chats
