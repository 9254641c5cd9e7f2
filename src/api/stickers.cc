#include "zhiyin/stickers.h"

#include <filesystem>
#include <utility>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/stickers.h"
#include "generate/name_spans.h"

namespace zhiyin {
namespace {

constexpr std::string_view kOpener = NameSpans::kOpener, kCloser = NameSpans::kCloser;

// Markdown ends an address at a blank or a bracket, unless it stands between angles.
std::string markdown(std::string_view name, std::string_view url) {
  const bool plain = url.find_first_of(" ()<>") == std::string_view::npos;
  return plain ? cat("![", name, "](", url, ")") : cat("![", name, "](<", url, ">)");
}

std::string terminal(std::string_view name, std::string_view url) {
  return cat("\x1b]8;;", url, "\x1b\\[", name, "]\x1b]8;;\x1b\\");
}

}  // namespace

Stickers Stickers::read(const std::string& path) {
  check(file_exists(path), ErrorCode::kNotFound, path, ": there is no such catalogue of stickers");
  Stickers stickers;
  for (const chats::Sticker& sticker : chats::read_stickers(path)) {
    stickers.urls_.emplace(sticker.name, sticker.url);
  }
  return stickers;
}

Stickers Stickers::beside(const Model& model) {
  const std::filesystem::path path = model.impl().files.path;
  const auto folder = std::filesystem::is_directory(path) ? path : path.parent_path();
  const std::string file = (folder / "stickers.json").string();
  return file_exists(file) ? read(file) : Stickers();
}

std::vector<std::string> Stickers::names() const {
  std::vector<std::string> names;
  for (const auto& [name, url] : urls_) names.push_back(name);
  return names;
}

std::string Stickers::show(std::string_view text, StickerStyle style) const {
  std::string out;
  size_t done = 0;
  for (size_t open = text.find(kOpener); open != std::string_view::npos;
       open = text.find(kOpener, open)) {
    const size_t begin = open + kOpener.size();
    const size_t end = text.find(kCloser, begin);
    if (end == std::string_view::npos) break;
    const auto found = urls_.find(text.substr(begin, end - begin));
    if (found == urls_.end()) {
      ++open;
      continue;
    }
    out += text.substr(done, open - done);
    out += style == StickerStyle::kMarkdown ? markdown(found->first, found->second)
                                            : terminal(found->first, found->second);
    open = done = end + kCloser.size();
  }
  out += text.substr(done);
  return out;
}

std::string StickerStream::add(std::string_view piece) {
  held_ += piece;
  if (stickers_->empty()) return std::exchange(held_, {});
  // An open span, or the first half of an opener at the end, waits.
  size_t safe = held_.size();
  const size_t open = held_.rfind(kOpener);
  if (open != std::string::npos && held_.find(kCloser, open) == std::string::npos) {
    safe = open;
  } else if (!held_.empty() && held_.back() == kOpener.front()) {
    safe = held_.size() - 1;
  }
  std::string shown = stickers_->show(std::string_view(held_).substr(0, safe), style_);
  held_.erase(0, safe);
  return shown;
}

std::string StickerStream::flush() { return stickers_->show(std::exchange(held_, {}), style_); }

}  // namespace zhiyin
