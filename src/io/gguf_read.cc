#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <unordered_set>

#include "base/utf8.h"
#include "io/gguf.h"

namespace zhiyin {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint32_t kMaxDimensions = 8;
constexpr size_t kMaxName = 1024;

// Types of ggml that hold no weights zhiyin computes with, for their names and sizes.
struct ForeignType {
  uint32_t id;
  const char* name;
  int64_t block, block_bytes;
};
constexpr ForeignType kForeignTypes[] = {
    {9, "Q8_1", 32, 40},     {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82},   {24, "I8", 1, 1},
    {25, "I16", 1, 2},       {26, "I32", 1, 4},        {27, "I64", 1, 8},
    {28, "F64", 1, 8},       {29, "IQ1_M", 256, 56},   {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},  {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

// Bytes of one element, 0 for strings and arrays.
uint64_t element_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return 0;
}

// Reads forward through the bytes; every read checks what is left.
class Cursor {
 public:
  Cursor(std::span<const uint8_t> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  uint64_t offset() const { return offset_; }
  uint64_t left() const { return bytes_.size() - offset_; }

  std::span<const uint8_t> take(uint64_t size, std::string_view what) {
    if (size > left()) {
      fail(ErrorCode::kFailed, path_, ": byte ", offset_, ": ", what, " needs ", size,
           " bytes, the file has ", left(), " more; it is truncated or damaged");
    }
    const auto taken = bytes_.subspan(offset_, size);
    offset_ += size;
    return taken;
  }

  template <typename T>
  T value(std::string_view what) {
    T result;
    std::memcpy(&result, take(sizeof result, what).data(), sizeof result);
    return result;
  }

  std::string_view string(std::string_view what) {
    const auto size = value<uint64_t>(what);
    const auto text = take(size, what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  // A key or tensor name: messages hold it, so it must be short, printable text.
  std::string_view name(std::string_view what) {
    const uint64_t at = offset_;
    const std::string_view text = string(what);
    check(text.size() <= kMaxName && printable(text, kMaxName) == text, ErrorCode::kFailed, path_,
          ": byte ", at, ": ", what, " \"", printable(text), "\" is not printable text of up to ",
          kMaxName, " bytes");
    return text;
  }

  std::span<const uint8_t> since(uint64_t begin) const {
    return bytes_.subspan(begin, offset_ - begin);
  }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& path_;
  uint64_t offset_ = 0;
};

GgufType read_type(Cursor& cursor, const std::string& path, std::string_view key) {
  const uint64_t at = cursor.offset();
  const auto type = cursor.value<uint32_t>(key);
  check(type <= static_cast<uint32_t>(GgufType::kF64), ErrorCode::kFailed, path, ": byte ", at,
        ": key ", key, " has value type ", type, ", the last known is 12");
  return static_cast<GgufType>(type);
}

GgufField read_field(Cursor& cursor, const std::string& path) {
  GgufField field{};
  field.key = cursor.name("metadata key");
  const uint64_t begin = cursor.offset();
  field.type = field.element = read_type(cursor, path, field.key);
  field.count = 1;
  if (field.type == GgufType::kArray) {
    field.element = read_type(cursor, path, field.key);
    field.count = cursor.value<uint64_t>(field.key);
    check(field.element != GgufType::kArray, ErrorCode::kUnsupported, path, ": key ", field.key,
          " holds an array of arrays");
  }
  const uint64_t values = cursor.offset();
  if (field.element == GgufType::kString) {
    // Not even the lengths of more strings would fit.
    check(field.count <= cursor.left() / 8, ErrorCode::kFailed, path, ": byte ", values, ": key ",
          field.key, " counts ", field.count, " strings, the file has ", cursor.left(),
          " more bytes");
    for (uint64_t i = 0; i < field.count; ++i) cursor.string(field.key);
  } else {
    const uint64_t size = element_bytes(field.element);
    check(field.count <= cursor.left() / size, ErrorCode::kFailed, path, ": byte ", values,
          ": key ", field.key, " counts ", field.count, " values of ", size,
          " bytes, the file has ", cursor.left(), " more bytes");
    cursor.take(field.count * size, field.key);
  }
  field.value = cursor.since(values);
  field.encoded = cursor.since(begin);
  return field;
}

GgufTensorInfo read_tensor_info(Cursor& cursor, const std::string& path) {
  GgufTensorInfo info;
  const uint64_t begin = cursor.offset();
  info.name = cursor.name("tensor name");
  const auto dimensions = cursor.value<uint32_t>(info.name);
  check(dimensions <= kMaxDimensions, ErrorCode::kFailed, path, ": byte ", begin, ": tensor ",
        info.name, " has ", dimensions, " dimensions, at most ", kMaxDimensions, " are possible");
  int64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.value<uint64_t>(info.name);
    check(size > 0 && size <= INT64_MAX &&
              !__builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements),
          ErrorCode::kFailed, path, ": byte ", cursor.offset() - 8, ": tensor ", info.name,
          " has dimension ", size, ", which is 0 or too large");
    info.shape.insert(info.shape.begin(), static_cast<int64_t>(size));
  }

  const auto type = cursor.value<uint32_t>(info.name);
  int64_t block = 0, block_bytes = 0;
  if (const FormatInfo* format = find_format(type)) {
    info.format = format->format;
    info.type = format->name;
    block = format->block;
    block_bytes = format->block_bytes;
  } else {
    const auto* foreign = std::ranges::find(kForeignTypes, type, &ForeignType::id);
    check(foreign != std::end(kForeignTypes), ErrorCode::kUnsupported, path, ": tensor ", info.name,
          " has ggml type ", type, ", which zhiyin does not know");
    info.type = foreign->name;
    block = foreign->block;
    block_bytes = foreign->block_bytes;
  }
  const int64_t columns = info.shape.empty() ? 1 : info.shape.back();
  check(columns % block == 0, ErrorCode::kFailed, path, ": tensor ", info.name, " has rows of ",
        columns, " elements, ", info.type, " needs a multiple of ", block);
  int64_t bytes = 0;
  check(!__builtin_mul_overflow(elements / block, block_bytes, &bytes), ErrorCode::kFailed, path,
        ": tensor ", info.name, " would be larger than 2^63 bytes");
  info.bytes = static_cast<uint64_t>(bytes);
  info.offset = cursor.value<uint64_t>(info.name);
  return info;
}

const GgufField* find_field(const std::vector<GgufField>& fields, std::string_view key) {
  const auto found = std::ranges::find(fields, key, &GgufField::key);
  return found != fields.end() ? &*found : nullptr;
}

uint64_t read_alignment(const std::vector<GgufField>& fields, const std::string& path) {
  const GgufField* field = find_field(fields, "general.alignment");
  if (field == nullptr) return 32;
  check(field->type == GgufType::kU32, ErrorCode::kFailed, path,
        ": key general.alignment is not of type u32");
  uint32_t alignment = 0;
  std::memcpy(&alignment, field->value.data(), sizeof alignment);
  check(std::has_single_bit(alignment) && alignment <= kMaxAlignment, ErrorCode::kFailed, path,
        ": key general.alignment is ", alignment, ", not a power of two up to ", kMaxAlignment);
  return alignment;
}

// Turns offsets relative to the data into offsets from the start of the file and checks that every
// tensor lies inside it.
void place_tensors(GgufHeader& header, uint64_t header_end, uint64_t file_size,
                   const std::string& path) {
  const uint64_t data_start =
      (header_end + header.alignment - 1) / header.alignment * header.alignment;
  const GgufTensorInfo* last = nullptr;
  uint64_t end = 0;
  for (GgufTensorInfo& tensor : header.tensors) {
    check(tensor.offset % header.alignment == 0, ErrorCode::kFailed, path, ": tensor ", tensor.name,
          " lies at offset ", tensor.offset, ", not a multiple of the alignment ",
          header.alignment);
    uint64_t tensor_end = 0;
    check(!__builtin_add_overflow(tensor.offset, data_start, &tensor.offset) &&
              !__builtin_add_overflow(tensor.offset, tensor.bytes, &tensor_end),
          ErrorCode::kFailed, path, ": tensor ", tensor.name, " lies beyond byte 2^64");
    if (tensor_end > end) {
      end = tensor_end;
      last = &tensor;
    }
  }
  if (end > file_size) {
    fail(ErrorCode::kFailed, path, ": the file is truncated: ", end - file_size,
         " bytes are missing (tensor ", last->name, " ends at byte ", end, ", the file has ",
         file_size, "); fetch it again");
  }
}

}  // namespace

bool is_gguf(std::span<const uint8_t> bytes) {
  return bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
}

GgufHeader parse_gguf_header(std::span<const uint8_t> bytes, const std::string& path) {
  check(is_gguf(bytes), ErrorCode::kFailed, path, ": is not a GGUF file (no magic \"GGUF\")");
  Cursor cursor(bytes, path);
  cursor.take(4, "magic");
  GgufHeader header;
  header.version = cursor.value<uint32_t>("version");
  check((header.version & 0xFFFF) != 0, ErrorCode::kUnsupported, path,
        ": is a big-endian GGUF file; convert it to little-endian first");
  check(header.version == 2 || header.version == 3, ErrorCode::kUnsupported, path,
        ": is GGUF version ", header.version, ", zhiyin reads 2 and 3; convert the model again");

  const auto tensor_count = cursor.value<uint64_t>("number of tensors");
  const auto field_count = cursor.value<uint64_t>("number of metadata entries");
  // A count that cannot fit is refused before anything is read or allocated: a field takes at
  // least 13 bytes (empty key, type, one byte), a tensor info 24 (empty name, no dimension).
  check(tensor_count <= bytes.size() / 24, ErrorCode::kFailed, path, ": byte 8: ", tensor_count,
        " tensors cannot fit into ", bytes.size(), " bytes");
  check(field_count <= bytes.size() / 13, ErrorCode::kFailed, path, ": byte 16: ", field_count,
        " metadata entries cannot fit into ", bytes.size(), " bytes");

  std::unordered_set<std::string_view> seen;
  for (uint64_t i = 0; i < field_count; ++i) {
    header.fields.push_back(read_field(cursor, path));
    check(seen.insert(header.fields.back().key).second, ErrorCode::kFailed, path, ": key ",
          header.fields.back().key, " occurs twice");
  }
  header.alignment = read_alignment(header.fields, path);
  seen.clear();
  for (uint64_t i = 0; i < tensor_count; ++i) {
    header.tensors.push_back(read_tensor_info(cursor, path));
    check(seen.insert(header.tensors.back().name).second, ErrorCode::kFailed, path, ": tensor ",
          header.tensors.back().name, " occurs twice");
  }
  place_tensors(header, cursor.offset(), bytes.size(), path);
  return header;
}

// ------------------------------------------------------------------------------------ metadata

GgufMetadata::GgufMetadata(std::string path, std::vector<GgufField> fields)
    : path_(std::move(path)), fields_(std::move(fields)) {
  for (size_t i = 0; i < fields_.size(); ++i) index_.emplace(fields_[i].key, i);
}

const GgufField* GgufMetadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found != index_.end() ? &fields_[found->second] : nullptr;
}

namespace {

constexpr const char* kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};

template <typename T>
T load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Calls visit(value) with element `i` in its own type. Not for strings.
template <typename Visitor>
auto visit_number(const GgufField& field, uint64_t i, Visitor visit) {
  const uint8_t* at = field.value.data() + i * element_bytes(field.element);
  switch (field.element) {
    case GgufType::kU8:
      return visit(load<uint8_t>(at));
    case GgufType::kI8:
      return visit(load<int8_t>(at));
    case GgufType::kU16:
      return visit(load<uint16_t>(at));
    case GgufType::kI16:
      return visit(load<int16_t>(at));
    case GgufType::kU32:
      return visit(load<uint32_t>(at));
    case GgufType::kI32:
      return visit(load<int32_t>(at));
    case GgufType::kF32:
      return visit(load<float>(at));
    case GgufType::kBool:
      return visit(load<uint8_t>(at) != 0);
    case GgufType::kU64:
      return visit(load<uint64_t>(at));
    case GgufType::kI64:
      return visit(load<int64_t>(at));
    default:
      return visit(load<double>(at));
  }
}

bool is_integer(GgufType type) {
  switch (type) {
    case GgufType::kF32:
    case GgufType::kF64:
    case GgufType::kBool:
    case GgufType::kString:
    case GgufType::kArray:
      return false;
    default:
      return true;
  }
}

bool is_number(GgufType type) {
  return is_integer(type) || type == GgufType::kF32 || type == GgufType::kF64;
}

// Element `i` of an integer field; nullopt for a u64 beyond int64_t.
std::optional<int64_t> integer_at(const GgufField& field, uint64_t i) {
  return visit_number(field, i, [](auto value) -> std::optional<int64_t> {
    if constexpr (std::is_same_v<decltype(value), uint64_t>) {
      if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    }
    return static_cast<int64_t>(value);
  });
}

// The string at `at`, which moves behind it. The lengths were checked when the file was opened.
std::string_view next_string(const uint8_t*& at) {
  const auto size = load<uint64_t>(at);
  const std::string_view text(reinterpret_cast<const char*>(at) + 8, size);
  at += 8 + size;
  return text;
}

}  // namespace

void GgufMetadata::wrong_type(const GgufField& field, const char* expected) const {
  const bool array = field.type == GgufType::kArray;
  fail(ErrorCode::kFailed, path_, ": key ", field.key, " holds ", array ? "an array of " : "",
       kTypeNames[static_cast<size_t>(field.element)], ", expected ", expected);
}

std::optional<int64_t> GgufMetadata::find_i64(std::string_view key) const {
  const GgufField* field = find(key);
  if (field == nullptr) return std::nullopt;
  if (!is_integer(field->type)) wrong_type(*field, "an integer");
  const std::optional<int64_t> value = integer_at(*field, 0);
  if (!value) wrong_type(*field, "an integer below 2^63");
  return value;
}

std::optional<uint64_t> GgufMetadata::find_u64(std::string_view key) const {
  const GgufField* field = find(key);
  if (field == nullptr) return std::nullopt;
  if (field->type == GgufType::kU64) return load<uint64_t>(field->value.data());
  const int64_t value = *find_i64(key);
  if (value < 0) wrong_type(*field, "an integer that is not negative");
  return static_cast<uint64_t>(value);
}

std::optional<double> GgufMetadata::find_f64(std::string_view key) const {
  const GgufField* field = find(key);
  if (field == nullptr) return std::nullopt;
  if (!is_number(field->type)) wrong_type(*field, "a number");
  return visit_number(*field, 0, [](auto value) { return static_cast<double>(value); });
}

std::optional<bool> GgufMetadata::find_bool(std::string_view key) const {
  const GgufField* field = find(key);
  if (field == nullptr) return std::nullopt;
  if (field->type != GgufType::kBool) wrong_type(*field, "a bool");
  return field->value[0] != 0;
}

std::optional<std::string_view> GgufMetadata::find_string(std::string_view key) const {
  const GgufField* field = find(key);
  if (field == nullptr) return std::nullopt;
  if (field->type != GgufType::kString) wrong_type(*field, "a string");
  const uint8_t* at = field->value.data();
  return next_string(at);
}

const GgufField* GgufMetadata::find_array(std::string_view key, const char* expected) const {
  const GgufField* field = find(key);
  if (field != nullptr && field->type != GgufType::kArray) wrong_type(*field, expected);
  return field;
}

std::optional<std::vector<std::string_view>> GgufMetadata::find_strings(
    std::string_view key) const {
  const GgufField* field = find_array(key, "an array of strings");
  if (field == nullptr) return std::nullopt;
  if (field->element != GgufType::kString) wrong_type(*field, "an array of strings");
  std::vector<std::string_view> strings(field->count);
  const uint8_t* at = field->value.data();
  for (std::string_view& text : strings) text = next_string(at);
  return strings;
}

std::optional<std::vector<int64_t>> GgufMetadata::find_integers(std::string_view key) const {
  const GgufField* field = find_array(key, "an array of integers");
  if (field == nullptr) return std::nullopt;
  if (!is_integer(field->element)) wrong_type(*field, "an array of integers");
  std::vector<int64_t> integers(field->count);
  for (uint64_t i = 0; i < field->count; ++i) {
    const std::optional<int64_t> value = integer_at(*field, i);
    if (!value) wrong_type(*field, "integers below 2^63");
    integers[i] = *value;
  }
  return integers;
}

std::optional<std::vector<float>> GgufMetadata::find_floats(std::string_view key) const {
  const GgufField* field = find_array(key, "an array of numbers");
  if (field == nullptr) return std::nullopt;
  if (!is_number(field->element)) wrong_type(*field, "an array of numbers");
  std::vector<float> floats(field->count);
  for (uint64_t i = 0; i < field->count; ++i) {
    floats[i] = visit_number(*field, i, [](auto value) { return static_cast<float>(value); });
  }
  return floats;
}

std::string GgufMetadata::text(const GgufField& field, size_t elements) {
  std::string out;
  const uint8_t* at = field.value.data();
  for (uint64_t i = 0; i < std::min<uint64_t>(field.count, elements); ++i) {
    if (i > 0) out += ", ";
    if (field.element == GgufType::kString) {
      out += next_string(at);
    } else {
      visit_number(field, i, [&](auto value) { append_text(out, value); });
    }
  }
  if (field.type != GgufType::kArray) return out;
  return cat("[", out, field.count > elements ? cat(", … ", field.count, " in all]") : "]");
}

// ---------------------------------------------------------------------------------------- file

namespace {

// "stem-00001-of-00003.gguf": the parts of a split file beside each other.
struct SplitName {
  std::string stem;
  uint64_t count = 0;

  std::string part(uint64_t number) const {
    const auto digits = [](uint64_t value) {
      const std::string text = std::to_string(value);
      return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
    };
    return cat(stem, "-", digits(number), "-of-", digits(count), ".gguf");
  }
};

std::optional<SplitName> split_name(const std::string& path) {
  constexpr size_t kSuffix = sizeof "-00001-of-00003.gguf" - 1;
  if (path.size() <= kSuffix) return std::nullopt;
  const std::string suffix = path.substr(path.size() - kSuffix);
  const auto digits = [&](size_t at) {
    return suffix.find_first_not_of("0123456789", at) == at + 5;
  };
  if (suffix[0] != '-' || !digits(1) || suffix.substr(6, 4) != "-of-" || !digits(10) ||
      suffix.substr(15) != ".gguf") {
    return std::nullopt;
  }
  return SplitName{path.substr(0, path.size() - kSuffix), std::stoull(suffix.substr(10, 5))};
}

}  // namespace

GgufFile::GgufFile(const std::string& path) {
  append(MmapFile(path));
  const uint64_t parts = metadata_->find_u64("split.count").value_or(1);
  if (parts <= 1) return;

  const std::optional<SplitName> name = split_name(path);
  check(name && name->count == parts, ErrorCode::kFailed, path, ": is one of ", parts,
        " parts but is not named like model-00001-of-00003.gguf, so the others cannot be found");
  std::vector<std::string> missing;
  for (uint64_t i = 1; i <= parts; ++i) {
    if (!file_exists(name->part(i))) missing.push_back(name->part(i));
  }
  check(missing.empty(), ErrorCode::kNotFound, path, ": ", missing.size(), " of ", parts,
        " parts are missing: ", join(missing));

  tensors_.clear();
  files_.clear();
  metadata_.reset();
  for (uint64_t i = 1; i <= parts; ++i) {
    append(MmapFile(name->part(i)));
  }
  if (const auto total = metadata_->find_u64("split.tensors.count")) {
    check(*total == tensors_.size(), ErrorCode::kFailed, path, ": key split.tensors.count is ",
          *total, ", the ", parts, " parts hold ", tensors_.size(), " tensors");
  }
}

void GgufFile::append(MmapFile file) {
  GgufHeader header = parse_gguf_header({file.data(), file.size()}, file.path());
  GgufMetadata metadata(file.path(), std::move(header.fields));
  if (metadata_ != nullptr) {
    const auto number = metadata.find_u64("split.no");
    check(number == files_.size() &&
              metadata.find_u64("split.count") == metadata_->find_u64("split.count"),
          ErrorCode::kFailed, file.path(), ": is not part ", files_.size() + 1, " of the model ",
          files_[0].path(), " (keys split.no and split.count)");
  }
  std::unordered_set<std::string_view> names;
  for (const TensorEntry& tensor : tensors_) names.insert(tensor.name);
  for (GgufTensorInfo& info : header.tensors) {
    check(!names.contains(info.name), ErrorCode::kFailed, file.path(), ": tensor ", info.name,
          " is already in another part");
  }
  for (GgufTensorInfo& info : header.tensors) {
    tensors_.push_back({std::string(info.name), std::string(info.type), info.format,
                        std::move(info.shape), file.data() + info.offset, info.bytes, file});
  }
  if (metadata_ == nullptr) {
    version_ = header.version;
    metadata_ = std::make_shared<const GgufMetadata>(std::move(metadata));
  }
  files_.push_back(std::move(file));
}

std::string GgufFile::architecture() const {
  return std::string(metadata_->find_string("general.architecture").value_or(""));
}

}  // namespace zhiyin
