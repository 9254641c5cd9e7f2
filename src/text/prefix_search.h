// Which strings of a set begin a text: a sorted list narrowed byte by byte. Compact and quick to
// build; used for added tokens and by the unigram model.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace zhiyin {

class PrefixSearch {
 public:
  struct Entry {
    std::string_view text;  // must outlive the search
    int32_t value = -1;
  };

  PrefixSearch() { starts_.fill(0); }
  // Empty strings are left out; of equal strings the lowest value is kept.
  explicit PrefixSearch(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::erase_if(entries_, [](const Entry& e) { return e.text.empty(); });
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.text != b.text ? a.text < b.text : a.value < b.value;
    });
    const auto repeated =
        std::unique(entries_.begin(), entries_.end(),
                    [](const Entry& a, const Entry& b) { return a.text == b.text; });
    entries_.erase(repeated, entries_.end());
    starts_.fill(0);
    for (const Entry& e : entries_) ++starts_[byte(e.text[0]) + 1u];
    for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  }

  bool empty() const { return entries_.empty(); }
  bool may_begin(char c) const { return starts_[byte(c)] < starts_[byte(c) + 1u]; }

  // Calls visit(length, value) for every entry that text begins with, short ones first.
  template <typename Visit>
  void for_each(std::string_view text, Visit visit) const {
    if (text.empty()) return;
    const Entry* low = entries_.data() + starts_[byte(text[0])];
    const Entry* high = entries_.data() + starts_[byte(text[0]) + 1u];
    for (size_t depth = 1; low < high; ++depth) {  // all of [low, high) begin with text[0, depth)
      if (low->text.size() == depth) {
        visit(depth, low->value);
        ++low;
      }
      if (depth >= text.size()) return;
      const unsigned char next = byte(text[depth]);
      low = std::partition_point(low, high,
                                 [&](const Entry& e) { return byte(e.text[depth]) < next; });
      high = std::partition_point(low, high,
                                  [&](const Entry& e) { return byte(e.text[depth]) <= next; });
    }
  }

 private:
  static unsigned char byte(char c) { return static_cast<unsigned char>(c); }

  std::vector<Entry> entries_;          // by unsigned bytes
  std::array<uint32_t, 257> starts_{};  // first entry of each first byte
};

}  // namespace zhiyin
