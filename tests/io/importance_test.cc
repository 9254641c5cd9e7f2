// Importance matrices in both of llama.cpp's layouts, and what damaged ones say.
#include "io/importance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/files.h"
#include "io/gguf.h"

namespace zhiyin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void write_gguf(const std::string& path, const char* type, std::vector<float> counts) {
  GgufWriter writer(path);
  writer.set("general.type", type);
  writer.add_tensor("blk.0.ffn_up.weight.in_sum2", Format::kF32, {2, 3});
  writer.add_tensor("blk.0.ffn_up.weight.counts", Format::kF32,
                    {static_cast<int64_t>(counts.size()), 1});
  writer.start();
  const std::vector<float> sums = {2, 4, 6, 8, 10, 12};
  writer.write("blk.0.ffn_up.weight.in_sum2", sums.data(), sums.size() * sizeof(float));
  writer.write("blk.0.ffn_up.weight.counts", counts.data(), counts.size() * sizeof(float));
  writer.finish();
}

// Two entries, as llama-imatrix wrote them before GGUF, with the trailer that it added.
std::string old_file() {
  std::string bytes;
  append_bytes(bytes, int32_t{2});
  for (const auto& [name, calls, values] :
       {std::tuple{std::string("blk.0.attn_q.weight"), int32_t{2}, std::vector<float>{2, 4}},
        std::tuple{std::string("output.weight"), int32_t{0}, std::vector<float>{5}}}) {
    append_bytes(bytes, static_cast<int32_t>(name.size()));
    bytes += name;
    append_bytes(bytes, calls);
    append_bytes(bytes, static_cast<int32_t>(values.size()));
    for (const float value : values) append_bytes(bytes, value);
  }
  append_bytes(bytes, int32_t{100});
  return bytes;
}

std::string error_of(const std::string& path) {
  return testing::error_of([&] { read_importance(path); }).what();
}

TEST(Importance, ReadsGgufByExpert) {
  const testing::TemporaryFolder folder;
  write_gguf(folder / "m.gguf", "imatrix", {2, 0});
  const Importance all = read_importance(folder / "m.gguf");
  ASSERT_EQ(all.size(), 1u);
  // The second expert was never reached.
  EXPECT_THAT(all.at("blk.0.ffn_up.weight"), ElementsAre(1, 2, 3, 1, 1, 1));

  write_gguf(folder / "model.gguf", "model", {1, 1});
  EXPECT_THAT(error_of(folder / "model.gguf"), HasSubstr("holds a model"));
  write_gguf(folder / "odd.gguf", "imatrix", {1, 1, 1, 1});
  EXPECT_THAT(error_of(folder / "odd.gguf"), HasSubstr("6 sums"));
}

TEST(Importance, ReadsTheOldLayout) {
  const testing::TemporaryFolder folder;
  write_file(folder / "m.dat", old_file());
  const Importance all = read_importance(folder / "m.dat");
  EXPECT_THAT(all.at("blk.0.attn_q.weight"), ElementsAre(1, 2));
  EXPECT_THAT(all.at("output.weight"), ElementsAre(5));
}

TEST(Importance, DamagedFilesNameTheByte) {
  const testing::TemporaryFolder folder;
  const std::string whole = old_file();
  for (const size_t size : {size_t{2}, size_t{10}, size_t{30}, size_t{37}}) {
    write_file(folder / "cut.dat", whole.substr(0, size));
    EXPECT_THAT(error_of(folder / "cut.dat"), HasSubstr("ends")) << size;
  }
  write_file(folder / "text.dat", "this is no importance matrix");
  EXPECT_THAT(error_of(folder / "text.dat"), HasSubstr("byte 0"));
  EXPECT_THAT(error_of(folder / "none.dat"), HasSubstr("none.dat"));
}

}  // namespace
}  // namespace zhiyin
