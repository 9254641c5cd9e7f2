#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <unordered_set>

#include "base/utf8.h"
#include "io/json_fields.h"
#include "io/safetensors.h"

namespace zhiyin {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference implementation
constexpr size_t kMaxDimensions = 8;
constexpr size_t kMaxName = 1024;

struct ElementType {
  const char* name;
  uint64_t bytes;
};
constexpr ElementType kElementTypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
    {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

// Reads {"__metadata__": {k: "v"}, "name": {"dtype": "F32", "shape": [..], "data_offsets": [b, e]}}
// event by event: damage is found where it is, duplicate names too, and nothing but the tensors is
// ever held in memory.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(SafetensorsHeader& header, const std::string& path)
      : header_(header), path_(path) {}

  bool start_object(size_t) override {
    check(depth_ < 2 && !in_array_, ErrorCode::kFailed, path_, ": header: ", where(),
          " holds an object where none belongs");
    ++depth_;
    if (depth_ == 2 && name_ != "__metadata__") tensor_ = {};
    seen_fields_ = 0;
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && name_ != "__metadata__") finish_tensor();
    --depth_;
    return true;
  }
  bool key(std::string& text) override {
    // Messages hold names, so they must be short, printable text.
    check(text.size() <= kMaxName && printable(text, kMaxName) == text, ErrorCode::kFailed, path_,
          ": header: the name \"", printable(text), "\" is not printable text of up to ", kMaxName,
          " bytes");
    if (depth_ == 1) {
      name_ = std::move(text);
      check(names_.insert(name_).second, ErrorCode::kFailed, path_, ": header: ", name_,
            " occurs twice");
    } else {
      field_ = std::move(text);
    }
    return true;
  }
  bool start_array(size_t) override {
    check(depth_ == 2 && !in_array_ && name_ != "__metadata__" &&
              (field_ == "shape" || field_ == "data_offsets"),
          ErrorCode::kFailed, path_, ": header: ", where(), " holds an array where none belongs");
    in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    if (field_ == "shape") {
      seen_fields_ |= kShape;
      tensor_.shape.clear();
      for (const uint64_t size : numbers_) {
        check(size <= std::numeric_limits<int64_t>::max(), ErrorCode::kFailed, path_, ": tensor ",
              name_, " has dimension ", size, ", which is too large");
        tensor_.shape.push_back(static_cast<int64_t>(size));
      }
    } else {
      seen_fields_ |= kOffsets;
      check(numbers_.size() == 2 && numbers_[0] <= numbers_[1], ErrorCode::kFailed, path_,
            ": tensor ", name_, ": data_offsets are [", join(numbers_), "], not [begin, end]");
      tensor_.offset = numbers_[0];
      tensor_.bytes = numbers_[1] - numbers_[0];
    }
    return true;
  }
  bool string(std::string& text) override {
    check(depth_ == 2 && !in_array_, ErrorCode::kFailed, path_, ": header: ", where(),
          " holds a string where none belongs");
    if (name_ == "__metadata__") {
      header_.metadata[field_] = std::move(text);
    } else {
      check(field_ == "dtype", ErrorCode::kFailed, path_, ": header: ", where(),
            " holds a string where none belongs");
      tensor_.type = std::move(text);
      seen_fields_ |= kType;
    }
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    check(in_array_ && numbers_.size() < kMaxDimensions, ErrorCode::kFailed, path_,
          ": header: ", where(), " holds the number ", value, " where none belongs");
    numbers_.push_back(value);
    return true;
  }
  bool number_integer(int64_t value) override { return wrong(cat(value)); }
  bool number_float(double, const std::string& text) override { return wrong(text); }
  bool null() override { return wrong("null"); }
  bool boolean(bool value) override { return wrong(cat(value)); }
  bool binary(binary_t&) override { return wrong("binary data"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(ErrorCode::kFailed, path_, ": byte ", 8 + position, ": the header is not valid JSON");
  }

 private:
  static constexpr int kType = 1, kShape = 2, kOffsets = 4;

  std::string where() const { return depth_ == 2 ? cat(name_, ".", field_) : name_; }
  bool wrong(const std::string& value) const {
    fail(ErrorCode::kFailed, path_, ": header: ", where(), " is ", value);
  }

  void finish_tensor() {
    check(seen_fields_ == (kType | kShape | kOffsets), ErrorCode::kFailed, path_, ": tensor ",
          name_, " lacks dtype, shape or data_offsets");
    const auto* type = std::ranges::find(kElementTypes, tensor_.type, &ElementType::name);
    check(type != std::end(kElementTypes), ErrorCode::kUnsupported, path_, ": tensor ", name_,
          " has dtype ", printable(tensor_.type), ", which zhiyin does not know");
    uint64_t bytes = type->bytes;
    for (const int64_t size : tensor_.shape) {
      check(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes) &&
                bytes <= std::numeric_limits<int64_t>::max(),
            ErrorCode::kFailed, path_, ": tensor ", name_, " with shape [", join(tensor_.shape),
            "] would be larger than 2^63 bytes");
    }
    check(bytes == tensor_.bytes, ErrorCode::kFailed, path_, ": tensor ", name_, " with shape [",
          join(tensor_.shape), "] of ", tensor_.type, " needs ", bytes,
          " bytes, its data_offsets span ", tensor_.bytes);
    tensor_.name = name_;
    header_.tensors.push_back(std::move(tensor_));
  }

  SafetensorsHeader& header_;
  const std::string& path_;
  std::unordered_set<std::string> names_;
  std::string name_, field_;
  std::vector<uint64_t> numbers_;
  SafetensorsTensorInfo tensor_;
  int depth_ = 0, seen_fields_ = 0;
  bool in_array_ = false;
};

uint64_t header_size(std::span<const uint8_t> bytes) {
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  return size;
}

std::optional<Format> float_format(const std::string& type) {
  if (type == "F32") return Format::kF32;
  if (type == "F16") return Format::kF16;
  if (type == "BF16") return Format::kBF16;
  return std::nullopt;
}

}  // namespace

bool is_safetensors(std::span<const uint8_t> bytes) {
  return bytes.size() > 8 && header_size(bytes) <= kMaxHeader && bytes[8] == '{';
}

SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> bytes,
                                           const std::string& path) {
  check(bytes.size() >= 8, ErrorCode::kFailed, path, ": is not a safetensors file: it has ",
        bytes.size(), " bytes, the header length alone takes 8");
  const uint64_t size = header_size(bytes);
  check(size <= kMaxHeader, ErrorCode::kFailed, path,
        ": is not a safetensors file: its header would have ", size, " bytes, at most ", kMaxHeader,
        " are allowed");
  check(size <= bytes.size() - 8, ErrorCode::kFailed, path,
        ": the file is truncated: ", size - (bytes.size() - 8),
        " bytes of the header are missing; fetch it again");

  SafetensorsHeader header;
  HeaderHandler handler(header, path);
  const char* json = reinterpret_cast<const char*>(bytes.data()) + 8;
  check(size > 0 && json[0] == '{', ErrorCode::kFailed, path,
        ": is not a safetensors file: byte 8 is not an opening brace");
  nlohmann::json::sax_parse(json, json + size, &handler);

  std::ranges::sort(header.tensors, {}, [](const SafetensorsTensorInfo& tensor) {
    return std::tie(tensor.offset, tensor.bytes, tensor.name);
  });
  // The tensors follow each other without gap or overlap, to the end of the file.
  const uint64_t data_start = 8 + size, data_bytes = bytes.size() - data_start;
  uint64_t end = 0;
  for (SafetensorsTensorInfo& tensor : header.tensors) {
    check(tensor.offset == end, ErrorCode::kFailed, path, ": tensor ", tensor.name,
          " begins at data byte ", tensor.offset, ", the one before it ends at ", end);
    end += tensor.bytes;  // data_offsets held begin + bytes: no overflow
    tensor.offset += data_start;
  }
  check(end <= data_bytes, ErrorCode::kFailed, path,
        ": the file is truncated: ", end - std::min(end, data_bytes),
        " bytes are missing (the tensors take ", end, ", the file has ", data_bytes,
        "); fetch it again");
  check(end == data_bytes, ErrorCode::kFailed, path, ": ", data_bytes - end,
        " bytes follow after the last tensor");
  return header;
}

SafetensorsFile open_safetensors(const std::string& path) {
  const MmapFile file(path);
  SafetensorsHeader header = parse_safetensors_header({file.data(), file.size()}, path);
  SafetensorsFile result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.tensors.size());
  for (SafetensorsTensorInfo& info : header.tensors) {
    const std::optional<Format> format = float_format(info.type);
    result.tensors.push_back({std::move(info.name), std::move(info.type), format,
                              std::move(info.shape), file.data() + info.offset, info.bytes, file});
  }
  return result;
}

std::vector<TensorEntry> open_sharded_safetensors(const std::string& index_path) {
  const nlohmann::json index = read_json_file(index_path);
  check(index.contains("weight_map") && index["weight_map"].is_object(), ErrorCode::kFailed,
        index_path, ": has no object \"weight_map\"");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    check(shard.is_string(), ErrorCode::kFailed, index_path, ": weight_map.", printable(tensor),
          " is not a file name");
    shards.insert(shard.get<std::string>());
  }

  const std::filesystem::path folder = std::filesystem::path(index_path).parent_path();
  std::vector<std::string> missing;
  for (const std::string& shard : shards) {
    check(!shard.empty() && std::filesystem::path(shard).filename() == shard, ErrorCode::kFailed,
          index_path, ": shard ", printable(shard), " does not lie beside the index");
    if (!file_exists((folder / shard).string())) missing.push_back(shard);
  }
  check(missing.empty(), ErrorCode::kNotFound, index_path, ": ", missing.size(), " of ",
        shards.size(), " shards are missing: ", join(missing));

  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> found_in;
  for (const std::string& shard : shards) {
    for (TensorEntry& tensor : open_safetensors((folder / shard).string()).tensors) {
      const auto [other, is_new] = found_in.emplace(tensor.name, shard);
      check(is_new, ErrorCode::kFailed, index_path, ": tensor ", tensor.name, " is in ", shard,
            " and in ", other->second);
      tensors.push_back(std::move(tensor));
    }
  }
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    const auto found = found_in.find(tensor);
    check(found != found_in.end() && found->second == shard.get_ref<const std::string&>(),
          ErrorCode::kFailed, index_path, ": tensor ", printable(tensor), " is not in ",
          shard.get_ref<const std::string&>());
  }
  return tensors;
}

}  // namespace zhiyin
