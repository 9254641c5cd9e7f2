#include "text/piece_text.h"

#include "text/word_model.h"

namespace zhiyin {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The spaces that English does not put, as Hugging Face's WordPiece decoder takes them away.
void clean_up(std::string& text) {
  static constexpr std::string_view kTight[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kTight) replace_all(text, from, to);
}

void apply(const DecoderStep& step, std::string& text) {
  using Kind = DecoderStep::Kind;
  switch (step.kind) {
    case Kind::kByteLevel: {
      std::string bytes;
      if (append_byte_level(bytes, text)) text = bytes;
      break;
    }
    case Kind::kReplace:
      replace_all(text, step.pattern, step.content);
      break;
    case Kind::kByteFallback:
      if (const int byte = byte_of_piece(text); byte >= 0) text = static_cast<char>(byte);
      break;
    case Kind::kWordPiece:
      if (text.starts_with(step.pattern)) {
        text.erase(0, step.pattern.size());
      } else {
        text.insert(0, 1, ' ');
      }
      if (step.cleanup) clean_up(text);
      break;
    case Kind::kWordEnd:
      if (text.ends_with(step.pattern)) {
        text.replace(text.size() - step.pattern.size(), step.pattern.size(), " ");
      }
      break;
  }
}

}  // namespace

PieceText::PieceText(const TokenizerSpec& spec) {
  texts_.reserve(spec.pieces.size(), spec.pieces.bytes());
  std::string text;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenKind kind = spec.kinds.empty() ? TokenKind::kNormal : spec.kinds[id];
    text = spec.pieces[id];
    // Control and user-defined tokens are spelled as they read, set apart where words are.
    const bool literal = kind == TokenKind::kControl || kind == TokenKind::kUserDefined;
    for (const DecoderStep& step : spec.decoder) {
      if (!literal || step.kind == DecoderStep::Kind::kWordPiece) apply(step, text);
    }
    texts_.add(text);
  }
}

}  // namespace zhiyin
