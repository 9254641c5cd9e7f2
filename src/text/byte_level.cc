// GPT-2's alphabet of printable characters for bytes, and <0x41> pieces.
#include <array>

#include "text/word_model.h"

namespace zhiyin {
namespace {

// Printable bytes stand for themselves; the others, in order, for U+0100 and on.
constexpr size_t kAlphabetEnd = 0x144;

constexpr std::array<int16_t, kAlphabetEnd> make_alphabet() {
  std::array<int16_t, kAlphabetEnd> bytes{};
  bytes.fill(-1);
  size_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    bytes[printable ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}
constexpr std::array<int16_t, kAlphabetEnd> kAlphabet = make_alphabet();

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool append_byte_level(std::string& out, std::string_view text) {
  const size_t start = out.size();
  for (size_t at = 0; at < text.size(); ++at) {
    size_t c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80) {  // the alphabet has two-byte characters, no longer ones
      const bool two = c >= 0xC2 && c <= 0xC5 && at + 1 < text.size() &&
                       (static_cast<unsigned char>(text[at + 1]) & 0xC0) == 0x80;
      c = two ? (c & 0x1F) << 6 | (static_cast<unsigned char>(text[++at]) & 0x3F) : kAlphabetEnd;
    }
    if (c >= kAlphabetEnd || kAlphabet[c] < 0) {
      out.resize(start);
      return false;
    }
    out += static_cast<char>(kAlphabet[c]);
  }
  return true;
}

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const int high = hex_digit(piece[3]);
  const int low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::vector<int32_t> byte_piece_ids(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids(256, kNoToken);
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    const char piece[6] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    ids[byte] = vocabulary.find({piece, 6});
  }
  return ids;
}

}  // namespace zhiyin
