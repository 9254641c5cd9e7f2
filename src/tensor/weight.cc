#include "tensor/weight.h"

#include <algorithm>

#include "base/error.h"

namespace zhiyin {

Weight::Weight(std::string name, Format format, int64_t rows, int64_t cols, const uint8_t* data,
               std::shared_ptr<const void> holder)
    : matrix_(std::make_shared<Matrix>()) {
  matrix_->name = std::move(name);
  matrix_->format = format;
  matrix_->rows = rows;
  matrix_->cols = cols;
  matrix_->row_bytes = zhiyin::row_bytes(format, cols);
  matrix_->data = data;
  matrix_->holder = std::move(holder);
}

Weight::Weight(std::string name, Format format, int64_t rows, int64_t cols, const uint8_t* data,
               const MmapFile& file)
    : Weight(std::move(name), format, rows, cols, data, std::shared_ptr<const void>()) {
  auto held = std::make_shared<const MmapFile>(file);
  matrix_->file = held.get();
  matrix_->holder = std::move(held);
}

Weight Weight::packed_from(Context& context, std::string name, Format format, int64_t rows,
                           int64_t cols, const float* values) {
  const int64_t stride = zhiyin::row_bytes(format, cols);
  auto bytes = std::make_shared<std::vector<uint8_t>>(static_cast<size_t>(rows * stride));
  const FormatInfo& info = format_info(format);
  context.pool().parallel_for(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      info.pack(values + r * cols, bytes->data() + r * stride, cols, nullptr);
    }
  });
  const uint8_t* data = bytes->data();
  return Weight(std::move(name), format, rows, cols, data, std::move(bytes));
}

void Weight::unpack_row(const KernelTable& kernels, int64_t r, int64_t begin, int64_t end,
                        float* target) const {
  const FormatInfo& info = format_info(format());
  kernels.unpack(format(), row(r) + begin / info.block * info.block_bytes, target, end - begin);
}

int64_t Weight::packed_size(const KernelTable& kernels) const {
  return (rows() + kPackRows - 1) / kPackRows * kernels.packed_group_bytes(format(), cols());
}

void Weight::use_packed(const KernelTable& kernels, std::shared_ptr<const uint8_t> bytes) const {
  matrix_->packed_bytes = std::move(bytes);
  matrix_->packed = {matrix_->packed_bytes.get(), format(), rows(), cols(),
                     kernels.packed_group_bytes(format(), cols())};
}

void Weight::prepare(Context& context) const {
  const KernelTable& kernels = context.kernels();
  const int64_t group_bytes = kernels.packed_group_bytes(format(), cols());
  if (group_bytes == 0 || packed() != nullptr) return;
  const int64_t groups = (rows() + kPackRows - 1) / kPackRows;
  const auto size = static_cast<size_t>(packed_size(kernels));
  std::shared_ptr<uint8_t> bytes = context.packed_memory().allocate(size);
  check(bytes != nullptr, ErrorCode::kOutOfMemory, name(), ": ", size,
        " bytes for its packed form are not to be had");
  context.pool().parallel_for(groups, 4, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int count = static_cast<int>(std::min<int64_t>(kPackRows, rows() - g * kPackRows));
      kernels.pack_rows(format(), row(g * kPackRows), row_bytes(), count, cols(),
                        bytes.get() + g * group_bytes);
    }
  });
  use_packed(kernels, std::move(bytes));
  if (matrix_->file != nullptr) {
    matrix_->file->release(static_cast<size_t>(matrix_->data - matrix_->file->data()),
                           static_cast<size_t>(this->bytes()));
  }
}

void Weight::unprepare() const {
  matrix_->packed = {};
  matrix_->packed_bytes.reset();
}

const PackedWeight* Weight::packed() const {
  return matrix_->packed.data != nullptr ? &matrix_->packed : nullptr;
}

}  // namespace zhiyin
