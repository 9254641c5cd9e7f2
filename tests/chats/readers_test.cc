// Archives, and JSON taken apart while it streams by.
#include <gmock/gmock.h>
#include <zlib.h>

#include <algorithm>
#include <random>

#include "base/cat.h"
#include "base/error.h"
#include "base/file.h"
#include "chats/input_file.h"
#include "chats/json_objects.h"
#include "harness/paths.h"

namespace zhiyin::chats {
namespace {

using ::testing::HasSubstr;

std::string little(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

struct Made {
  std::string name, bytes;
  uint32_t flags = 0, method = 0;
  uint32_t crc_error = 0;  // added to the true checksum
};

// An archive of stored entries; with zip64, offsets and sizes stand in their extra fields.
std::string make_zip(const std::vector<Made>& entries, bool zip64 = false) {
  std::string out, directory;
  for (const Made& e : entries) {
    const auto crc = static_cast<uint32_t>(crc32_z(
                         0, reinterpret_cast<const Bytef*>(e.bytes.data()), e.bytes.size())) +
                     e.crc_error;
    const std::string size = little(zip64 ? 0xFFFFFFFF : e.bytes.size(), 4);
    const std::string extra = zip64 ? cat(little(1, 2), little(24, 2), little(e.bytes.size(), 8),
                                          little(e.bytes.size(), 8), little(out.size(), 8))
                                    : "";
    const std::string common = cat(little(e.flags, 2), little(e.method, 2), little(0, 4),
                                   little(crc, 4), size, size, little(e.name.size(), 2));
    directory += cat("PK\x01\x02", little(45, 2), little(45, 2), common, little(extra.size(), 2),
                     little(0, 2), little(0, 2), little(0, 2), little(0, 4),
                     little(zip64 ? 0xFFFFFFFF : out.size(), 4), e.name, extra);
    out += cat("PK\x03\x04", little(45, 2), common, little(0, 2), e.name, e.bytes);
  }
  const size_t begin = out.size();
  out += directory;
  if (zip64) {
    const size_t end = out.size();
    out += cat("PK\x06\x06", little(44, 8), little(45, 2), little(45, 2), little(0, 4),
               little(0, 4), little(entries.size(), 8), little(entries.size(), 8),
               little(directory.size(), 8), little(begin, 8));
    out += cat("PK\x06\x07", little(0, 4), little(end, 8), little(1, 4));
  }
  return out + cat("PK\x05\x06", little(0, 4), little(entries.size(), 2), little(entries.size(), 2),
                   little(zip64 ? 0xFFFFFFFF : directory.size(), 4),
                   little(zip64 ? 0xFFFFFFFF : begin, 4), little(0, 2));
}

TEST(ZipArchive, ReadsEntriesAndTheirSiblings) {
  const testing::TemporaryFolder folder;
  for (const bool zip64 : {false, true}) {
    write_file(folder / "a.zip",
               make_zip({{"x/one.json", "[1]"}, {"x/", ""}, {"two.json", "zwei"}}, zip64));
    const std::vector<InputFile> files = files_of(folder / "a.zip");
    ASSERT_EQ(files.size(), 2u);
    EXPECT_EQ(files[0].path(), folder / "a.zip/two.json");
    EXPECT_EQ(files[0].read_all(), "zwei");
    EXPECT_EQ(files[1].head(2), "[1");
    EXPECT_EQ(files[1].folder(), folder / "a.zip/x");
    EXPECT_EQ(files[1].sibling("../two.json")->read_all(), "zwei");
    EXPECT_FALSE(files[1].sibling("two.json").has_value());
  }
}

TEST(ZipArchive, DamageIsOneClearLine) {
  const testing::TemporaryFolder folder;
  const std::string good = make_zip({{"one.json", "[1, 2, 3]"}});
  const struct {
    std::string bytes, says;
  } cases[] = {
      {good.substr(0, good.size() - 30), "cut off"},
      {cat(good.substr(0, 40), good.substr(42)), "damaged"},  // the directory is not where it says
      {make_zip({{"../one.json", ""}}), "leads out"},
      {make_zip({{"/etc/one.json", ""}}), "leads out"},
      {make_zip({{"a\\one.json", ""}}), "leads out"},
      {make_zip({{"one.json", "x", 1}}), "encrypted"},
      {make_zip({{"one.json", "x", 0, 93}}), "method 93"},
      {make_zip({{"one.json", "x", 0, 0, 1}}), "checksum"},
      {make_zip({{"one.json", "xyz", 0, 8}}), "cannot be unpacked"},
  };
  for (const auto& c : cases) {
    write_file(folder / "a.zip", c.bytes);
    try {
      for (const InputFile& file : files_of(folder / "a.zip")) file.read_all();
      ADD_FAILURE() << "no error where " << c.says << " was expected";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(c.says));
      EXPECT_THAT(error.what(), HasSubstr(folder / "a.zip"));
    }
  }
}

// Gives its text in pieces of a few bytes, so that every border is crossed.
class Trickle : public ByteReader {
 public:
  Trickle(std::string text, size_t step) : text_(std::move(text)), step_(step) {}
  size_t read(char* out, size_t size) override {
    const size_t take = std::min({size, step_, text_.size() - at_});
    text_.copy(out, take, at_);
    at_ += take;
    return take;
  }

 private:
  std::string text_;
  size_t step_, at_ = 0;
};

std::vector<std::string> pieces(const std::string& text, size_t step, std::string_view list = {},
                                std::string* outer = nullptr) {
  Trickle reader(text, step);
  JsonObjects objects(reader, list);
  std::vector<std::string> found;
  for (JsonPiece piece; objects.next(piece);) {
    if (outer != nullptr && found.empty()) *outer = objects.outer();
    found.push_back(std::string(piece.text) + (piece.whole ? "" : "…"));
  }
  return found;
}

TEST(JsonObjects, TakesEveryLayoutApart) {
  using ::testing::ElementsAre;
  for (const size_t step : {size_t{1}, size_t{3}, size_t{1000}}) {
    EXPECT_THAT(pieces(R"( [ {"a":"]}\""} , [2,[3]],null,"x,y" ])", step),
                ElementsAre(R"({"a":"]}\""})", "[2,[3]]", "null", R"("x,y")"));
    EXPECT_THAT(pieces("\xEF\xBB\xBF{\"a\":1}\n# {note}\n{\"b\":2}\r\n", step),
                ElementsAre(R"({"a":1})", R"({"b":2})"));
    std::string outer;
    EXPECT_THAT(pieces(R"({"m":{"x":[1]},"list":[{"a":1},{"b":2}],"n":3})", step, "list", &outer),
                ElementsAre(R"({"a":1})", R"({"b":2})"));
    EXPECT_EQ(outer, R"({"m":{"x":[1]}})");
    EXPECT_THAT(pieces(R"({"m": 1, "list": 2})", step, "list"),
                ElementsAre(R"({"m": 1, "list": 2})"));
    EXPECT_THAT(pieces(R"({"a":"list","list":[1]})", step, "list"), ElementsAre("1"));
    EXPECT_THAT(pieces("{\"a\":\"b\n{\"list\":[2]}", step, "list"),
                ElementsAre("{\"a\":\"b\n{\"list\":[2]}…"));
    EXPECT_THAT(pieces(R"([{"a":1},{"b")", step), ElementsAre(R"({"a":1})", R"({"b"…)"));
    EXPECT_THAT(pieces("", step), ElementsAre());
  }
}

TEST(JsonObjects, GoesOnBehindDamage) {
  // The second element has lost a quote, which turns all that follows inside out.
  const std::string text = R"([{"a":"1"}, {"b":"2}, {"c":"3","d":[{"x":1},{"y":2}]}, {"e":"5"}])";
  for (const size_t step : {size_t{1}, size_t{1000}}) {
    Trickle reader(text, step);
    JsonObjects objects(reader);
    std::vector<std::string> good;
    for (JsonPiece piece; objects.next(piece);) {
      const Json value = piece.whole ? parse_tolerantly(piece.text) : Json();
      if (value.is_object()) {
        good.push_back(value.dump());
      } else {
        EXPECT_TRUE(objects.recover());
      }
    }
    EXPECT_THAT(good, ::testing::ElementsAre(R"({"a":"1"})", R"({"c":"3","d":[{"x":1},{"y":2}]})",
                                             R"({"e":"5"})"));
  }
}

TEST(MendJson, LeavesGoodJsonAndMendsTheRest) {
  const struct {
    std::string broken, mended;
  } cases[] = {
      {R"({"a":"\u4f60 \ud83d\ude00 \n\\","b":[1.5,-2]})",
       R"({"a":"\u4f60 \ud83d\ude00 \n\\","b":[1.5,-2]})"},
      {R"("\ud83d")", R"("\ufffd")"},
      {R"("\ude00\ud83dx")", R"("\ufffd\ufffdx")"},
      {R"("\ud83d\u0041")", R"("\ufffd\u0041")"},
      {R"("\x1b\q\u12")", R"("\u001b\\q\\u12")"},
      {"\"a\tb\nc\"", R"("a\u0009b\u000ac")"},
      {"\"\xFF\"", "\"\xEF\xBF\xBD\""},
      {R"([NaN, -Infinity, "NaN"])", R"([null, null, "NaN"])"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(mend_json(c.broken), c.mended);
    EXPECT_FALSE(parse_tolerantly(c.broken).is_discarded()) << c.broken;
  }
  EXPECT_TRUE(parse_tolerantly("{\"a\": ").is_discarded());
}

}  // namespace
}  // namespace zhiyin::chats
