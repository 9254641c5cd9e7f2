// The sizes of a tensor, outermost first, stored inline.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace zhiyin {

class Shape {
 public:
  static constexpr int kMaxDims = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    for (const int64_t size : sizes) push_back(size);
  }

  int dims() const { return dims_; }
  // dim(-1) is the innermost.
  int64_t dim(int i) const { return sizes_[static_cast<size_t>(i < 0 ? i + dims_ : i)]; }
  void set(int i, int64_t size) { sizes_[static_cast<size_t>(i < 0 ? i + dims_ : i)] = size; }
  void push_back(int64_t size) { sizes_[static_cast<size_t>(dims_++)] = size; }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < dims_; ++i) n *= sizes_[static_cast<size_t>(i)];
    return n;
  }
  // This shape with another innermost size.
  Shape with_last(int64_t size) const {
    Shape other = *this;
    other.set(-1, size);
    return other;
  }
  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.dims_ != b.dims_) return false;
    for (int i = 0; i < a.dims_; ++i) {
      if (a.dim(i) != b.dim(i)) return false;
    }
    return true;
  }
  // "[3, 64]"
  std::string text() const;

 private:
  std::array<int64_t, kMaxDims> sizes_{};
  int dims_ = 0;
};

// For cat() and check(): a message costs nothing until it is needed.
inline void append_text(std::string& out, const Shape& shape) { out += shape.text(); }

}  // namespace zhiyin
