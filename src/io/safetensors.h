// safetensors: reader of single files and of sharded models with an index, writer. The format,
// byte by byte: docs/formats/safetensors.md.
//
// Mapped, never copied. Damaged files throw kFailed, naming the path and the tensor or the byte.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/tensor_entry.h"
#include "io/tensor_stream.h"

namespace zhiyin {

using SafetensorsMetadata = std::map<std::string, std::string, std::less<>>;

struct SafetensorsFile {
  SafetensorsMetadata metadata;
  std::vector<TensorEntry> tensors;  // in the order of their bytes
};
SafetensorsFile open_safetensors(const std::string& path);

// All shards of a model.safetensors.index.json. Throws kNotFound naming every missing shard, and
// kFailed for a tensor that the index places where it is not.
std::vector<TensorEntry> open_sharded_safetensors(const std::string& index_path);

// What the bytes of one file say; what fuzzing and mutation tests drive.
struct SafetensorsTensorInfo {
  std::string name;
  std::string type;  // "F32", "BF16", "I64"
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // from the start of the file
  uint64_t bytes = 0;
};
struct SafetensorsHeader {
  SafetensorsMetadata metadata;
  std::vector<SafetensorsTensorInfo> tensors;  // in the order of their bytes
};
// `path` is for messages only. Memory stays in proportion to the header.
SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> bytes, const std::string& path);

// True when the bytes begin with a header length that fits and an opening brace.
bool is_safetensors(std::span<const uint8_t> bytes);

// Declare, start(), write every tensor in the order of declaration, finish(). Until then the
// target file is untouched.
class SafetensorsWriter {
 public:
  explicit SafetensorsWriter(std::string path) : path_(std::move(path)) {}

  void set_metadata(const std::string& key, std::string value) {
    metadata_[key] = std::move(value);
  }
  // F32, F16 or BF16.
  void add_tensor(std::string name, Format format, std::vector<int64_t> shape);
  // A row of bytes, U8.
  void add_bytes(std::string name, int64_t count);
  // The data begins at a multiple of `alignment`, itself a multiple of 8, which is the default.
  void align_data(uint64_t alignment) { alignment_ = alignment; }
  void start();
  // The next bytes of the current tensor; a tensor may come whole or in rows.
  void write(std::string_view tensor, const void* data, uint64_t bytes);
  // Throws kFailed when a tensor is not complete. sync: waits for the disk; see AtomicFile.
  void finish(bool sync = true);

 private:
  struct Tensor {
    std::string name, type;
    std::vector<int64_t> shape;
    uint64_t bytes;
  };
  void declare(Tensor tensor);

  std::string path_;
  SafetensorsMetadata metadata_;
  uint64_t alignment_ = 8;
  std::vector<Tensor> tensors_;
  std::unique_ptr<TensorStream> stream_;
};

}  // namespace zhiyin
