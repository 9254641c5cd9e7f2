// A stream of bytes to be read once, front to back: a file, or an entry of an archive.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace zhiyin::chats {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills up to size bytes; 0 at the end. Throws kFailed where the source is damaged.
  virtual size_t read(char* out, size_t size) = 0;
};

// Throws kNotFound where the file cannot be opened.
std::unique_ptr<ByteReader> open_file_reader(const std::string& path);

// What is left in the stream, up to max_bytes.
std::string read_rest(ByteReader& reader, size_t max_bytes);

}  // namespace zhiyin::chats
