// GGUF against files written by the gguf Python package (tests/data/io, tools/golden/make_io.py).
#include "io/gguf.h"

#include <chrono>
#include <filesystem>

#include "io/files.h"

namespace zhiyin {
namespace {

using testing::Bytes;
using testing::data_path;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;

float ramp(int64_t i) { return static_cast<float>(i) / 8.0F - 3.0F; }

TEST(Gguf, ReadsEveryMetadataType) {
  const GgufFile file(data_path("io/types.gguf"));
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(file.version(), 3U);
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(m.find_u64("t.u8"), 200U);
  EXPECT_EQ(m.find_i64("t.i8"), -100);
  EXPECT_EQ(m.find_u64("t.u16"), 60000U);
  EXPECT_EQ(m.find_i64("t.i16"), -30000);
  EXPECT_EQ(m.find_u64("t.u32"), 4'000'000'000U);
  EXPECT_EQ(m.find_i64("t.i32"), -2'000'000'000);
  EXPECT_EQ(m.find_f64("t.f32"), 0.25);
  EXPECT_EQ(m.find_bool("t.bool"), true);
  EXPECT_EQ(m.find_string("t.string"), "知音 ♪");
  EXPECT_EQ(m.find_u64("t.u64"), (uint64_t{1} << 63) + 5);
  EXPECT_EQ(m.find_i64("t.i64"), -(int64_t{1} << 62));
  EXPECT_EQ(m.find_f64("t.f64"), 1e-300);
  EXPECT_EQ(m.find_integers("t.ints"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(m.find_floats("t.floats"), (std::vector<float>{0.5F, -1.5F}));
  EXPECT_EQ(m.find_strings("t.strings"), (std::vector<std::string_view>{"<s>", "", "你好", "a b"}));
  EXPECT_EQ(m.find_string("t.absent"), std::nullopt);
  EXPECT_EQ(GgufMetadata::text(*m.find("t.ints"), 2), "[1, -2, … 3 in all]");
  EXPECT_EQ(GgufMetadata::text(*m.find("t.bools")), "[true, false, true]");
}

TEST(Gguf, NamesKeyAndTypeWhenAnotherTypeIsExpected) {
  const GgufFile file(data_path("io/types.gguf"));
  const GgufMetadata& m = file.metadata();
  expect_error([&] { m.find_u64("t.string"); }, ErrorCode::kFailed,
               "key t.string holds string, expected an integer");
  expect_error([&] { m.find_strings("t.ints"); }, ErrorCode::kFailed,
               "key t.ints holds an array of i32, expected an array of strings");
  expect_error([&] { m.find_u64("t.i8"); }, ErrorCode::kFailed, "not negative");
  expect_error([&] { m.find_i64("t.u64"); }, ErrorCode::kFailed, "below 2^63");
}

TEST(Gguf, ReadsTensorsInPlace) {
  const GgufFile file(data_path("io/types.gguf"));
  ASSERT_EQ(file.tensors().size(), 4U);
  const TensorEntry* embedding = find_tensor(file.tensors(), "token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->shape, (std::vector<int64_t>{5, 32}));
  EXPECT_EQ(embedding->format, Format::kF32);
  const std::vector<float> values = to_floats(*embedding);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], ramp(static_cast<int64_t>(i)));
  EXPECT_EQ(find_tensor(file.tensors(), "cube")->shape, (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(to_floats(*find_tensor(file.tensors(), "half"))[20], ramp(20));
  EXPECT_EQ(find_tensor(file.tensors(), "packed")->bytes, 2U * 2 * 34);
}

TEST(Gguf, OpensASplitModelThroughAnyPart) {
  for (const char* part : {"1", "2", "3"}) {
    const GgufFile file(data_path(cat("io/split-0000", part, "-of-00003.gguf")));
    EXPECT_EQ(file.metadata().find_string("general.name"), "split");
    EXPECT_EQ(file.files().size(), 3U);
    ASSERT_EQ(file.tensors().size(), 5U);
    EXPECT_EQ(to_floats(*find_tensor(file.tensors(), "cube"))[23], ramp(23));

    const TensorEntry* ids = find_tensor(file.tensors(), "ids");
    EXPECT_EQ(ids->type, "I32");
    expect_error([&] { ids->required_format(); }, ErrorCode::kUnsupported,
                 "tensor ids has type I32");
  }
}

TEST(Gguf, WritesWhatTheReferenceWrites) {
  const TemporaryFolder folder;
  for (const std::string name : {"types.gguf", "aligned.gguf"}) {
    const std::string original = data_path("io/" + name), copy = folder / name;
    const GgufFile file(original);
    GgufWriter writer(copy);
    for (const GgufField& field : file.metadata().fields()) writer.set(field);
    for (const TensorEntry& t : file.tensors()) writer.add_tensor(t.name, *t.format, t.shape);
    writer.start();
    for (const TensorEntry& t : file.tensors()) writer.write(t.name, t.data, t.bytes);
    writer.finish();
    EXPECT_EQ(read_bytes(copy), read_bytes(original)) << name;
  }
}

TEST(Gguf, WritesEveryMetadataType) {
  const TemporaryFolder folder;
  const std::string path = folder / "written.gguf";
  GgufWriter writer(path);
  writer.set("text", "first");
  writer.set("u8", uint8_t{200});
  writer.set("i64", int64_t{-5});
  writer.set("f64", 1e-300);
  writer.set("bool", true);
  const int32_t integers[] = {1, -2};
  writer.set_array("integers", std::span<const int32_t>(integers));
  const std::string_view strings[] = {"", "知音"};
  writer.set_array("strings", std::span(strings));
  writer.set("text", "second");
  writer.set("gone", 1.0F);
  writer.remove("gone");
  writer.start();
  writer.finish();
  const GgufFile file(path);
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.fields().size(), 7U);
  EXPECT_EQ(m.fields()[0].key, "text");  // replaced in place
  EXPECT_EQ(m.find_string("text"), "second");
  EXPECT_EQ(m.find("u8")->type, GgufType::kU8);
  EXPECT_EQ(m.find_i64("i64"), -5);
  EXPECT_EQ(m.find_f64("f64"), 1e-300);
  EXPECT_EQ(m.find_bool("bool"), true);
  EXPECT_EQ(m.find_integers("integers"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(m.find_strings("strings"), (std::vector<std::string_view>{"", "知音"}));
}

TEST(Gguf, WriterRefusesTensorsOutOfOrderOrIncomplete) {
  const TemporaryFolder folder;
  const float values[4] = {};
  GgufWriter writer(folder / "x.gguf");
  writer.add_tensor("a", Format::kF32, {2, 2});
  writer.add_tensor("b", Format::kF32, {2});
  expect_error([&] { writer.add_tensor("a", Format::kF32, {1}); }, ErrorCode::kFailed, "twice");
  expect_error([&] { writer.add_tensor(std::string(64, 'n'), Format::kF32, {1}); },
               ErrorCode::kUnsupported, "64 bytes");
  expect_error([&] { writer.write("a", values, 8); }, ErrorCode::kFailed, "before start()");
  writer.start();
  writer.write("a", values, 8);
  expect_error([&] { writer.write("b", values, 8); }, ErrorCode::kFailed,
               "tensor b was written where a is due");
  expect_error([&] { writer.write("a", values, 12); }, ErrorCode::kFailed,
               "gets 20 bytes, 16 were declared");
  expect_error([&] { writer.finish(); }, ErrorCode::kFailed, "tensor a is incomplete");
  EXPECT_FALSE(file_exists(folder / "x.gguf"));
  writer.write("a", values, 8);
  writer.write("b", values, 8);
  writer.finish();
  EXPECT_EQ(GgufFile(folder / "x.gguf").tensors().size(), 2U);
}

TEST(Gguf, RefusesOtherVersionsAndByteOrders) {
  expect_error([] { GgufFile(data_path("io/big_endian.gguf")); }, ErrorCode::kUnsupported,
               "is a big-endian GGUF file");
  Bytes bytes = read_bytes(data_path("io/types.gguf"));
  bytes[4] = 1;
  expect_error([&] { parse_gguf_header(bytes, "x"); }, ErrorCode::kUnsupported,
               "x: is GGUF version 1, zhiyin reads 2 and 3");
  bytes[4] = 2;
  EXPECT_EQ(parse_gguf_header(bytes, "x").version, 2U);
  expect_error([] { parse_gguf_header({}, "x"); }, ErrorCode::kFailed, "is not a GGUF file");
}

TEST(Gguf, SaysHowManyBytesAreMissing) {
  const Bytes bytes = read_bytes(data_path("io/types.gguf"));
  expect_error([&] { parse_gguf_header(std::span(bytes).first(bytes.size() - 10), "x"); },
               ErrorCode::kFailed, "the file is truncated: 10 bytes are missing (tensor cube");
  // Cut anywhere in the header: an error that names a byte.
  for (size_t size = 4; size < 900; size += 7) {
    expect_error([&] { parse_gguf_header(std::span(bytes).first(size), "x"); }, ErrorCode::kFailed,
                 "x: ");
  }
}

TEST(Gguf, NamesThePartsThatAreMissing) {
  const TemporaryFolder folder;
  const std::string first = "split-00001-of-00003.gguf", second = "split-00002-of-00003.gguf";
  std::filesystem::copy(data_path("io/" + first), folder / first);
  expect_error([&] { GgufFile(folder / first); }, ErrorCode::kNotFound, "2 of 3 parts are missing");
  for (const char* wrong : {"split-00002-of-00003.gguf", "split-00003-of-00003.gguf"}) {
    std::filesystem::copy(data_path("io/" + second), folder / wrong);
  }
  expect_error([&] { GgufFile(folder / first); }, ErrorCode::kFailed, "is not part 3 of the model");
  std::filesystem::rename(folder / first, folder / "renamed.gguf");
  expect_error([&] { GgufFile(folder / "renamed.gguf"); }, ErrorCode::kFailed,
               "not named like model-00001-of-00003.gguf");
}

// A header of hand-made fields, to set what no writer would.
class RawGguf {
 public:
  explicit RawGguf(uint64_t tensors, uint64_t fields) {
    text_ = "GGUF";
    number<uint32_t>(3).number(tensors).number(fields);
  }
  template <typename T>
  RawGguf& number(T value) {
    append_bytes(text_, value);
    return *this;
  }
  RawGguf& string(std::string_view value) {
    number<uint64_t>(value.size());
    text_ += value;
    return *this;
  }
  RawGguf& tensor(std::string_view name, std::initializer_list<uint64_t> sizes, uint32_t type,
                  uint64_t offset) {
    string(name).number(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) number(size);
    return number(type).number(offset);
  }
  void expect_error_at(ErrorCode code, const std::string& message) const {
    const Bytes bytes(text_.begin(), text_.end());
    expect_error([&] { parse_gguf_header(bytes, "x"); }, code, message);
  }

 private:
  std::string text_;
};

TEST(Gguf, RefusesHostileHeaders) {
  constexpr auto kBad = ErrorCode::kFailed;
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  RawGguf(kHuge, 0).expect_error_at(kBad, "byte 8: 4611686018427387904 tensors cannot fit");
  RawGguf(0, kHuge).expect_error_at(kBad, "byte 16: 4611686018427387904 metadata entries");
  RawGguf(0, 1).number(kHuge).number(0).expect_error_at(kBad, "byte 32: metadata key needs");
  RawGguf(0, 1).string("k").number(13U).number(0).expect_error_at(kBad, "value type 13");
  RawGguf(0, 1).string("k").number(9U).number(8U).number(kHuge).expect_error_at(
      kBad, "key k counts 4611686018427387904 strings");
  RawGguf(0, 1).string("k").number(9U).number(10U).number(kHuge).expect_error_at(
      kBad, "key k counts 4611686018427387904 values of 8 bytes");
  RawGguf(0, 1).string("k").number(9U).number(9U).number(kHuge).expect_error_at(
      ErrorCode::kUnsupported, "array of arrays");
  RawGguf(0, 2)
      .string("k")
      .number(0U)
      .number('a')
      .string("k")
      .number(0U)
      .number('a')
      .expect_error_at(kBad, "key k occurs twice");
  RawGguf(0, 1)
      .string("general.alignment")
      .number(4U)
      .number(24U)
      .expect_error_at(kBad, "key general.alignment is 24, not a power of two");
  RawGguf(0, 1)
      .string("general.alignment")
      .number(4U)
      .number(0U)
      .expect_error_at(kBad, "key general.alignment is 0");
  RawGguf(1, 0)
      .tensor("t", {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0)
      .expect_error_at(kBad, "tensor t has 9 dimensions");
  RawGguf(1, 0).tensor("t", {kHuge, 4}, 0, 0).expect_error_at(kBad, "0 or too large");
  RawGguf(1, 0).tensor("t", {4, 0}, 0, 0).expect_error_at(kBad, "has dimension 0");
  RawGguf(1, 0).tensor("t", {kHuge}, 28, 0).expect_error_at(kBad, "larger than 2^63 bytes");
  RawGguf(1, 0).tensor("t", {33}, 2, 0).expect_error_at(kBad, "Q4_0 needs a multiple of 32");
  RawGguf(1, 0).tensor("t", {4}, 99, 0).expect_error_at(ErrorCode::kUnsupported, "ggml type 99");
  RawGguf(1, 0).tensor("t", {4}, 0, 8).expect_error_at(kBad, "not a multiple of the alignment 32");
  RawGguf(1, 0).tensor("t", {4}, 0, ~uint64_t{31}).expect_error_at(kBad, "beyond byte 2^64");
  RawGguf(1, 0).tensor("t", {4}, 0, kHuge).expect_error_at(kBad, "the file is truncated");
  RawGguf(2, 0)
      .tensor("t", {1}, 0, 0)
      .tensor("t", {1}, 0, 0)
      .expect_error_at(kBad, "tensor t occurs twice");
}

// 150,000 tokens and as many merges, as the large vocabularies of today.
TEST(Gguf, OpensALargeVocabularyQuickly) {
  const TemporaryFolder folder;
  std::vector<std::string> texts;
  for (int i = 0; i < 150'000; ++i) texts.push_back(cat("token", i));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  GgufWriter writer(folder / "vocab.gguf");
  writer.set_array("tokenizer.ggml.tokens", std::span<const std::string_view>(views));
  writer.set_array("tokenizer.ggml.merges", std::span<const std::string_view>(views));
  writer.start();
  writer.finish();
  const auto begin = std::chrono::steady_clock::now();
  const GgufFile file(folder / "vocab.gguf");
  const auto tokens = file.metadata().find_strings("tokenizer.ggml.tokens");
  const auto merges = file.metadata().find_strings("tokenizer.ggml.merges");
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(tokens->back(), "token149999");
  EXPECT_EQ(merges->size(), 150'000U);
  // Well under 30 on an idle machine and without sanitizers.
  EXPECT_LT(spent.count(), 300) << "milliseconds";
  RecordProperty("milliseconds", std::to_string(spent.count()));
}

}  // namespace
}  // namespace zhiyin
