// Stickers: each gets a short name that the model can write, [[名字]], and an address that is put
// in for display only. The catalogue is stickers.json, made for people to edit:
//   {"<md5 of the picture>": {"name": "表情1", "url": "https://…", "count": 12}, …}
#pragma once

#include <string>
#include <vector>

#include "chats/ledger.h"
#include "chats/turns.h"

namespace zhiyin::chats {

struct Sticker {
  std::string key, name, url;
  int64_t count = 0;  // how often it was sent
};

// The catalogue in a file, by name as in the file; empty where there is no such file. Throws
// kFailed, naming the sticker, for a name that is empty, taken, or holds brackets or a line break.
std::vector<Sticker> read_stickers(const std::string& path);

// Names for all stickers of an import, most used first. A name that `known` gives is kept, so
// edits outlive the next import; the others are numbered.
std::vector<Sticker> name_stickers(const std::vector<StickerUse>& used,
                                   const std::vector<Sticker>& known);

StickerNames sticker_names(const std::vector<Sticker>& stickers);
std::string stickers_json(const std::vector<Sticker>& stickers);

}  // namespace zhiyin::chats
