#include "io/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "io/safetensors.h"

namespace zhiyin {
namespace {

constexpr const char* kState = "zhiyin.state";
constexpr const char* kChecksum = "zhiyin.checksum";

// Detects damage, not malice: every word is mixed in by a multiplication that is a bijection, so no
// single changed word can go unseen.
class Checksum {
 public:
  void add(const void* data, size_t bytes) {
    const char* at = static_cast<const char*>(data);
    for (; bytes >= sizeof(uint64_t); at += sizeof(uint64_t), bytes -= sizeof(uint64_t)) {
      uint64_t word;
      std::memcpy(&word, at, sizeof word);
      mix(word);
    }
    uint64_t rest = bytes + 1;  // so that "a" and "a\0" differ
    for (size_t i = 0; i < bytes; ++i) rest = rest << 8 | static_cast<unsigned char>(at[i]);
    mix(rest);
  }
  void add(std::string_view text) { add(text.data(), text.size()); }

  std::string text() const { return std::to_string(value_); }

 private:
  void mix(uint64_t word) { value_ = std::rotl((value_ ^ word) * 0x9E3779B97F4A7C15U, 29); }
  uint64_t value_ = 0x243F6A8885A308D3U;
};

}  // namespace

void save_checkpoint(const std::string& path, std::string_view state,
                     std::span<const NamedFloats> arrays) {
  Checksum checksum;
  checksum.add(state);
  SafetensorsWriter writer(path);
  for (const NamedFloats& array : arrays) {
    checksum.add(array.name);
    checksum.add(array.values.data(), array.values.size_bytes());
    writer.add_tensor(array.name, Format::kF32, {static_cast<int64_t>(array.values.size())});
  }
  writer.set_metadata(kState, std::string(state));
  writer.set_metadata(kChecksum, checksum.text());
  writer.start();
  for (const NamedFloats& array : arrays) {
    writer.write(array.name, array.values.data(), array.values.size_bytes());
  }
  writer.finish();
}

Checkpoint load_checkpoint(const std::string& path) {
  const SafetensorsFile file = open_safetensors(path);
  const auto state = file.metadata.find(kState), expected = file.metadata.find(kChecksum);
  check(state != file.metadata.end() && expected != file.metadata.end(), ErrorCode::kFailed, path,
        ": is not a checkpoint of zhiyin");
  Checkpoint checkpoint;
  checkpoint.state = state->second;
  Checksum checksum;
  checksum.add(checkpoint.state);
  for (const TensorEntry& tensor : file.tensors) {
    checksum.add(tensor.name);
    checksum.add(tensor.data, tensor.bytes);
    checkpoint.arrays[tensor.name] = to_floats(tensor);
  }
  check(checksum.text() == expected->second, ErrorCode::kFailed, path,
        ": is damaged: its checksum is ", checksum.text(), ", it should be ", expected->second);
  return checkpoint;
}

}  // namespace zhiyin
