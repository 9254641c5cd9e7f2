#include "io/tensor_stream.h"

#include <utility>

#include "base/error.h"

namespace zhiyin {
namespace {

// Written in pieces of whole multiples of 2 MB, a file lies on large pages where its file system
// has them, for whoever maps it next.
constexpr size_t kBuffer = size_t{4} << 20;

}  // namespace

TensorStream::TensorStream(const std::string& path, std::string_view header,
                           std::vector<Slot> slots)
    : path_(path), file_(path, kBuffer), slots_(std::move(slots)) {
  file_.write(header);
  complete_slots();
}

// Leaves every slot that has all its bytes, empty tensors included.
void TensorStream::complete_slots() {
  while (current_ < slots_.size() && written_ == slots_[current_].bytes) {
    file_.write(std::string(slots_[current_].padding, '\0'));
    ++current_;
    written_ = 0;
  }
}

void TensorStream::write(std::string_view name, const void* data, uint64_t bytes) {
  if (bytes == 0) return;
  check(current_ < slots_.size(), ErrorCode::kFailed, path_, ": tensor ", name,
        " was written after the last one declared");
  const Slot& slot = slots_[current_];
  check(name == slot.name, ErrorCode::kFailed, path_, ": tensor ", name, " was written where ",
        slot.name, " is due");
  check(bytes <= slot.bytes - written_, ErrorCode::kFailed, path_, ": tensor ", name, " gets ",
        written_ + bytes, " bytes, ", slot.bytes, " were declared");
  file_.write(data, bytes);
  written_ += bytes;
  complete_slots();
}

void TensorStream::finish(bool sync) {
  check(current_ == slots_.size(), ErrorCode::kFailed, path_, ": tensor ",
        current_ < slots_.size() ? slots_[current_].name : "", " is incomplete");
  file_.commit(sync);
}

}  // namespace zhiyin
