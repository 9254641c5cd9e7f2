#include "api/export_job.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "api/tokenizer_of.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "export/go_template.h"
#include "export/modelfile.h"
#include "zhiyin/export.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

// Conversations that show everything a template does with plain talk.
const std::vector<std::vector<ChatTurn>>& samples() {
  static const std::vector<std::vector<ChatTurn>> kSamples = {
      {{"user", "你好"}},
      {{"user", "你好"}, {"assistant", "在呢"}, {"user", "Who are you?"}},
      {{"system", "简短回答。"}, {"user", "a\nb  c"}},
      {{"system", "Be brief."},
       {"user", "[[微笑]] 在吗？🙂"},
       {"assistant", "在的\n怎么了"},
       {"user", "1 + 1 = 2"},
       {"assistant", "对"},
       {"user", "<b>好</b>"}},
  };
  return kSamples;
}

Json json_of(const std::vector<ChatTurn>& turns) {
  Json messages = Json::array();
  for (const ChatTurn& turn : turns) {
    messages.push_back({{"role", turn.role}, {"content", turn.content}});
  }
  return messages;
}

Json context_of(const Tokenizer& tokenizer, const Json& messages, bool prompt) {
  Json context;
  context["messages"] = messages;
  context["add_generation_prompt"] = prompt;
  add_special_tokens(context, tokenizer);
  return context;
}

// nullopt where the template refuses the conversation, as some do a system message.
std::optional<std::string> render_if_taken(const ChatTemplate& chat_template,
                                           const Tokenizer& tokenizer, const Json& messages,
                                           bool prompt) {
  try {
    return chat_template.render(context_of(tokenizer, messages, prompt));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, const std::string& rendered) {
  return tokenizer.encode(rendered, {.add_special = false, .parse_special = true});
}

// Ollama renders and lets llama.cpp put BOS where the tokenizer says so.
std::vector<int32_t> ollama_ids(const Tokenizer& tokenizer, const std::string& go,
                                const std::vector<ChatTurn>& turns) {
  return tokenizer.encode(render_go_template(go, turns),
                          {.add_special = true, .parse_special = true});
}

}  // namespace

const MixInfo& mix_of(const std::string& type) {
  const MixInfo* mix = find_mix(type);
  if (const MixInfo* instead = mix_instead_of(type)) {
    fail(ErrorCode::kUnsupported, "the type ", type,
         " needs formats that zhiyin cannot write yet; the nearest in size is ", instead->name);
  }
  check(mix != nullptr, ErrorCode::kUsage, "the type ", type, " is not known; there are ",
        join(quantize_types()));
  return *mix;
}

ExportParts::ExportParts(const ModelFiles& base, const std::string& importance) : base_(base) {
  if (!base.gguf) tokenizer_ = tokenizer_spec_of(base);
  if (!importance.empty()) importance_ = read_importance(importance);
}

GgufExport ExportParts::job(Mix mix) const {
  // As llama.cpp: without it, 2 bits for everything give nonsense.
  check(mix != Mix::kQ2_K_S || importance_, ErrorCode::kUsage,
        "the type Q2_K_S needs an importance matrix (--imatrix); Q2_K does without");
  GgufExport job;
  job.base = &base_;
  job.mix = mix;
  job.tokenizer = tokenizer_ ? &*tokenizer_ : nullptr;
  job.importance = importance_ ? &*importance_ : nullptr;
  return job;
}

std::string base_of(const LoraAdapter& adapter, const std::string& given, const std::string& path) {
  const std::string base = given.empty() ? adapter.base_model : given;
  check(!base.empty(), ErrorCode::kUsage, path,
        ": the adapter does not name its base model; give it with --base");
  return base;
}

void note_importance(const GgufExportResult& written, std::vector<std::string>& notes) {
  if (written.without_importance.empty()) return;
  notes.push_back(cat("the importance matrix has no entry for ", written.without_importance.size(),
                      " quantised tensors (", written.without_importance.front(),
                      written.without_importance.size() > 1 ? ", …" : "",
                      "); all their inputs weigh the same"));
}

std::optional<int32_t> end_of_answer(const Tokenizer& tokenizer,
                                     const ChatTemplate& chat_template) {
  const std::string answer = "zhiyin-end-of-answer";
  const Json messages = {{{"role", "user"}, {"content", "你好"}},
                         {{"role", "assistant"}, {"content", answer}}};
  const std::string text = chat_template.render(context_of(tokenizer, messages, false));
  const size_t at = text.rfind(answer);
  if (at == std::string::npos) return std::nullopt;
  const std::vector<int32_t> ids = tokenizer.encode(text.substr(at + answer.size()),
                                                    {.add_special = false, .parse_special = true});
  if (ids.empty() || !tokenizer.is_special(ids.front())) return std::nullopt;
  return ids.front();
}

std::optional<bool> bos_of_template(const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  const int32_t bos = tokenizer.special().bos;
  if (bos == kNoToken || std::ranges::count(tokenizer.prefix(), bos) == 0) return std::nullopt;
  const auto text = render_if_taken(chat_template, tokenizer, json_of(samples().front()), true);
  if (!text) return std::nullopt;
  const std::vector<int32_t> ids = ids_of(tokenizer, *text);
  return !ids.empty() && ids.front() == bos ? std::nullopt : std::optional(false);
}

TrainedTemplate trained_template(const std::string& run, const ModelFiles& base) {
  const std::string path = run + "/chat_template.jinja";
  if (file_exists(path)) return {read_file(path), path, true};
  if (base.chat_templates.empty()) return {};
  const ChatTemplateText& text = base.chat_templates.front();
  return {text.text, text.origin + " of the base", false};
}

void check_vocabulary_lock(const ModelFiles& base, const std::string& path) {
  const ModelFiles files = open_model_files(path, "");
  if (base.gguf.has_value() == files.gguf.has_value()) return;
  const std::unique_ptr<Tokenizer> from = tokenizer_of(base);
  if (from == nullptr) return;
  const std::unique_ptr<Tokenizer> to = tokenizer_of(files);
  check(to != nullptr, ErrorCode::kFailed, path, ": holds no tokenizer, ", base.path, " does");
  if (const auto id = first_other_token(*from, *to)) {
    fail(ErrorCode::kFailed, path, ": token ", *id, " is ", printable(to->token_bytes(*id)),
         ", in ", base.path, " it is ", printable(from->token_bytes(*id)),
         "; do not use this file");
  }
  for (int32_t id = 0; id < from->vocab_size(); ++id) {
    if (from->kind(id) == TokenKind::kUnused) continue;
    const std::string text(from->token_bytes(id));
    for (const bool special : {false, true}) {
      const EncodeOptions options{.add_special = true, .parse_special = special};
      check(from->encode(text, options) == to->encode(text, options), ErrorCode::kFailed, path,
            ": the text of token ", id, " (", printable(text), ") becomes other ids than in ",
            base.path, "; do not use this file");
    }
  }
}

std::string go_template_of(const Tokenizer& tokenizer, const std::string& trained_template) {
  if (trained_template == kChatMlTemplate) return kChatMlGoTemplate;
  const ChatTemplate trained(trained_template, "the template of training");
  const RenderTurns render = [&](const std::vector<ChatTurn>& turns, bool prompt) {
    return render_if_taken(trained, tokenizer, json_of(turns), prompt);
  };
  const int32_t bos = tokenizer.special().bos;
  const bool adds_bos = !tokenizer.prefix().empty() && bos != kNoToken;
  const std::string_view bos_text = adds_bos ? tokenizer.token_bytes(bos) : std::string_view();
  const std::optional<std::string> go = derive_go_template(render, bos_text);
  if (!go) return {};
  for (const std::vector<ChatTurn>& sample : samples()) {
    const auto wanted = render(sample, true);
    if (wanted && ollama_ids(tokenizer, *go, sample) != ids_of(tokenizer, *wanted)) return {};
  }
  return *go;
}

int check_template_lock(const Model& exported, const std::string& trained_template,
                        const std::string& path, const std::string& modelfile) {
  const Tokenizer& tokenizer = exported.impl().need_tokenizer();
  const ChatTemplate trained(trained_template, "the template of training");
  const std::optional<std::string> go =
      modelfile.empty() ? std::nullopt : modelfile_template(read_file(modelfile));
  int compared = 0;
  const auto expect = [&](const std::vector<int32_t>& got, const std::vector<int32_t>& wanted,
                          const std::string& file, const Json& sample) {
    check(got == wanted, ErrorCode::kFailed, file,
          ": its chat template gives other tokens than training saw (", got.size(), " against ",
          wanted.size(), " for the conversation ", sample.dump(), "), so the model would be asked ",
          "in a way it was never taught and might not stop; do not use this file");
  };
  for (const std::vector<ChatTurn>& sample : samples()) {
    const Json messages = json_of(sample);
    const auto text = render_if_taken(trained, tokenizer, messages, true);
    if (!text) continue;
    const std::vector<int32_t> wanted = ids_of(tokenizer, *text);
    const std::string own = exported.render(
        {.messages = messages.dump(), .tools = {}, .add_generation_prompt = true, .now = {}});
    expect(ids_of(tokenizer, own), wanted, path, messages);
    if (go) expect(ollama_ids(tokenizer, *go, sample), wanted, modelfile, messages);
    ++compared;
  }
  return compared;
}

}  // namespace zhiyin
