// A checkpoint of training: named float arrays and a small JSON text, in one file that is replaced
// as a whole and checked when read. The file is a safetensors file; the text and a checksum over
// everything stand in its metadata, so any safetensors reader can look into it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin {

struct Checkpoint {
  std::string state;  // JSON of the caller's making
  std::map<std::string, std::vector<float>, std::less<>> arrays;
};

struct NamedFloats {
  std::string name;
  std::span<const float> values;
};

// Survives a kill at any moment: `path` holds the old checkpoint or the new one, whole. Equal
// content gives equal bytes.
void save_checkpoint(const std::string& path, std::string_view state,
                     std::span<const NamedFloats> arrays);

// Throws kNotFound without the file, kFailed for a damaged one or one that is no checkpoint.
Checkpoint load_checkpoint(const std::string& path);

}  // namespace zhiyin
