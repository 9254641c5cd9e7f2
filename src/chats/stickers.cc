#include "chats/stickers.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "chats/ascii.h"

namespace zhiyin::chats {
namespace {

constexpr size_t kLongestName = 6;  // code points

// The clauses of a message that are short enough to be a name, and the emoji codes in it
// ("[微笑]" gives 微笑); each once.
std::set<std::string> phrases_of(std::string_view text) {
  std::set<std::string> phrases;
  std::u32string clause;
  const auto end_clause = [&] {
    if (clause.size() >= 2 && clause.size() <= kLongestName) {
      phrases.insert(utf32_to_utf8(clause));
    }
    clause.clear();
  };
  for (const char32_t c : utf8_to_utf32(text)) {
    const bool wide_letter = (c >= 0x3040 && c < 0xD7B0) || (c >= 0xF900 && c < 0xFB00);
    const bool letter =
        wide_letter || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) {
      clause += c;
    } else {
      end_clause();
    }
  }
  end_clause();
  return phrases;
}

struct Beside {
  int64_t count = 0;
  double weight = 0;  // what is said right beside a sticker weighs most
};

// The phrase that is said beside a sticker more than beside others: the largest weight times the
// logarithm of 1 plus its share of all the phrase's places. It must have been said twice and beside
// every tenth use, or be a short one beside a sticker that was sent three times at most; else
// empty.
std::string typical_phrase(const std::map<std::string, Beside>& beside,
                           const std::map<std::string, double>& everywhere, int64_t uses) {
  constexpr int64_t kFewUses = 3, kShort = 4;
  std::string best;
  double best_score = 0;
  for (const auto& [phrase, here] : beside) {
    const bool often = here.count >= 2 && here.count * 10 >= uses;
    if (!often && (uses > kFewUses || count_chars(phrase) > kShort)) continue;
    const double score = here.weight * std::log1p(here.weight / everywhere.at(phrase));
    if (score <= best_score) continue;
    best_score = score;
    best = phrase;
  }
  return best;
}

}  // namespace

std::vector<Sticker> read_stickers(const std::string& path) {
  std::vector<Sticker> stickers;
  if (!file_exists(path)) return stickers;
  const auto root = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check(root.is_object(), ErrorCode::kFailed, path,
        ": is not a JSON object of stickers; correct it or take it away");
  std::set<std::string> names;
  for (const auto& [key, entry] : root.items()) {
    const auto text = [&, &fields = entry](const char* field) {
      const bool found = fields.is_object() && fields.contains(field) && fields[field].is_string();
      check(found, ErrorCode::kFailed, path, ": sticker ", key, " has no ", field);
      return fields[field].get<std::string>();
    };
    Sticker sticker{.key = key, .name = text("name"), .url = text("url")};
    check(!sticker.name.empty() && sticker.name.find_first_of("[]\r\n") == std::string::npos,
          ErrorCode::kFailed, path, ": sticker ", key,
          " needs a name without brackets and line breaks");
    check(names.insert(sticker.name).second, ErrorCode::kFailed, path, ": the name ", sticker.name,
          " is given to two stickers; rename sticker ", key);
    stickers.push_back(std::move(sticker));
  }
  return stickers;
}

std::string sticker_key(std::string_view url) {
  for (const std::string_view mark : {"?m=", "&m="}) {
    const size_t at = url.find(mark);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = url.substr(at + mark.size());
    const std::string_view value = rest.substr(0, rest.find('&'));
    const bool hexadecimal =
        std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isxdigit(c); });
    if (value.size() == 32 && hexadecimal) return ascii_lower(value);
  }
  return {};
}

std::vector<Sticker> name_stickers(const std::vector<StickerUse>& used,
                                   const std::vector<StickerContext>& contexts,
                                   const std::vector<Sticker>& known) {
  std::map<std::string, std::string> given = sticker_names(known);
  std::set<std::string> taken;
  for (const auto& [key, name] : given) taken.insert(name);
  const auto take = [&](const std::string& name) { return taken.insert(name).second ? name : ""; };

  std::map<std::string, std::map<std::string, Beside>> beside;  // by sticker and phrase
  std::map<std::string, double> everywhere;
  for (const StickerContext& context : contexts) {
    for (const std::string& phrase : phrases_of(context.text)) {
      Beside& here = beside[context.key][phrase];
      ++here.count;
      here.weight += 1.0 / context.distance;
      everywhere[phrase] += 1.0 / context.distance;
    }
  }
  std::vector<Sticker> stickers;
  int number = 0;
  for (const StickerUse& use : used) {
    std::string& name = given[use.key];
    if (name.empty()) name = take(typical_phrase(beside[use.key], everywhere, use.count));
    while (name.empty()) name = take(cat("表情", ++number));
    stickers.push_back({use.key, name, use.url, use.count});
    given.erase(use.key);
  }
  for (const Sticker& sticker : known) {
    if (given.contains(sticker.key)) stickers.push_back(sticker);
  }
  return stickers;
}

StickerNames sticker_names(const std::vector<Sticker>& stickers) {
  StickerNames names;
  for (const Sticker& sticker : stickers) names[sticker.key] = sticker.name;
  return names;
}

std::string stickers_json(const std::vector<Sticker>& stickers) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  for (const Sticker& s : stickers) {
    root[s.key] = {{"name", s.name}, {"url", s.url}, {"count", s.count}};
  }
  return root.dump(2) + "\n";
}

}  // namespace zhiyin::chats
