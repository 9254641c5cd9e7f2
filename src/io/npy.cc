#include "io/npy.h"

#include "base/cat.h"

namespace zhiyin {

NpyWriter::NpyWriter(const std::string& path, int64_t cols) : file_(path), cols_(cols) {
  file_.write(header());
}

// 128 bytes, whatever the shape, so that finish() can write it again in place.
std::string NpyWriter::header() const {
  constexpr size_t kSize = 128, kPrefix = 10;
  std::string text =
      cat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows_, ", ", cols_, "), }");
  text.resize(kSize - kPrefix - 1, ' ');
  const char prefix[kPrefix] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, kSize - kPrefix, 0};
  return cat(std::string_view(prefix, kPrefix), text, '\n');
}

void NpyWriter::append(const float* values, int64_t rows) {
  file_.write(values, static_cast<size_t>(rows * cols_) * sizeof(float));
  rows_ += rows;
}

void NpyWriter::finish() {
  file_.seek(0);
  file_.write(header());
  file_.commit();
}

}  // namespace zhiyin
