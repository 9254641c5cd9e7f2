// Python's str behaviour on UTF-8: white space, case, character classes, lines, reprs of strings
// and floats. Positions and lengths count code points; an ill-formed byte counts as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zhiyin::jinja {

size_t count_code_points(std::string_view text);
// Byte offset of a code point; text.size() from the end on.
size_t byte_offset(std::string_view text, size_t code_point);

bool is_space(char32_t c);      // str.isspace of one character
bool is_printable(char32_t c);  // str.isprintable
bool is_word(char32_t c);       // \w of a regular expression
bool is_identifier(std::string_view name);

// Empty chars: white space.
enum class Side { kLeft, kRight, kBoth };
std::string_view strip(std::string_view text, Side side, std::string_view chars = {});

// str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);
// str.split() and str.rsplit() without separator; limit < 0: no limit.
std::vector<std::string_view> split_space(std::string_view text, int64_t limit = -1,
                                          bool from_right = false);
std::vector<std::string_view> split_by(std::string_view text, std::string_view separator,
                                       int64_t limit = -1, bool from_right = false);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string casefold(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);  // str.title, not the filter of this name
std::string swap_case(std::string_view text);

enum class CharClass { kAlpha, kDigit, kDecimal, kNumeric, kAlnum, kSpace, kPrintable };
// str.isalpha() and so on: false for the empty string, except isprintable().
bool all_of_class(std::string_view text, CharClass wanted);
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);
bool is_title(std::string_view text);

// Offset of part in text, or npos; linear in the text however long the part is.
size_t find_text(std::string_view text, std::string_view part);
size_t find_text_from_right(std::string_view text, std::string_view part);

// Replaces the first limit occurrences (all when limit < 0).
std::string replace(std::string_view text, std::string_view old_text, std::string_view new_text,
                    int64_t limit = -1);
size_t count_occurrences(std::string_view text, std::string_view part);

// \\xe9, \\u4f60 or \\U0001f600.
std::string ascii_escape(char32_t c);
std::string repr_string(std::string_view text);
std::string repr_float(double value);
// float(text) and int(text, base) of Python; false when Python raises ValueError.
bool parse_float(std::string_view text, double& value);
enum class IntParse { kOk, kInvalid, kTooLarge };
IntParse parse_int(std::string_view text, int base, int64_t& value);

// markupsafe.escape and html.unescape (numeric references and the entities of markup itself).
std::string escape_html(std::string_view text);
std::string unescape_html(std::string_view text);

}  // namespace zhiyin::jinja
