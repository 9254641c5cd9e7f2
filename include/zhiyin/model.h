// Opening a model and asking it about itself: tokens, prompts, tensors, memory.
//
//   auto model = zhiyin::Model::open("qwen2.5-coder-0.5b", {});
//   std::vector<int32_t> ids = model.tokenize("你好", false);
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zhiyin/error.h"
#include "zhiyin/packed_cache.h"

namespace zhiyin {

struct OpenOptions {
  std::string models_folder;  // where names without a path are looked up
  int threads = 0;            // 0: one a physical core
  std::string isa;            // "ref", "avx2", "avx512", "amx"; empty: the best this CPU runs
  bool exact = false;         // activations, products and cache in f32
  std::string cache_type;     // "f32", "f16" (default), "q8_0"
  std::vector<std::string> adapters;  // LoRA files or folders put on the model
  // Whether weights are brought into the form that decoding reads fastest; costs time and memory of
  // the file's size once. Not needed to train or to look at tensors.
  bool prepare = true;
  // Where that form is kept for the next start; by default nowhere.
  PackedCacheOptions packed_cache;
};

// A token that ends an answer, and what says so.
struct StopEntry {
  int32_t id;
  std::string text;
  std::string origin;
};

struct TensorInfo {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  int64_t bytes;
};

struct TensorStats {
  double min, max, mean, standard_deviation;
  int64_t elements, not_a_number;
};

struct ModelInfo {
  std::string path, kind, family, architecture;
  int64_t layers = 0, hidden_size = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t intermediate_size = 0, vocab_size = 0, max_positions = 0;
  int64_t parameters = 0, bytes = 0;
  std::map<std::string, int64_t> bytes_by_type;
  int64_t kv_bytes_per_token = 0;
  std::string tokenizer;  // "BPE, 151936 tokens"; empty without one
  std::vector<StopEntry> stop;
  std::string template_origin;  // empty without a chat template
  std::string template_text;
  std::vector<std::pair<std::string, std::string>> metadata;  // as the file has it, shortened
  std::vector<std::string> warnings;
  std::vector<std::string> unused_tensors;  // after the weights were needed
};

struct TemplateRequest {
  std::string messages;  // a JSON array of messages
  std::string tools;     // a JSON array; empty: none
  bool add_generation_prompt = true;
  std::string now;  // "2026-11-23T09:05:07" for strftime_now; empty: the clock
};

// A chat template alone: source is Jinja, context a JSON object with every variable.
std::string render_template(const std::string& source, const std::string& context,
                            const std::string& now);

struct EvalResult {
  int64_t tokens = 0;
  double mean_nll = 0, perplexity = 0;  // of every token but the first, natural logarithm
};

// Cheap to move. Methods that only read may be called from several threads.
class Model {
 public:
  // Opens files and tokenizer; weights are read when first needed. Throws Error.
  static Model open(const std::string& path_or_name, const OpenOptions& options);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  // Reads the weights now; otherwise the first call that needs them does.
  void load();

  ModelInfo info() const;
  std::vector<TensorInfo> tensors() const;
  TensorStats tensor_stats(const std::string& name) const;

  // special: BOS and the like are added and control tokens in the text are recognised.
  std::vector<int32_t> tokenize(std::string_view text, bool special) const;
  std::string detokenize(const std::vector<int32_t>& ids, bool skip_special) const;

  bool has_template() const;
  // Throws kUnsupported where the model has no template, kFailed with line and column where it
  // fails.
  std::string render(const TemplateRequest& request) const;

  // Log-likelihood of ids in windows of at most `window` tokens (0: as many as fit), each window
  // from its own start. logits_path, where not empty, becomes a float32 .npy [tokens, vocab].
  EvalResult evaluate(const std::vector<int32_t>& ids, int64_t window,
                      const std::string& logits_path,
                      const std::function<void(int64_t done, int64_t total)>& on_progress);

  // Where the packed weights came from: "packed" now, "mapped" from the cache, or "moved" from
  // there to pages of 2 MB in the background; empty before load() and where there are none.
  std::string packed_origin() const;
  // Waits until the packed weights are in the cache, which a thread of low priority writes; so does
  // the destructor. cancel() gives it up.
  void finish_cache(const std::function<void(int64_t done, int64_t total)>& on_progress);

  // Asks the running call on this model to stop; safe in a signal handler.
  void cancel() noexcept;

  struct Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Names under a folder of models.
std::vector<std::string> model_names(const std::string& models_folder);

}  // namespace zhiyin
