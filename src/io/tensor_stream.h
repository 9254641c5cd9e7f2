// The data part of a model file being written: tensors of known size at known offsets, streamed in
// order into an AtomicFile. Shared by the GGUF and the safetensors writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace zhiyin {

class TensorStream {
 public:
  struct Slot {
    std::string name;
    uint64_t bytes;
    uint64_t padding;  // zero bytes that follow
  };

  TensorStream(const std::string& path, std::string_view header, std::vector<Slot> slots);

  // The next bytes of the tensor that is being written, or the first ones of the next.
  void write(std::string_view name, const void* data, uint64_t bytes);
  // Throws kFailed when a tensor is missing or incomplete; otherwise the file takes its name.
  // sync: waits for the disk; see AtomicFile.
  void finish(bool sync = true);

 private:
  void complete_slots();

  std::string path_;
  AtomicFile file_;
  std::vector<Slot> slots_;
  size_t current_ = 0;
  uint64_t written_ = 0;  // of slots_[current_]
};

}  // namespace zhiyin
