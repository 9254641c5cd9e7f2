#include "text/json_vocabulary.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace zhiyin {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxHoles = 4096;
constexpr uint64_t kMaxPieces = uint64_t{1} << 21;

class Handler : public nlohmann::json_sax<json> {
 public:
  // At which depth the vocabulary begins: 0 for vocab.json, 2 for tokenizer.json.
  Handler(const char* name, size_t vocabulary_depth, JsonVocabulary& out)
      : name_(name), vocabulary_depth_(vocabulary_depth), out_(out) {}

  json take() { return std::move(root_); }

  bool null() override { return value(json()); }
  bool boolean(bool v) override { return value(json(v)); }
  bool number_integer(number_integer_t v) override { return number(json(v)); }  // negative
  bool number_unsigned(number_unsigned_t v) override { return number(json(v)); }
  bool number_float(number_float_t v, const string_t&) override { return number(json(v)); }
  bool string(string_t& v) override {
    switch (part_) {
      case Part::kNone:
        return value(json(std::move(v)));
      case Part::kVocabulary:
        check(inside_ == 2 && list_ && item_.empty(), ErrorCode::kFailed, name_,
              ": the vocabulary has the text ", v, " where a number belongs");
        item_ = std::move(v);
        return true;
      case Part::kMerges:
        merge_part(v);
        return true;
    }
    return true;
  }
  bool binary(binary_t&) override { return false; }  // JSON has none

  bool start_object(size_t) override { return start(json::object(), false); }
  bool start_array(size_t) override { return start(json::array(), true); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(string_t& v) override {
    if (part_ == Part::kNone) {
      key_ = std::move(v);
      if (stack_.size() == 1) section_ = key_;
      return true;
    }
    check(part_ == Part::kVocabulary && inside_ == 1 && !list_, ErrorCode::kFailed, name_,
          ": an object within the vocabulary or the merges");
    item_ = std::move(v);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    fail(ErrorCode::kFailed, name_, ": not valid JSON at byte ", position, ": ", error.what());
  }

 private:
  enum class Part { kNone, kVocabulary, kMerges };

  Part part_at_this_value(bool is_array) const {
    if (stack_.size() != vocabulary_depth_) return Part::kNone;
    if (vocabulary_depth_ == 0) return is_array ? Part::kNone : Part::kVocabulary;
    if (section_ != "model" || stack_.back()->is_array()) return Part::kNone;
    if (key_ == "vocab") return Part::kVocabulary;
    return key_ == "merges" && is_array ? Part::kMerges : Part::kNone;
  }

  bool start(json empty, bool is_array) {
    if (part_ != Part::kNone) {
      check(inside_ == 1 && is_array && list_, ErrorCode::kFailed, name_,
            ": a list or an object too many within the vocabulary or the merges");
      ++inside_;
      item_.clear();
      merge_parts_ = 0;
      return true;
    }
    part_ = part_at_this_value(is_array);
    if (part_ != Part::kNone) {
      inside_ = 1;
      list_ = is_array;
      return true;
    }
    check(stack_.size() < kMaxDepth, ErrorCode::kFailed, name_, ": nested more than ", kMaxDepth,
          " deep");
    stack_.push_back(add(std::move(empty)));
    return true;
  }

  bool end() {
    if (part_ == Part::kNone) {
      stack_.pop_back();
      return true;
    }
    check(part_ != Part::kMerges || inside_ == 1 || merge_parts_ == 2, ErrorCode::kFailed, name_,
          ": merge ", out_.merges.size(), " is not a list of two pieces");
    if (--inside_ == 0) part_ = Part::kNone;
    return true;
  }

  json* add(json v) {
    if (stack_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[key_] = std::move(v));
  }

  bool value(json v) {
    check(part_ == Part::kNone, ErrorCode::kFailed, name_,
          ": something that is neither text nor number within the vocabulary or the merges");
    add(std::move(v));
    return true;
  }

  bool number(const json& v) {
    if (part_ == Part::kNone) return value(v);
    check(part_ == Part::kVocabulary && inside_ == (list_ ? 2 : 1), ErrorCode::kFailed, name_,
          ": a number where a piece or a merge belongs");
    out_.pieces.add(item_);
    if (list_) {
      out_.ids.push_back(static_cast<int64_t>(out_.ids.size()));
      out_.scores.push_back(v.get<float>());
    } else {
      check(v.is_number_unsigned() && v.get<uint64_t>() < kMaxPieces, ErrorCode::kFailed, name_,
            ": the piece ", item_, " has the id ", v.dump(), "; ids are 0 to ", kMaxPieces - 1);
      out_.ids.push_back(v.get<int64_t>());
    }
    return true;
  }

  // "left right", or ["left", "right"] one by one.
  void merge_part(std::string& text) {
    if (inside_ == 1) {
      const size_t space = text.find(' ', 1);
      check(space != std::string::npos, ErrorCode::kFailed, name_, ": merge ", out_.merges.size(),
            " (", text, ") is not two pieces with a space between them");
      out_.merges.add(std::string_view(text).substr(0, space),
                      std::string_view(text).substr(space + 1));
      return;
    }
    if (++merge_parts_ == 1) {
      item_ = std::move(text);
    } else if (merge_parts_ == 2) {
      out_.merges.add(item_, text);
    }
  }

  const char* name_;
  size_t vocabulary_depth_;
  JsonVocabulary& out_;
  json root_;
  std::vector<json*> stack_;
  std::string key_, section_;
  // Within the vocabulary or the merges: how deep, and whether the outermost is a list.
  Part part_ = Part::kNone;
  size_t inside_ = 0;
  bool list_ = false;
  std::string item_;
  int merge_parts_ = 0;
};

json parse(std::string_view text, const char* name, size_t vocabulary_depth, JsonVocabulary& out) {
  Handler handler(name, vocabulary_depth, out);
  json::sax_parse(text.begin(), text.end(), &handler);
  return handler.take();
}

}  // namespace

json parse_tokenizer_json(std::string_view text, const char* name, JsonVocabulary& out) {
  json root = parse(text, name, 2, out);
  check(root.is_object(), ErrorCode::kFailed, name, ": not a JSON object");
  return root;
}

void parse_vocabulary_json(std::string_view text, const char* name, JsonVocabulary& out) {
  parse(text, name, 0, out);
}

json parse_json_object(std::string_view text, const char* name) {
  if (text.empty()) return json::object();
  JsonVocabulary unused;
  json root = parse(text, name, kMaxDepth + 1, unused);
  check(root.is_object(), ErrorCode::kFailed, name, ": not a JSON object");
  return root;
}

void set_pieces(TokenizerSpec& spec, JsonVocabulary vocabulary) {
  const size_t count = vocabulary.ids.size();
  bool in_order = true;
  int64_t last = -1;
  for (size_t i = 0; i < count; ++i) {
    in_order = in_order && vocabulary.ids[i] == static_cast<int64_t>(i);
    last = std::max(last, vocabulary.ids[i]);
  }
  if (in_order) {
    spec.pieces = std::move(vocabulary.pieces);
    spec.scores = std::move(vocabulary.scores);
    return;
  }
  check(static_cast<size_t>(last) <= kMaxHoles + 16 * count, ErrorCode::kFailed,
        "tokenizer: ", count, " pieces with ids up to ", last, " leave too many holes");
  constexpr size_t kHole = static_cast<size_t>(-1);
  std::vector<size_t> order(static_cast<size_t>(last + 1), kHole);
  for (size_t i = 0; i < count; ++i) order[static_cast<size_t>(vocabulary.ids[i])] = i;
  spec.pieces = {};
  spec.pieces.reserve(order.size(), vocabulary.pieces.bytes());
  for (const size_t i : order) {
    spec.pieces.add(i == kHole ? std::string_view() : vocabulary.pieces[i]);
  }
}

}  // namespace zhiyin
