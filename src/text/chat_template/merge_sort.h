// A stable sort for orders that a template may make inconsistent (NaN) or that throw: it never
// leaves the range, asks less(later, earlier) first as Python does, and needs no memory tricks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace zhiyin::jinja {

template <typename T, typename Less>
void merge_sort(std::vector<T>& items, const Less& less) {
  std::vector<T> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(middle + width, items.size());
      size_t left = begin, right = middle;
      for (size_t out = begin; out < end; ++out) {
        const bool take_right = left == middle || (right < end && less(items[right], items[left]));
        merged[out] = std::move(items[take_right ? right++ : left++]);
      }
    }
    items.swap(merged);
  }
}

}  // namespace zhiyin::jinja
