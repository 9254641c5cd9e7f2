// GGUF against files written by the gguf Python package (tests/data/io, tools/golden/make_io.py).
#include "io/gguf.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <limits>

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

}  // namespace
}  // namespace zhiyin
