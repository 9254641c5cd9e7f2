#include "chats/charset.h"

#include <unicode/ucnv.h>
#include <unicode/ustring.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace zhiyin::chats {
namespace {

// ICU counts in int32_t; a file is converted in one piece.
constexpr size_t kMaxConvertedBytes = size_t{1} << 30;

std::string convert(std::string_view bytes, const char* charset) {
  check(bytes.size() <= kMaxConvertedBytes, ErrorCode::kUnsupported, "a ", charset, " text of ",
        bytes.size(), " bytes is too large to convert; save it as UTF-8 first");
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, decltype(&ucnv_close)> converter(ucnv_open(charset, &status),
                                                                     &ucnv_close);
  check(U_SUCCESS(status), ErrorCode::kUnsupported, charset, ": ", u_errorName(status));
  const auto size = static_cast<int32_t>(bytes.size());
  // No character set here gives more UTF-16 units than bytes.
  std::vector<UChar> units(bytes.size() + 1);
  const int32_t length =
      ucnv_toUChars(converter.get(), units.data(), static_cast<int32_t>(units.size()), bytes.data(),
                    size, &status);
  check(U_SUCCESS(status), ErrorCode::kFailed, charset, ": ", u_errorName(status));
  std::string text(static_cast<size_t>(length) * 3, '\0');
  int32_t written = 0;
  u_strToUTF8WithSub(text.data(), static_cast<int32_t>(text.size()), &written, units.data(), length,
                     static_cast<UChar32>(kReplacementCharacter), nullptr, &status);
  check(U_SUCCESS(status), ErrorCode::kFailed, charset, ": ", u_errorName(status));
  text.resize(static_cast<size_t>(written));
  return text;
}

// Text of another character set hardly ever forms well-formed sequences of several bytes, and a
// damaged UTF-8 file is still full of them.
bool looks_like_utf8(std::string_view bytes) {
  size_t sequences = 0, broken = 0;
  for (size_t at = 0; at < bytes.size();) {
    const DecodedCodePoint next = decode_utf8(bytes, at);
    if (!next.ok) ++broken;
    if (next.length > 1) ++sequences;
    at += static_cast<size_t>(next.length);
  }
  return broken == 0 || sequences > 4 * broken;
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return sanitize_utf8(bytes.substr(3));
  if (bytes.starts_with("\xFF\xFE")) return convert(bytes.substr(2), "UTF-16LE");
  if (bytes.starts_with("\xFE\xFF")) return convert(bytes.substr(2), "UTF-16BE");
  if (looks_like_utf8(bytes)) return sanitize_utf8(bytes);
  return convert(bytes, "GB18030");
}

}  // namespace zhiyin::chats
