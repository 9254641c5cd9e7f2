// What a Model holds. Weights come late: tokenizing or rendering a prompt needs none.
#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/packed_cache.h"
#include "io/model_files.h"
#include "models/family.h"
#include "tensor/context.h"
#include "text/chat_template/chat_template.h"
#include "text/tokenizer.h"
#include "zhiyin/model.h"

namespace zhiyin {

struct Model::Impl {
  OpenOptions options;
  ModelFiles files;
  // Declared before what lives in it.
  std::unique_ptr<Context> context;
  std::unique_ptr<Tokenizer> tokenizer;  // nullptr: the files hold none
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<CausalLm> causal_lm;  // nullptr before load()
  std::vector<std::string> unused_tensors;
  double load_ms = 0;
  std::unique_ptr<PackedCache> packed_cache;  // nullptr: weights are used as they are

  // Throws kUnsupported where there is no tokenizer, kNotFound where there are no weights.
  const Tokenizer& need_tokenizer() const;
  CausalLm& need_causal_lm();

  KvType cache_type() const;
  // Tokens that fit the model's positions and the memory that is free.
  int64_t default_context();
  // Ends of an answer, from tokenizer and generation defaults.
  std::map<int32_t, std::string> stop_set() const;
};

// The variables that transformers gives a template for its special tokens.
void add_special_tokens(nlohmann::ordered_json& context, const Tokenizer& tokenizer);

// The kernels that the options name, or the best this CPU runs.
const KernelTable& kernels_of(const OpenOptions& options);

// Bytes of memory that can be used without swapping.
int64_t available_memory();

}  // namespace zhiyin
