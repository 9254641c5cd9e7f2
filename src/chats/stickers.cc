#include "chats/stickers.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"

namespace zhiyin::chats {

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

std::vector<Sticker> name_stickers(const std::vector<StickerUse>& used,
                                   const std::vector<Sticker>& known) {
  std::map<std::string, std::string> given = sticker_names(known);
  std::set<std::string> taken;
  for (const auto& [key, name] : given) taken.insert(name);
  std::vector<Sticker> stickers;
  int number = 0;
  for (const StickerUse& use : used) {
    std::string& name = given[use.key];
    while (name.empty()) {
      if (std::string next = cat("表情", ++number); taken.insert(next).second) name = next;
    }
    stickers.push_back({use.key, name, use.url, use.count});
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
