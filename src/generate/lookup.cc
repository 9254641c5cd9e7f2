#include "generate/lookup.h"

namespace zhiyin {
namespace {

// Places that are compared for the longest match, the latest first.
constexpr int kPlaces = 32;
// A match is as good as any from this length on, and followed as long as it holds.
constexpr int64_t kLongMatch = 32;

uint64_t pair_key(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

}  // namespace

void PromptLookup::reset() { *this = PromptLookup(); }

void PromptLookup::add(int32_t id) {
  const bool held = match_ > 0 && text_[static_cast<size_t>(next_)] == id;
  text_.push_back(id);
  const size_t n = text_.size();
  previous_.push_back(-1);
  if (n < 2) return;
  const auto [entry, added] =
      latest_.try_emplace(pair_key(text_[n - 2], id), static_cast<int64_t>(n) - 1);
  if (!added) {
    previous_.back() = entry->second;
    entry->second = static_cast<int64_t>(n) - 1;
  }
  if (held && match_ + 1 >= kLongMatch) {
    ++next_;
    match_ = kLongMatch;
  } else {
    search();
  }
}

void PromptLookup::search() {
  match_ = 0;
  const auto last = static_cast<int64_t>(text_.size()) - 1;
  int64_t place = previous_.back();
  for (int i = 0; i < kPlaces && place >= 0 && match_ < kLongMatch; ++i) {
    int64_t length = 2;  // the pair
    while (length < kLongMatch && length <= place &&
           text_[static_cast<size_t>(place - length)] ==
               text_[static_cast<size_t>(last - length)]) {
      ++length;
    }
    if (length > match_) {
      match_ = length;
      next_ = place + 1;
    }
    place = previous_[static_cast<size_t>(place)];
  }
}

std::vector<int32_t> PromptLookup::continuation(int64_t count) const {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    const auto place = static_cast<size_t>(next_ + i);
    ids.push_back(place < text_.size() ? text_[place] : ids[place - text_.size()]);
  }
  return ids;
}

}  // namespace zhiyin
