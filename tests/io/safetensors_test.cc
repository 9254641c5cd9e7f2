// safetensors against files written by the safetensors Python package (tests/data/io).
#include "io/safetensors.h"

#include <cstring>

#include "io/files.h"

namespace zhiyin {
namespace {

using testing::Bytes;
using testing::data_path;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;

// A file of the header text and `data` bytes after it.
Bytes with_header(const std::string& json, size_t data) {
  const uint64_t size = json.size();
  Bytes bytes(8 + json.size() + data);
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, json.data(), json.size());
  return bytes;
}

void expect_header_error(const std::string& json, size_t data, ErrorCode code,
                         const std::string& message) {
  expect_error([&] { parse_safetensors_header(with_header(json, data), "x"); }, code, message);
}

TEST(Safetensors, ReadsTensorsInPlace) {
  const SafetensorsFile file = open_safetensors(data_path("io/types.safetensors"));
  EXPECT_EQ(file.metadata.at("名"), "值");
  EXPECT_EQ(file.metadata.at("format"), "pt");
  ASSERT_EQ(file.tensors.size(), 5U);
  const TensorEntry* floats = find_tensor(file.tensors, "floats");
  EXPECT_EQ(floats->shape, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(to_floats(*floats)[14], 14.0F / 8 - 3);
  EXPECT_EQ(to_floats(*find_tensor(file.tensors, "half"))[3], 3.0F / 8 - 3);
  EXPECT_EQ(to_floats(*find_tensor(file.tensors, "scalar")), std::vector<float>{2.5F});
  EXPECT_EQ(find_tensor(file.tensors, "empty")->bytes, 0U);

  const TensorEntry* ids = find_tensor(file.tensors, "ids");
  EXPECT_EQ(ids->type, "I64");
  EXPECT_FALSE(ids->format.has_value());
  int64_t last = 0;
  std::memcpy(&last, ids->data + 40, sizeof last);
  EXPECT_EQ(last, 5);
}

TEST(Safetensors, WritesWhatItReads) {
  const TemporaryFolder folder;
  const SafetensorsFile original =
      open_safetensors(data_path("models/llama/model/model.safetensors"));
  SafetensorsWriter writer(folder / "copy.safetensors");
  for (const auto& [key, value] : original.metadata) writer.set_metadata(key, value);
  for (const TensorEntry& t : original.tensors) writer.add_tensor(t.name, *t.format, t.shape);
  writer.start();
  for (const TensorEntry& t : original.tensors) {
    writer.write(t.name, t.data, t.bytes / 2);  // in two pieces
    writer.write(t.name, t.data + t.bytes / 2, t.bytes - t.bytes / 2);
  }
  writer.finish();
  // transformers wrote the original: same order, same padding, so the same bytes.
  EXPECT_EQ(read_bytes(folder / "copy.safetensors"),
            read_bytes(data_path("models/llama/model/model.safetensors")));
}

TEST(Safetensors, WriterRefusesPackedFormats) {
  SafetensorsWriter writer("unused");
  expect_error([&] { writer.add_tensor("w", Format::kQ4_K, {1, 256}); }, ErrorCode::kUnsupported,
               "safetensors hold no Q4_K");
}

TEST(Safetensors, SaysHowManyBytesAreMissing) {
  const Bytes bytes = read_bytes(data_path("io/types.safetensors"));
  const std::span<const uint8_t> all(bytes);
  expect_error([&] { parse_safetensors_header(all.first(bytes.size() - 7), "x"); },
               ErrorCode::kFailed, "the file is truncated: 7 bytes are missing");
  expect_error([&] { parse_safetensors_header(all.first(100), "x"); }, ErrorCode::kFailed,
               "bytes of the header are missing");
  expect_error([&] { parse_safetensors_header(all.first(5), "x"); }, ErrorCode::kFailed,
               "it has 5 bytes");
}

TEST(Safetensors, RefusesHostileHeaders) {
  constexpr auto kBad = ErrorCode::kFailed;
  const auto tensor = [](const char* type, const char* shape, const char* offsets) {
    return cat(R"({"a": {"dtype": ")", type, R"(", "shape": )", shape, R"(, "data_offsets": )",
               offsets, "}}");
  };
  EXPECT_EQ(
      parse_safetensors_header(with_header(tensor("F32", "[2]", "[0, 8]"), 8), "x").tensors.size(),
      1U);
  expect_header_error(tensor("F32", "[2]", "[0, 4]"), 4, kBad, "needs 8 bytes, its data_offsets");
  expect_header_error(tensor("F32", "[2]", "[8, 0]"), 8, kBad, "data_offsets are [8, 0]");
  expect_header_error(tensor("F32", "[2]", "[0]"), 8, kBad, "not [begin, end]");
  expect_header_error(tensor("F32", "[2]", "[4, 12]"), 12, kBad, "begins at data byte 4");
  expect_header_error(tensor("F32", "[2]", "[0, 8]"), 9, kBad, "1 bytes follow after the last");
  expect_header_error(tensor("F31", "[2]", "[0, 8]"), 8, ErrorCode::kUnsupported, "dtype F31");
  expect_header_error(tensor("F32", "[-2]", "[0, 8]"), 8, kBad, "a.shape is -2");
  expect_header_error(tensor("F32", "[2.0]", "[0, 8]"), 8, kBad, "a.shape is 2.0");
  expect_header_error(tensor("F32", "[4611686018427387904, 4]", "[0, 8]"), 8, kBad,
                      "larger than 2^63 bytes");
  expect_header_error(tensor("F32", "[18446744073709551615]", "[0, 8]"), 8, kBad, "too large");
  expect_header_error(tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[0, 4]"), 4, kBad, "a.shape holds");
  expect_header_error(tensor("F32", "[[2]]", "[0, 8]"), 8, kBad, "array where none belongs");
  expect_header_error(tensor("F32", "{}", "[0, 8]"), 8, kBad, "object where none belongs");
  expect_header_error(tensor("F32", "null", "[0, 8]"), 8, kBad, "a.shape is null");
  expect_header_error(R"({"a": {"dtype": "F32", "shape": [1]}})", 4, kBad, "lacks dtype, shape or");
  expect_header_error(R"({"a\nb": {}})", 0, kBad, "is not printable text");
  expect_header_error(R"({"a": 1})", 0, kBad, "a holds the number 1");
  expect_header_error(R"({"__metadata__": {"k": 1}})", 0, kBad, "__metadata__.k holds the number");
  expect_header_error(R"({"__metadata__": {"shape": [1]}})", 0, kBad, "array where none belongs");
  expect_header_error("{\"a\"", 0, kBad, "the header is not valid JSON");
  expect_header_error("[]", 0, kBad, "is not a safetensors file");
  const std::string twice = R"("a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]})";
  expect_header_error(cat("{", twice, ",", twice, "}"), 1, kBad, "a occurs twice");
  // Two tensors over the same bytes.
  expect_header_error(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                          "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})",
                      6, kBad, "tensor b begins at data byte 2, the one before it ends at 4");
  Bytes bytes = with_header("{}", 0);
  bytes[7] = 1;
  expect_error([&] { parse_safetensors_header(bytes, "x"); }, kBad, "its header would have");
}

}  // namespace
}  // namespace zhiyin
