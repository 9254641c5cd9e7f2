// GGUF, ggml's model container: reader of versions 2 and 3 (little-endian, also split over
// several files), writer of version 3. The format, byte by byte: docs/formats/gguf.md.
//
// A file is mapped, never copied; strings and arrays are views into the mapping. Damaged files
// throw kFailed, naming the path and the key, the tensor or the byte; versions and types that are
// sound but unknown throw kUnsupported.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mmap_file.h"
#include "io/tensor_entry.h"
#include "io/tensor_stream.h"

namespace zhiyin {

enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// One metadata entry, a view into the mapped file.
struct GgufField {
  std::string_view key;
  GgufType type;
  GgufType element;                  // of an array; equals type otherwise
  uint64_t count;                    // elements of an array; 1 otherwise
  std::span<const uint8_t> value;    // the elements; strings each with their u64 length
  std::span<const uint8_t> encoded;  // with the type in front, as it lies in the file
};

// The metadata of a file with typed access. find_* return nullopt when the key is absent and throw
// kFailed when it holds something else.
class GgufMetadata {
 public:
  GgufMetadata(std::string path, std::vector<GgufField> fields);

  const std::string& path() const { return path_; }
  const std::vector<GgufField>& fields() const { return fields_; }
  const GgufField* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  std::optional<uint64_t> find_u64(std::string_view key) const;  // any integer type, not negative
  std::optional<int64_t> find_i64(std::string_view key) const;   // any integer type
  std::optional<double> find_f64(std::string_view key) const;    // any number
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  std::optional<std::vector<std::string_view>> find_strings(std::string_view key) const;
  std::optional<std::vector<int64_t>> find_integers(std::string_view key) const;
  std::optional<std::vector<float>> find_floats(std::string_view key) const;

  // A value as one line of text for people, arrays shortened to `elements`.
  static std::string text(const GgufField& field, size_t elements = 6);

 private:
  const GgufField* find_array(std::string_view key, const char* expected) const;
  [[noreturn]] void wrong_type(const GgufField& field, const char* expected) const;

  std::string path_;
  std::vector<GgufField> fields_;
  std::unordered_map<std::string_view, size_t> index_;
};

// A GGUF opened from one file or from all parts of a split one. Cheap to copy.
class GgufFile {
 public:
  // `path` may be any part of a split file; the others lie beside it.
  explicit GgufFile(const std::string& path);

  // Metadata of the (first) file.
  const GgufMetadata& metadata() const { return *metadata_; }
  uint32_t version() const { return version_; }
  // In file order, with GGUF names.
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  const std::vector<MmapFile>& files() const { return files_; }
  // general.architecture, or "" when absent.
  std::string architecture() const;

 private:
  void append(MmapFile file);

  uint32_t version_ = 0;
  std::shared_ptr<const GgufMetadata> metadata_;
  std::vector<TensorEntry> tensors_;
  std::vector<MmapFile> files_;
};

// What the bytes of one file say; the part of GgufFile that fuzzing and mutation tests drive.
struct GgufTensorInfo {
  std::string_view name;
  std::string_view type;
  std::optional<Format> format;
  std::vector<int64_t> shape;  // row-major, reversed from the file
  uint64_t offset = 0;         // from the start of the file
  uint64_t bytes = 0;
};
struct GgufHeader {
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::vector<GgufField> fields;
  std::vector<GgufTensorInfo> tensors;
};
// `path` is for messages only. Memory stays in proportion to bytes.size().
GgufHeader parse_gguf_header(std::span<const uint8_t> bytes, const std::string& path);

// True when the file begins with the magic "GGUF".
bool is_gguf(std::span<const uint8_t> bytes);

// Writes version 3. Declare metadata and tensors, start(), write every tensor in the order of
// declaration, finish(). Until then the target file is untouched.
class GgufWriter {
 public:
  static constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block layouts

  explicit GgufWriter(std::string path) : path_(std::move(path)) {}

  // Setting a key again replaces its value in place. The C++ type decides the GGUF type.
  template <typename T>
    requires std::is_arithmetic_v<T>
  void set(std::string_view key, T value);
  template <typename T>
    requires std::is_arithmetic_v<T>
  void set_array(std::string_view key, std::span<const T> values);
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set_array(std::string_view key, std::span<const std::string_view> values);
  // Takes the entry over from another file, byte for byte.
  void set(const GgufField& field);
  void remove(std::string_view key);

  void add_tensor(std::string name, Format format, std::vector<int64_t> shape);

  // Writes the header. Nothing can be declared after it. "general.alignment" must have been set,
  // if at all, as a u32 power of two.
  void start();
  // The next bytes of the current tensor; a tensor may come whole or in rows.
  void write(std::string_view tensor, const void* data, uint64_t bytes);
  // Throws kFailed when a tensor is not complete.
  void finish();

 private:
  struct Field {
    std::string key, encoded;
  };
  struct Tensor {
    std::string name;
    Format format;
    std::vector<int64_t> shape;
    uint64_t bytes;
  };
  void set_encoded(std::string_view key, std::string encoded);
  uint64_t alignment() const;

  std::string path_;
  std::vector<Field> fields_;
  std::vector<Tensor> tensors_;
  std::unique_ptr<TensorStream> stream_;
};

// ------------------------------------------------------------------------------------------------

template <typename T>
constexpr GgufType gguf_type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? GgufType::kF32 : GgufType::kF64;
  }
  constexpr bool is_signed = std::is_signed_v<T>;
  if constexpr (sizeof(T) == 1) return is_signed ? GgufType::kI8 : GgufType::kU8;
  if constexpr (sizeof(T) == 2) return is_signed ? GgufType::kI16 : GgufType::kU16;
  if constexpr (sizeof(T) == 4) return is_signed ? GgufType::kI32 : GgufType::kU32;
  return is_signed ? GgufType::kI64 : GgufType::kU64;
}

// The host is little-endian (checked in gguf.cc), so values are appended as they lie in memory.
template <typename T>
void append_bytes(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
  requires std::is_arithmetic_v<T>
void GgufWriter::set(std::string_view key, T value) {
  std::string encoded;
  append_bytes(encoded, gguf_type_of<T>());
  append_bytes(encoded, value);
  set_encoded(key, std::move(encoded));
}

template <typename T>
  requires std::is_arithmetic_v<T>
void GgufWriter::set_array(std::string_view key, std::span<const T> values) {
  std::string encoded;
  append_bytes(encoded, GgufType::kArray);
  append_bytes(encoded, gguf_type_of<T>());
  append_bytes(encoded, static_cast<uint64_t>(values.size()));
  encoded.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  set_encoded(key, std::move(encoded));
}

}  // namespace zhiyin
