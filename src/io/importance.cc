#include "io/importance.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/mmap_file.h"
#include "base/utf8.h"
#include "io/gguf.h"

namespace zhiyin {
namespace {

constexpr int32_t kMostEntries = 1 << 20, kLongestName = 4096, kMostValues = 1 << 28;

Importance read_gguf(const std::string& path) {
  const GgufFile file(path);
  const auto type = file.metadata().find_string("general.type").value_or("model");
  check(type == "imatrix", ErrorCode::kUnsupported, path, ": holds a ", printable(type),
        ", not an importance matrix");
  constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
  Importance all;
  for (const TensorEntry& sums : file.tensors()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const TensorEntry* counted = find_tensor(file.tensors(), cat(name, kCounts));
    check(counted != nullptr, ErrorCode::kFailed, path, ": has ", sums.name, " but no ", name,
          kCounts);
    std::vector<float> values = to_floats(sums);
    const std::vector<float> counts = to_floats(*counted);
    check(!counts.empty() && values.size() % counts.size() == 0, ErrorCode::kFailed, path, ": ",
          values.size(), " sums of ", name, " for ", counts.size(), " counts");
    const size_t columns = values.size() / counts.size();
    for (size_t i = 0; i < values.size(); ++i) {
      const float count = counts[i / columns];
      // An expert that no token reached: all of its inputs weigh the same.
      values[i] = count > 0 ? values[i] / count : 1.0f;
    }
    all.emplace(name, std::move(values));
  }
  return all;
}

// i32 entries; of each: i32 bytes and name, i32 calls, i32 values and f32 values, summed over
// calls.
class OldFile {
 public:
  OldFile(const std::string& path, const MmapFile& file)
      : path_(path), bytes_(file.data()), size_(file.size()) {}

  Importance read() {
    Importance all;
    const int32_t entries = integer("the number of entries", 1, kMostEntries);
    for (int32_t i = 0; i < entries; ++i) {
      const std::string where = cat("entry ", i + 1, " of ", entries);
      const int32_t length = integer(where + ": the length of its name", 1, kLongestName);
      std::string name(static_cast<size_t>(length), '\0');
      take(name.data(), name.size(), where);
      const int32_t calls = integer(where + ": its calls", 0, INT32_MAX);
      const int32_t count = integer(where + ": its number of values", 1, kMostValues);
      check(static_cast<size_t>(count) <= (size_ - at_) / sizeof(float), ErrorCode::kFailed, path_,
            ": ends within ", where, " (", printable(name), ")");
      std::vector<float> values(static_cast<size_t>(count));
      take(values.data(), values.size() * sizeof(float), where);
      if (calls > 0) {
        for (float& value : values) value /= static_cast<float>(calls);
      }
      all.emplace(std::move(name), std::move(values));
    }
    return all;
  }

 private:
  void take(void* target, size_t bytes, const std::string& what) {
    check(bytes <= size_ - at_, ErrorCode::kFailed, path_, ": ends at byte ", size_, " within ",
          what);
    std::memcpy(target, bytes_ + at_, bytes);
    at_ += bytes;
  }
  int32_t integer(const std::string& what, int32_t low, int32_t high) {
    int32_t value = 0;
    const size_t at = at_;
    take(&value, sizeof value, what);
    check(value >= low && value <= high, ErrorCode::kFailed, path_, ": byte ", at, ": ", what,
          " is ", value, "; this is no importance matrix of llama.cpp");
    return value;
  }

  const std::string& path_;
  const uint8_t* bytes_;
  size_t size_, at_ = 0;
};

}  // namespace

Importance read_importance(const std::string& path) {
  const MmapFile file(path);
  Importance all =
      is_gguf({file.data(), file.size()}) ? read_gguf(path) : OldFile(path, file).read();
  check(!all.empty(), ErrorCode::kFailed, path, ": holds no importance of any tensor");
  for (const auto& [name, values] : all) {
    for (const float value : values) {
      check(std::isfinite(value) && value >= 0, ErrorCode::kFailed, path, ": the importance of ",
            name, " holds ", value, ", not a mean of squares");
    }
  }
  return all;
}

}  // namespace zhiyin
