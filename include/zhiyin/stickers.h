// Stickers in a persona's answers. The model writes [[名字]], a name of the catalogue that the
// import made (stickers.json); its picture's address is put in for display alone.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

enum class StickerStyle {
  kMarkdown,  // ![名字](address)
  kTerminal,  // [名字] as a link that terminals open (OSC 8)
};

class Stickers {
 public:
  Stickers() = default;  // none

  // Throws kNotFound where there is no such file, kFailed, naming the sticker, for a catalogue with
  // an empty or doubled name or without an address.
  static Stickers read(const std::string& path);
  // That of stickers.json in the model's folder, where export puts it; none without that file.
  static Stickers beside(const Model& model);

  bool empty() const { return urls_.empty(); }
  std::vector<std::string> names() const;
  // The text with every [[名字]] of the catalogue shown in the style; addresses byte for byte.
  std::string show(std::string_view text, StickerStyle style) const;

 private:
  std::map<std::string, std::string, std::less<>> urls_;  // by name
};

// The same for text that comes in pieces: what may be the beginning of a sticker waits for its end.
// The catalogue must outlive it.
class StickerStream {
 public:
  StickerStream(const Stickers& stickers, StickerStyle style)
      : stickers_(&stickers), style_(style) {}
  std::string add(std::string_view piece);
  // What waited at the end of the text.
  std::string flush();

 private:
  const Stickers* stickers_;
  StickerStyle style_;
  std::string held_;
};

}  // namespace zhiyin
