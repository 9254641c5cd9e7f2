// Character sets of old exports: anything to valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace zhiyin::chats {

// Decodes UTF-8 (a byte order mark is taken off), UTF-16 with a mark, and GB18030 (so GBK and
// GB2312 too) to UTF-8. The choice between UTF-8 and GB18030 is by content: a few broken bytes do
// not turn a UTF-8 file into a GB18030 one. Bytes that stay broken become U+FFFD.
std::string to_utf8(std::string_view bytes);

}  // namespace zhiyin::chats
