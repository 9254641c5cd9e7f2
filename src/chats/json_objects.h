// Taking a stream of JSON apart without holding more than one of its objects, and mending what
// exporters and cut downloads leave.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "chats/byte_reader.h"
#include "chats/json_fields.h"

namespace zhiyin::chats {

struct JsonPiece {
  std::string_view text;  // valid until the next call
  uint64_t offset = 0;    // of its first byte in the stream
  bool whole = true;      // false: the stream ends inside it, or it is longer than kLongestPiece
};

inline constexpr size_t kLongestPiece = size_t{64} << 20;

// Gives the values of a stream one by one:
//   [a, b, …]                       its elements
//   {"k": …, "LIST": [a, b, …], …}  the elements of LIST, where a list_key is given and met
//   {…}                             otherwise the object
//   {…}\n{…}\n…                     each by the rules above (JSON lines; lines may start with #)
class JsonObjects {
 public:
  // The reader must outlive this. one_value: what stands behind the first array or object, such as
  // the rest of a script, is not looked at.
  explicit JsonObjects(ByteReader& reader, std::string_view list_key = {}, bool one_value = false)
      : reader_(reader), list_key_(list_key), one_value_(one_value) {}

  bool next(JsonPiece& piece);

  // Whether all of the stream has been scanned.
  bool at_end_of_stream() const { return end_ && at_ >= buffer_.size(); }

  // The piece last given was not readable: goes on with the first thing behind its beginning that
  // looks like the start of another element, which may lie inside it. False, at the end, when so
  // much has been looked through again and again that the file is an attack on the reader's time.
  bool recover();

  // The fields that the object around the list has before it, as an object: "{…}".
  const std::string& outer() const { return outer_; }

  // Skips to behind the first `mark`; false, at the end, where there is none.
  bool skip_past(std::string_view mark);

 private:
  enum class Level { kTop, kList, kRest };  // kRest: behind the list, in the object around it
  enum class Outer { kList, kWhole, kCut };

  bool fill();  // more bytes; false at the end
  bool at_end() { return at_ >= buffer_.size() && !fill(); }
  void skip_blanks();
  bool scan_value();   // moves at_ behind the value there; false: not whole
  Outer scan_outer();  // the same for an object, but no further than to the start of its list
  bool is_start(size_t at) const;
  void give(JsonPiece& piece, bool whole) const;

  ByteReader& reader_;
  std::string list_key_;
  bool one_value_, done_ = false;
  std::string buffer_;
  size_t at_ = 0, begin_ = 0;  // begin_: of the piece being scanned; bytes before it may go
  uint64_t dropped_ = 0;       // bytes of the stream that the buffer has let go
  bool end_ = false;
  Level level_ = Level::kTop;
  bool in_outer_ = false;        // the list stands in an object
  uint64_t looked_through_ = 0;  // bytes, by recover()
  std::string outer_ = "{}";
};

// Parses text; if that fails, mends and parses again: ill-formed UTF-8, halves of surrogate pairs,
// raw control characters and unknown escapes in strings (Telegram's \x1b among them), NaN. A
// discarded value where it is past mending.
Json parse_tolerantly(std::string_view text);

// The mending by itself.
std::string mend_json(std::string_view text);

}  // namespace zhiyin::chats
