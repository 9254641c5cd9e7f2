// Weight: an immutable matrix of any format, backed by the mapped file; what `linear`, `embedding`
// and `dequantize` accept. That it is frozen is its type, so training on a quantised base needs no
// special case.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mmap_file.h"
#include "tensor/context.h"
#include "tensor/shape.h"

namespace zhiyin {

class Weight {
 public:
  Weight() = default;  // undefined

  // Rows of `cols` elements, row after row at data; holder keeps data alive.
  Weight(std::string name, Format format, int64_t rows, int64_t cols, const uint8_t* data,
         std::shared_ptr<const void> holder);
  // The same over a mapped file: prepare() lets the pages go that it has read.
  Weight(std::string name, Format format, int64_t rows, int64_t cols, const uint8_t* data,
         const MmapFile& file);
  // A row-major f32 matrix packed into `format`; for tests and for packing on load.
  static Weight packed_from(Context& context, std::string name, Format format, int64_t rows,
                            int64_t cols, const float* values);

  bool defined() const { return matrix_ != nullptr; }
  const std::string& name() const { return matrix_->name; }
  Format format() const { return matrix_->format; }
  int64_t rows() const { return matrix_->rows; }
  int64_t cols() const { return matrix_->cols; }
  Shape shape() const { return {rows(), cols()}; }
  int64_t row_bytes() const { return matrix_->row_bytes; }
  int64_t bytes() const { return rows() * row_bytes(); }
  const uint8_t* row(int64_t r) const { return matrix_->data + r * matrix_->row_bytes; }

  // Decodes elements [begin, end) of row r; both multiples of the format's block.
  void unpack_row(const KernelTable& kernels, int64_t r, int64_t begin, int64_t end,
                  float* target) const;

  // Makes the interleaved form that the integer product of the context's kernels reads; nothing
  // where the format has none. Not safe while another thread uses the weight.
  void prepare(Context& context) const;
  // Drops it again.
  void unprepare() const;
  // Bytes of that form, 0 where the format has none.
  int64_t packed_size(const KernelTable& kernels) const;
  // Takes packed_size() bytes that an earlier prepare() with the same kernels made.
  void use_packed(const KernelTable& kernels, std::shared_ptr<const uint8_t> bytes) const;
  // nullptr before prepare().
  const PackedWeight* packed() const;

 private:
  struct Matrix {
    std::string name;
    Format format = Format::kF32;
    int64_t rows = 0, cols = 0, row_bytes = 0;
    const uint8_t* data = nullptr;
    std::shared_ptr<const void> holder;
    const MmapFile* file = nullptr;  // held by holder
    PackedWeight packed{};
    std::shared_ptr<const uint8_t> packed_bytes;
  };
  std::shared_ptr<Matrix> matrix_;
};

}  // namespace zhiyin
