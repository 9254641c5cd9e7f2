// What the writers of GGUF files share above src/export: the parts a job is made of, and the locks
// that hold an exported file to the model it came from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "export/gguf_export.h"
#include "text/chat_template/chat_template.h"
#include "text/tokenizer.h"
#include "zhiyin/model.h"

namespace zhiyin {

// Throws kUsage, naming the mixes, for a type that is none.
const MixInfo& mix_of(const std::string& type);

// Tokenizer and importance matrix of a job; must outlive the jobs it makes.
class ExportParts {
 public:
  // importance: a path, or "" for none. The base must outlive it.
  ExportParts(const ModelFiles& base, const std::string& importance);
  GgufExport job(Mix mix) const;

 private:
  const ModelFiles& base_;
  std::optional<TokenizerSpec> tokenizer_;
  std::optional<Importance> importance_;
};

// The base model of the adapter at `path`: `given`, or else what the adapter names. Throws kUsage
// where neither says.
std::string base_of(const LoraAdapter& adapter, const std::string& given, const std::string& path);

// A note where the importance matrix left out tensors.
void note_importance(const GgufExportResult& written, std::vector<std::string>& notes);

// The token that ends an answer in a chat template's rendering, nullopt where the template writes
// nothing behind an answer or something other than a control token.
std::optional<int32_t> end_of_answer(const Tokenizer& tokenizer, const ChatTemplate& chat_template);

// The chat template that a run was trained with: the one that `tune` left in the folder, or else
// the base's own.
struct TrainedTemplate {
  std::string text;    // empty: neither has one
  std::string origin;  // "run/chat_template.jinja" or "tokenizer.chat_template of the base"
  bool of_run = false;
};
TrainedTemplate trained_template(const std::string& run, const ModelFiles& base);

// false where the tokenizer puts BOS before a text and the rendering of the template has none:
// programs that add it would ask in a way that training never saw. nullopt: nothing to change.
std::optional<bool> bos_of_template(const Tokenizer& tokenizer, const ChatTemplate& chat_template);

// Throws kFailed unless every token of the base is the same token of the model at `path`, and its
// text becomes the same ids. Nothing to do where both are of one kind: the vocabulary was copied.
void check_vocabulary_lock(const ModelFiles& base, const std::string& path);

// The template of training as Go text, "" where Ollama has to run the GGUF's own.
std::string go_template_of(const Tokenizer& tokenizer, const std::string& trained_template);

// Throws kFailed unless the exported model's own template, and the Modelfile's where it has one,
// give the ids of the template of training for sample conversations. Returns how many there were.
int check_template_lock(const Model& exported, const std::string& trained_template,
                        const std::string& path, const std::string& modelfile = {});

}  // namespace zhiyin
