#include "io/checkpoint.h"

#include <bit>
#include <cstring>

#include "base/utf8.h"
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

// In the order of the names, which a file does not depend on.
template <typename Arrays>
std::string checksum_of(std::string_view state, const Arrays& arrays) {
  Checksum checksum;
  checksum.add(state);
  for (const auto& [name, values] : arrays) {
    checksum.add(name);
    checksum.add(values.data(), values.size() * sizeof(float));
  }
  return checksum.text();
}

}  // namespace

void save_checkpoint(const std::string& path, std::string_view state,
                     std::span<const NamedFloats> arrays) {
  SafetensorsWriter writer(path);
  std::map<std::string_view, std::span<const float>> by_name;
  for (const NamedFloats& array : arrays) {
    by_name[array.name] = array.values;
    writer.add_tensor(array.name, Format::kF32, {static_cast<int64_t>(array.values.size())});
  }
  writer.set_metadata(kState, std::string(state));
  writer.set_metadata(kChecksum, checksum_of(state, by_name));
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
  for (const TensorEntry& tensor : file.tensors) {
    checkpoint.arrays[tensor.name] = to_floats(tensor);
  }
  const std::string found = checksum_of(checkpoint.state, checkpoint.arrays);
  check(found == expected->second, ErrorCode::kFailed, path, ": is damaged: its checksum is ",
        found, ", it should be ", printable(expected->second));
  return checkpoint;
}

}  // namespace zhiyin
