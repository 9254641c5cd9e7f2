#include <algorithm>
#include <bit>
#include <cstring>

#include "io/gguf.h"

namespace zhiyin {
namespace {

constexpr size_t kMaxTensorName = 63;  // what ggml's reader accepts

void append_string(std::string& out, std::string_view text) {
  append_bytes(out, static_cast<uint64_t>(text.size()));
  out += text;
}

}  // namespace

void GgufWriter::set_encoded(std::string_view key, std::string encoded) {
  check(stream_ == nullptr, ErrorCode::kFailed, path_, ": key ", key, " set after start()");
  const auto found = std::ranges::find(fields_, key, &Field::key);
  if (found != fields_.end()) {
    found->encoded = std::move(encoded);
  } else {
    fields_.push_back({std::string(key), std::move(encoded)});
  }
}

void GgufWriter::set(std::string_view key, std::string_view value) {
  std::string encoded;
  append_bytes(encoded, GgufType::kString);
  append_string(encoded, value);
  set_encoded(key, std::move(encoded));
}

void GgufWriter::set_array(std::string_view key, std::span<const std::string_view> values) {
  std::string encoded;
  append_bytes(encoded, GgufType::kArray);
  append_bytes(encoded, GgufType::kString);
  append_bytes(encoded, static_cast<uint64_t>(values.size()));
  for (const std::string_view value : values) append_string(encoded, value);
  set_encoded(key, std::move(encoded));
}

void GgufWriter::set(const GgufField& field) {
  set_encoded(field.key, std::string(reinterpret_cast<const char*>(field.encoded.data()),
                                     field.encoded.size()));
}

void GgufWriter::remove(std::string_view key) {
  std::erase_if(fields_, [&](const Field& field) { return field.key == key; });
}

void GgufWriter::add_tensor(std::string name, Format format, std::vector<int64_t> shape) {
  check(stream_ == nullptr, ErrorCode::kFailed, path_, ": tensor ", name,
        " declared after start()");
  check(name.size() <= kMaxTensorName, ErrorCode::kUnsupported, path_, ": tensor name ", name,
        " has ", name.size(), " bytes, GGUF readers accept ", kMaxTensorName);
  check(std::ranges::find(tensors_, name, &Tensor::name) == tensors_.end(), ErrorCode::kFailed,
        path_, ": tensor ", name, " declared twice");
  uint64_t bytes = static_cast<uint64_t>(row_bytes(format, shape.empty() ? 1 : shape.back()));
  for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= static_cast<uint64_t>(shape[i]);
  tensors_.push_back({std::move(name), format, std::move(shape), bytes});
}

uint64_t GgufWriter::alignment() const {
  const auto found = std::ranges::find(fields_, "general.alignment", &Field::key);
  if (found == fields_.end()) return 32;
  uint32_t type = 0, value = 0;
  check(found->encoded.size() == sizeof type + sizeof value, ErrorCode::kFailed, path_,
        ": key general.alignment is not of type u32");
  std::memcpy(&value, found->encoded.data() + sizeof type, sizeof value);
  check(std::has_single_bit(value), ErrorCode::kFailed, path_, ": key general.alignment is ", value,
        ", not a power of two");
  return value;
}

void GgufWriter::start() {
  const uint64_t align = alignment();
  const auto padding = [align](uint64_t size) { return (align - size % align) % align; };

  std::string header = "GGUF";
  append_bytes(header, uint32_t{3});
  append_bytes(header, static_cast<uint64_t>(tensors_.size()));
  append_bytes(header, static_cast<uint64_t>(fields_.size()));
  for (const Field& field : fields_) {
    append_string(header, field.key);
    header += field.encoded;
  }
  uint64_t offset = 0;
  std::vector<TensorStream::Slot> slots;
  for (const Tensor& tensor : tensors_) {
    append_string(header, tensor.name);
    append_bytes(header, static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      append_bytes(header, *size);
    }
    append_bytes(header, format_info(tensor.format).ggml_type);
    append_bytes(header, offset);
    slots.push_back({tensor.name, tensor.bytes, padding(tensor.bytes)});
    offset += tensor.bytes + padding(tensor.bytes);
  }
  if (!tensors_.empty()) header.append(padding(header.size()), '\0');
  stream_ = std::make_unique<TensorStream>(path_, header, std::move(slots));
}

void GgufWriter::write(std::string_view tensor, const void* data, uint64_t bytes) {
  check(stream_ != nullptr, ErrorCode::kFailed, path_, ": tensor ", tensor,
        " written before start()");
  stream_->write(tensor, data, bytes);
}

void GgufWriter::finish() {
  check(stream_ != nullptr, ErrorCode::kFailed, path_, ": finish() before start()");
  stream_->finish();
}

}  // namespace zhiyin
