// NumPy's .npy, version 1.0: a float32 matrix written row by row.
// Reference: numpy/lib/format.py.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace zhiyin {

class NpyWriter {
 public:
  NpyWriter(const std::string& path, int64_t cols);

  // rows * cols floats, row-major.
  void append(const float* values, int64_t rows);
  // Writes the number of rows into the header; until then the target file is untouched.
  void finish();

 private:
  std::string header() const;

  AtomicFile file_;
  int64_t rows_ = 0, cols_;
};

}  // namespace zhiyin
