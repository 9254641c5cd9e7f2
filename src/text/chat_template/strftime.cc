#include "text/chat_template/strftime.h"

#include <clocale>

#include "text/chat_template/budget.h"
#include "text/chat_template/value.h"

namespace zhiyin::jinja {

std::string format_time(std::string_view format, const std::tm& time) {
  if (format.find('\0') != std::string_view::npos) {
    raise("ValueError", "embedded null character");
  }
  // Python fills in microseconds and the time zone itself; both are empty or zero here. A blank in
  // front tells an empty result from a buffer too small.
  std::string prepared = " ";
  for (size_t i = 0; i < format.size(); ++i) {
    prepared += format[i];
    if (format[i] != '%' || i + 1 == format.size()) continue;
    const char code = format[++i];
    if (code == 'f' || code == 'z' || code == 'Z') {
      prepared.pop_back();
      if (code == 'f') prepared += "000000";
    } else {
      prepared += code;
    }
  }
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  // Every code but those with a width, which only a hostile template makes large, is short.
  std::string out(prepared.size() * 64 + 256, '\0');
  spend_bytes(out.size());
  const size_t size = strftime_l(out.data(), out.size(), prepared.c_str(), &time, c_locale);
  if (size == 0) raise("ValueError", "the format of strftime_now makes more text than it may");
  return out.substr(1, size - 1);
}

}  // namespace zhiyin::jinja
