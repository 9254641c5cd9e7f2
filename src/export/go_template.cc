#include "export/go_template.h"

#include <algorithm>
#include <variant>

#include "base/error.h"

namespace zhiyin {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Text, or what stands between {{ and }}.
struct Piece {
  bool is_action;
  std::string text;
};

std::vector<Piece> split(std::string_view source) {
  std::vector<Piece> pieces;
  bool trim_next = false;
  while (!source.empty()) {
    const size_t open = source.find("{{");
    std::string_view text = source.substr(0, open);
    if (trim_next) text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    trim_next = false;
    if (open == source.npos) {
      pieces.push_back({false, std::string(text)});
      break;
    }
    const size_t close = source.find("}}", open);
    check(close != source.npos, ErrorCode::kFailed, "TEMPLATE: {{ without }}");
    std::string_view action = source.substr(open + 2, close - open - 2);
    if (action.starts_with("- ")) {
      action.remove_prefix(1);
      text = text.substr(0, text.find_last_not_of(kSpace) + 1);
    }
    if (action.ends_with(" -")) {
      action.remove_suffix(1);
      trim_next = true;
    }
    pieces.push_back({false, std::string(text)});
    pieces.push_back({true, std::string(trim(action))});
    source.remove_prefix(close + 2);
  }
  return pieces;
}

using Turns = std::vector<ChatTurn>;
using Value = std::variant<std::string, bool, int64_t, const ChatTurn*, const Turns*>;

bool truth(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return !text->empty();
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<int64_t>(&value)) return *number != 0;
  if (const auto* turns = std::get_if<const Turns*>(&value)) return !(*turns)->empty();
  return true;
}

class GoTemplate {
 public:
  GoTemplate(std::string_view source, const Turns& turns) : pieces_(split(source)) {
    for (const ChatTurn& turn : turns) {
      if (turn.role == "system") system_ += (system_.empty() ? "" : "\n\n") + turn.content;
      if (!turns_.empty() && turns_.back().role == turn.role) {
        turns_.back().content += "\n\n" + turn.content;
      } else {
        turns_.push_back(turn);
      }
    }
  }

  std::string run() {
    std::string out;
    const size_t end = block(0, nullptr, &out);
    check(end == pieces_.size(), ErrorCode::kFailed, "TEMPLATE: {{ ", pieces_[end].text,
          " }} without an if or range");
    return out;
  }

 private:
  // Runs pieces from `at` up to an else or end on this level and returns its place; `out` nullptr:
  // skips them. `dot` is the message of a range, or nullptr.
  size_t block(size_t at, const ChatTurn* dot, std::string* out) {
    while (at < pieces_.size()) {
      const Piece& piece = pieces_[at];
      if (!piece.is_action) {
        if (out != nullptr) *out += piece.text;
        ++at;
        continue;
      }
      const std::string_view action = piece.text;
      if (action == "end" || action.starts_with("else")) return at;
      if (action.starts_with("range ")) {
        at = range(at, out);
      } else if (action.starts_with("if ")) {
        at = branch(at, action.substr(3), dot, out);
      } else {
        if (out != nullptr) *out += text_of(evaluate(action, dot));
        ++at;
      }
    }
    return at;
  }

  size_t range(size_t at, std::string* out) {
    check(pieces_[at].text == "range .Messages", ErrorCode::kUnsupported, "TEMPLATE: {{ ",
          pieces_[at].text, " }} is more than zhiyin can check");
    size_t end = block(at + 1, turns_.empty() ? nullptr : &turns_.front(), nullptr);
    if (out != nullptr) {
      for (const ChatTurn& turn : turns_) end = block(at + 1, &turn, out);
    }
    expect_end(end);
    return end + 1;
  }

  size_t branch(size_t at, std::string_view condition, const ChatTurn* dot, std::string* out) {
    const bool taken = out != nullptr && truth(evaluate(condition, dot));
    at = block(at + 1, dot, taken ? out : nullptr);
    std::string* const other = taken ? nullptr : out;
    if (at < pieces_.size() && pieces_[at].text.starts_with("else if ")) {
      const std::string next = pieces_[at].text.substr(8);
      return branch(at, next, dot, other);
    }
    if (at < pieces_.size() && pieces_[at].text == "else") at = block(at + 1, dot, other);
    expect_end(at);
    return at + 1;
  }

  void expect_end(size_t at) const {
    check(at < pieces_.size() && pieces_[at].text == "end", ErrorCode::kFailed,
          "TEMPLATE: an if or range has no {{ end }}");
  }

  std::string text_of(const Value& value) const {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
    fail(ErrorCode::kUnsupported, "TEMPLATE: prints a message or a list as it is");
  }

  // A pipeline without pipes: a function with operands, or one operand.
  Value evaluate(std::string_view expression, const ChatTurn* dot) {
    std::vector<std::string_view> words = words_of(expression);
    check(!words.empty(), ErrorCode::kFailed, "TEMPLATE: {{ }} is empty");
    const std::string_view name = words[0];
    if (words.size() == 1) return operand(name, dot);
    std::vector<Value> values;
    for (size_t i = 1; i < words.size(); ++i) values.push_back(operand(words[i], dot));
    if (name == "eq" || name == "ne") {
      // eq is true where the first equals any of the others.
      const bool any = std::any_of(values.begin() + 1, values.end(),
                                   [&](const Value& value) { return value == values[0]; });
      return name == "eq" ? any : !any;
    }
    if (name == "not") return !truth(values[0]);
    if (name == "and" || name == "or") {
      for (const Value& value : values) {
        if (truth(value) == (name == "or")) return value;
      }
      return values.back();
    }
    if (name == "len") {
      if (const auto* list = std::get_if<const Turns*>(&values[0])) {
        return static_cast<int64_t>((*list)->size());
      }
      return static_cast<int64_t>(text_of(values[0]).size());
    }
    if (name == "index" && values.size() == 2) {
      const auto* list = std::get_if<const Turns*>(&values[0]);
      const auto* at = std::get_if<int64_t>(&values[1]);
      check(list != nullptr && at != nullptr && *at >= 0 &&
                *at < static_cast<int64_t>((*list)->size()),
            ErrorCode::kFailed, "TEMPLATE: {{ ", expression, " }} is outside the messages");
      return &(**list)[static_cast<size_t>(*at)];
    }
    fail(ErrorCode::kUnsupported, "TEMPLATE: {{ ", expression, " }} is more than zhiyin can check");
  }

  // Words at the top level: "(index .Messages 0).Role" and "\"a b\"" are one each.
  static std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    size_t begin = text.npos;
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i <= text.size(); ++i) {
      const char c = i < text.size() ? text[i] : ' ';
      if (c == '"') quoted = !quoted;
      if (!quoted && c == '(') ++depth;
      if (!quoted && c == ')') --depth;
      const bool gap = !quoted && depth == 0 && kSpace.find(c) != kSpace.npos;
      if (!gap && begin == text.npos) begin = i;
      if (gap && begin != text.npos) {
        words.push_back(text.substr(begin, i - begin));
        begin = text.npos;
      }
    }
    check(begin == text.npos && depth == 0, ErrorCode::kFailed, "TEMPLATE: {{ ", text,
          " }} has an open quote or bracket");
    return words;
  }

  Value operand(std::string_view word, const ChatTurn* dot) {
    if (word.starts_with('"') && word.ends_with('"') && word.size() >= 2) {
      return std::string(word.substr(1, word.size() - 2));
    }
    if (word.find_first_not_of("0123456789") == word.npos) {
      return static_cast<int64_t>(std::stoll(std::string(word)));
    }
    if (word.starts_with('(')) {
      const size_t close = word.rfind(')');
      const Value inner = evaluate(word.substr(1, close - 1), dot);
      const std::string_view rest = word.substr(close + 1);
      if (rest.empty()) return inner;
      const auto* turn = std::get_if<const ChatTurn*>(&inner);
      check(turn != nullptr, ErrorCode::kUnsupported, "TEMPLATE: ", word, " has no fields");
      return field(rest, *turn);
    }
    if (word == ".Messages" || word == "$.Messages") return &turns_;
    if (word == ".System" || word == "$.System") return system_;
    if (word.starts_with('.')) return field(word, dot);
    fail(ErrorCode::kUnsupported, "TEMPLATE: {{ ", word, " }} is more than zhiyin can check");
  }

  static Value field(std::string_view name, const ChatTurn* dot) {
    check(dot != nullptr, ErrorCode::kUnsupported, "TEMPLATE: ", name, " stands outside a range");
    if (name == ".Role") return dot->role;
    if (name == ".Content") return dot->content;
    // What plain talk never has.
    if (name == ".ToolCalls" || name == ".Thinking") return std::string();
    fail(ErrorCode::kUnsupported, "TEMPLATE: ", name, " is more than zhiyin can check");
  }

  std::vector<Piece> pieces_;
  Turns turns_;
  std::string system_;
};

// -------------------------------------------------------------------------------- deriving

// What stands between two texts; nullopt unless both are there once, in this order.
std::optional<std::string> between(const std::string& text, const std::string& a,
                                   const std::string& b) {
  const size_t first = a.empty() ? 0 : text.find(a);
  if (first == text.npos) return std::nullopt;
  const size_t begin = first + a.size();
  const size_t end = b.empty() ? text.size() : text.find(b, begin);
  if (end == text.npos) return std::nullopt;
  return text.substr(begin, end - begin);
}

bool take_prefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

bool take_suffix(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.erase(text.size() - suffix.size());
  return true;
}

}  // namespace

std::string render_go_template(std::string_view source, const std::vector<ChatTurn>& turns) {
  return GoTemplate(source, turns).run();
}

std::optional<std::string> derive_go_template(const RenderTurns& render, std::string_view bos) {
  const std::string u = "zyuserzy", v = "zysecondzy", a = "zyanswerzy", s = "zysystemzy";
  const auto alone = render({{"user", u}}, false), asked = render({{"user", u}}, true);
  const auto answered = render({{"user", u}, {"assistant", a}}, false);
  const auto again = render({{"user", u}, {"assistant", a}, {"user", v}}, false);
  if (!alone || !asked || !answered || !again) return std::nullopt;

  std::string prompt = *asked;
  if (!take_prefix(prompt, *alone)) return std::nullopt;
  auto before_first = between(*alone, "", u), user_end = between(*alone, u, "");
  auto answer_begin = between(*answered, u, a), answer_end = between(*answered, a, "");
  auto user_begin = between(*again, a, v);
  if (!before_first || !user_end || !answer_begin || !answer_end || !user_begin) {
    return std::nullopt;
  }
  if (!take_prefix(*answer_begin, *user_end) || !take_prefix(*user_begin, *answer_end) ||
      !take_suffix(*before_first, *user_begin)) {
    return std::nullopt;
  }
  std::string system_begin, system_end;
  const auto with_system = render({{"system", s}, {"user", u}}, false);
  if (with_system) {
    auto head = between(*with_system, "", s), tail = between(*with_system, s, u);
    if (!head || !tail || !take_suffix(*tail, *user_begin)) return std::nullopt;
    system_begin = *head;
    system_end = *tail;
  }
  std::string head = *before_first;  // of a conversation without a system message
  if (!take_prefix(head, bos)) return std::nullopt;
  if (with_system && !take_prefix(system_begin, bos)) return std::nullopt;
  for (const std::string* text : {&head, &system_begin, &system_end, &*user_begin, &*user_end,
                                  &*answer_begin, &*answer_end, &prompt}) {
    for (const char* mark : {"{{", "}}", "\"\"\""}) {
      if (text->find(mark) != text->npos) return std::nullopt;
    }
  }
  std::string go;
  if (!head.empty()) {
    go += "{{ if ne (index .Messages 0).Role \"system\" }}" + head + "{{ end }}";
  }
  go += "{{ range .Messages }}{{ if eq .Role \"user\" }}" + *user_begin + "{{ .Content }}" +
        *user_end + "{{ else if eq .Role \"system\" }}" + system_begin + "{{ .Content }}" +
        system_end + "{{ else }}" + *answer_begin + "{{ .Content }}" + *answer_end +
        "{{ end }}{{ end }}" + prompt;
  for (const std::vector<ChatTurn>& turns :
       {std::vector<ChatTurn>{{"user", u}, {"assistant", a}, {"user", v}},
        {{"system", s},
         {"user", u},
         {"assistant", a},
         {"user", v},
         {"assistant", a},
         {"user", u}}}) {
    const auto wanted = render(turns, true);
    if (wanted && cat(bos, render_go_template(go, turns)) != *wanted) return std::nullopt;
  }
  return go;
}

}  // namespace zhiyin
