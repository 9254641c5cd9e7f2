#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/safetensors.h"

namespace zhiyin {

void SafetensorsWriter::declare(Tensor tensor) {
  check(stream_ == nullptr, ErrorCode::kFailed, path_, ": tensor ", tensor.name,
        " declared after start()");
  check(std::ranges::find(tensors_, tensor.name, &Tensor::name) == tensors_.end(),
        ErrorCode::kFailed, path_, ": tensor ", tensor.name, " declared twice");
  tensors_.push_back(std::move(tensor));
}

void SafetensorsWriter::add_bytes(std::string name, int64_t count) {
  declare({std::move(name), "U8", {count}, static_cast<uint64_t>(count)});
}

void SafetensorsWriter::add_tensor(std::string name, Format format, std::vector<int64_t> shape) {
  check(format == Format::kF32 || format == Format::kF16 || format == Format::kBF16,
        ErrorCode::kUnsupported, path_, ": tensor ", name, ": safetensors hold no ",
        format_info(format).name, "; use F32, F16 or BF16");
  uint64_t bytes = static_cast<uint64_t>(format_info(format).block_bytes);
  for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  declare({std::move(name), format_info(format).name, std::move(shape), bytes});
}

void SafetensorsWriter::start() {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header["__metadata__"] = metadata_;
  uint64_t offset = 0;
  std::vector<TensorStream::Slot> slots;
  for (const Tensor& tensor : tensors_) {
    header[tensor.name] = {{"dtype", tensor.type},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes}}};
    slots.push_back({tensor.name, tensor.bytes, 0});
    offset += tensor.bytes;
  }
  // Blanks after the JSON align the data, as the reference writer does.
  std::string json = header.dump();
  const uint64_t before = sizeof(uint64_t) + json.size();
  json.resize((before + alignment_ - 1) / alignment_ * alignment_ - sizeof(uint64_t), ' ');
  const uint64_t size = json.size();
  json.insert(0, reinterpret_cast<const char*>(&size), sizeof size);
  stream_ = std::make_unique<TensorStream>(path_, json, std::move(slots));
}

void SafetensorsWriter::write(std::string_view tensor, const void* data, uint64_t bytes) {
  check(stream_ != nullptr, ErrorCode::kFailed, path_, ": tensor ", tensor,
        " written before start()");
  stream_->write(tensor, data, bytes);
}

void SafetensorsWriter::finish(bool sync) {
  check(stream_ != nullptr, ErrorCode::kFailed, path_, ": finish() before start()");
  stream_->finish(sync);
}

}  // namespace zhiyin
