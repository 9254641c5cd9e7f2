#include "generate/name_spans.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace zhiyin {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr char kBracket = NameSpans::kOpener[0];
static_assert(NameSpans::kOpener.size() == 2 && NameSpans::kOpener[1] == kBracket);

}  // namespace

NameSpans::NameSpans(std::vector<std::string_view> vocabulary,
                     const std::vector<std::string>& names)
    : vocabulary_(std::move(vocabulary)), nodes_(3) {
  check(!names.empty(), ErrorCode::kUsage, "there is no name that could stand between ", kOpener,
        " and ", kCloser);
  for (const std::string& name : names) {
    check(!name.empty() && name.find_first_of("[]") == std::string::npos, ErrorCode::kUsage,
          "the name \"", name, "\" cannot stand between ", kOpener, " and ", kCloser,
          ": it is empty or holds a bracket");
    int32_t node = kHalfOpen + 1;
    const std::string path = cat(name, kCloser);
    for (size_t i = 0; i < path.size(); ++i) {
      const auto byte = static_cast<uint8_t>(path[i]);
      auto& next = nodes_[static_cast<size_t>(node)].next;
      auto at = std::lower_bound(next.begin(), next.end(), std::pair{byte, int32_t{0}});
      if (at == next.end() || at->first != byte) {
        const bool last = i + 1 == path.size();
        const int32_t target = last ? kOutside : static_cast<int32_t>(nodes_.size());
        next.insert(at, {byte, target});
        node = target;
        if (!last) nodes_.emplace_back();
      } else {
        node = at->second;
      }
    }
  }
  for (size_t id = 0; id < vocabulary_.size(); ++id) {
    const std::string_view bytes = vocabulary_[id];
    if (bytes.empty()) continue;
    order_.push_back(static_cast<int32_t>(id));
    if (bytes.front() == kBracket || bytes.find(kOpener) != std::string_view::npos) {
      openers_.push_back(static_cast<int32_t>(id));
    }
  }
  std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
    return vocabulary_[static_cast<size_t>(a)] < vocabulary_[static_cast<size_t>(b)];
  });
}

int32_t NameSpans::advance(int32_t state, std::string_view bytes) const {
  for (const char c : bytes) {
    if (!inside(state)) {
      state = c == kBracket ? state + 1 : kOutside;
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    const auto& next = nodes_[static_cast<size_t>(state)].next;
    const auto at = std::lower_bound(next.begin(), next.end(), std::pair{byte, int32_t{0}});
    if (at == next.end() || at->first != byte) return kImpossible;
    state = at->second;
  }
  return state;
}

template <typename Allow>
void NameSpans::walk(int32_t state, size_t begin, size_t end, size_t depth,
                     const Allow& allow) const {
  const auto bytes_of = [&](size_t i) { return vocabulary_[static_cast<size_t>(order_[i])]; };
  if (!inside(state)) {  // the span ends within these tokens; anything may follow, or a new span
    for (size_t i = begin; i < end; ++i) {
      if (advance(state, bytes_of(i).substr(depth)) != kImpossible) allow(order_[i]);
    }
    return;
  }
  for (; begin < end && bytes_of(begin).size() == depth; ++begin) allow(order_[begin]);
  for (const auto& [byte, next] : nodes_[static_cast<size_t>(state)].next) {
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = order_.begin() + static_cast<std::ptrdiff_t>(end);
    const auto byte_at = [&](int32_t id) {
      return static_cast<uint8_t>(vocabulary_[static_cast<size_t>(id)][depth]);
    };
    const auto from =
        std::partition_point(first, last, [&](int32_t id) { return byte_at(id) < byte; });
    const auto to =
        std::partition_point(from, last, [&](int32_t id) { return byte_at(id) == byte; });
    if (from == to) continue;
    walk(next, static_cast<size_t>(from - order_.begin()), static_cast<size_t>(to - order_.begin()),
         depth + 1, allow);
  }
}

void NameSpans::mask(int32_t state, std::span<float> logits) const {
  if (!inside(state)) {
    for (const int32_t id : openers_) {
      if (static_cast<size_t>(id) < logits.size() &&
          advance(state, vocabulary_[static_cast<size_t>(id)]) == kImpossible) {
        logits[static_cast<size_t>(id)] = kForbidden;
      }
    }
    return;
  }
  std::vector<std::pair<int32_t, float>> allowed;
  walk(state, 0, order_.size(), 0, [&](int32_t id) {
    if (static_cast<size_t>(id) < logits.size()) {
      allowed.emplace_back(id, logits[static_cast<size_t>(id)]);
    }
  });
  check(!allowed.empty(), ErrorCode::kUnsupported,
        "the vocabulary has no token for the next byte of a name between ", kOpener, " and ",
        kCloser, "; rename it in the catalogue");
  std::fill(logits.begin(), logits.end(), kForbidden);
  for (const auto& [id, logit] : allowed) {
    // A token that was forbidden before (by a bias, or NaN) must not leave nothing to choose.
    logits[static_cast<size_t>(id)] =
        std::isfinite(logit) ? logit : std::numeric_limits<float>::lowest();
  }
}

}  // namespace zhiyin
