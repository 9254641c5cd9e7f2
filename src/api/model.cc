#include "zhiyin/model.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "api/tokenizer_of.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "io/load_weights.h"
#include "io/lora_file.h"
#include "io/npy.h"
#include "nn/attach_adapter.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

KvType cache_type_of(const OpenOptions& options) {
  if (options.cache_type.empty()) return options.exact ? KvType::kF32 : KvType::kF16;
  if (options.cache_type == "f32") return KvType::kF32;
  if (options.cache_type == "f16") return KvType::kF16;
  if (options.cache_type == "q8_0") return KvType::kQ8_0;
  fail(ErrorCode::kUsage, "the cache type ", options.cache_type,
       " is not known; it can be f32, f16 or q8_0");
}

// A JSON text given by the user; `what` names it in the message.
Json parse_json(const std::string& text, const char* what) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    fail(ErrorCode::kFailed, what, ": is not valid JSON at byte ", e.byte, ": ", e.what());
  }
}

std::string kind_name(ModelKind kind) {
  switch (kind) {
    case ModelKind::kGguf:
      return "GGUF";
    case ModelKind::kGgufVocabulary:
      return "GGUF, vocabulary only";
    case ModelKind::kHuggingFace:
      return "Hugging Face folder";
    case ModelKind::kTokenizerFiles:
      return "tokenizer files";
    case ModelKind::kSafetensors:
      return "safetensors";
  }
  return "";
}

RenderOptions render_options(const std::string& now) {
  RenderOptions options;
  if (!now.empty()) options.now = parse_local_time(now);
  return options;
}

}  // namespace

void add_special_tokens(Json& context, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  const std::pair<const char*, int32_t> roles[] = {
      {"bos_token", special.bos},  {"eos_token", special.eos}, {"unk_token", special.unk},
      {"pad_token", special.pad},  {"sep_token", special.sep}, {"cls_token", special.cls},
      {"mask_token", special.mask}};
  for (const auto& [name, id] : roles) {
    if (id != kNoToken) context[name] = std::string(tokenizer.token_bytes(id));
  }
}

int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string name, unit; file >> name;) {
    int64_t kilobytes = 0;
    file >> kilobytes;
    std::getline(file, unit);
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return int64_t{1} << 30;
}

const Tokenizer& Model::Impl::need_tokenizer() const {
  check(tokenizer != nullptr, ErrorCode::kUnsupported, files.path,
        ": there is no tokenizer in the files; put tokenizer.json beside the weights or give ids");
  return *tokenizer;
}

CausalLm& Model::Impl::need_causal_lm() {
  if (causal_lm != nullptr) return *causal_lm;
  const auto start = std::chrono::steady_clock::now();
  files.require_weights();
  const Weights weights = load_weights(*context, files);
  causal_lm = make_causal_lm(*files.config, weights, &unused_tensors);
  for (const std::string& path : options.adapters) {
    LoraAdapter adapter = read_lora_adapter(path);
    set_rope_pairs(adapter, files.config->rope.adjacent, files.config->head_dim);
    attach_adapter(*context, adapter, causal_lm->linears(), path);
  }
  if (options.prepare && !options.exact) {
    packed_cache = std::make_unique<PackedCache>(options.packed_cache, *context, files);
    packed_cache->prepare(causal_lm->frozen_matrices());
  }
  load_ms = milliseconds_since(start);
  return *causal_lm;
}

KvType Model::Impl::cache_type() const { return cache_type_of(options); }

int64_t Model::Impl::default_context() {
  const int64_t a_token = kv_bytes_per_token(need_causal_lm().kv_shape(), cache_type());
  // Half of what is free, so that the machine stays usable.
  const int64_t fits = available_memory() / 2 / a_token;
  const int64_t trained = files.config->max_positions > 0 ? files.config->max_positions : 2048;
  return std::max<int64_t>(kKvPageTokens, std::min(fits, trained));
}

std::map<int32_t, std::string> Model::Impl::stop_set() const {
  std::map<int32_t, std::string> stop;
  if (tokenizer != nullptr) {
    for (const StopToken& token : tokenizer->stop_tokens())
      stop.try_emplace(token.id, token.origin);
  }
  for (const int64_t id : files.generation.eos_ids) {
    stop.try_emplace(static_cast<int32_t>(id), "eos_token_id of " + files.generation.origin);
  }
  if (files.config) {
    for (const int64_t id : files.config->eos_ids) {
      stop.try_emplace(static_cast<int32_t>(id), "eos_token_id of the model's configuration");
    }
  }
  return stop;
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const KernelTable& kernels_of(const OpenOptions& options) {
  return options.isa.empty() ? best_kernel_table() : kernel_table_named(options.isa.c_str());
}

Model Model::open(const std::string& path_or_name, const OpenOptions& options) {
  cache_type_of(options);
  const KernelTable& kernels = kernels_of(options);
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->files = open_model_files(path_or_name, options.models_folder);
  impl->context = std::make_unique<Context>(
      ContextOptions{.threads = options.threads,
                     .kernels = &kernels,
                     .precision = options.exact ? Precision::kExact : Precision::kFast});
  impl->tokenizer = tokenizer_of(impl->files);
  for (const std::string& adapter : options.adapters) {
    // What the adapter was trained with: asked otherwise it would not answer as it learned.
    std::string trained = adapter_chat_template(adapter);
    if (trained.empty()) continue;
    impl->files.chat_templates.insert(impl->files.chat_templates.begin(),
                                      {"default", std::move(trained), adapter});
  }
  if (!impl->files.chat_templates.empty()) {
    const ChatTemplateText& text = impl->files.chat_templates.front();
    const bool of_adapter = text.origin.find('/') != std::string::npos;
    impl->chat_template.emplace(text.text,
                                of_adapter ? text.origin : impl->files.path + ": " + text.origin);
  }
  return Model(std::move(impl));
}

void Model::load() { impl_->need_causal_lm(); }

ModelInfo Model::info() const {
  const Impl& impl = *impl_;
  ModelInfo info;
  info.path = impl.files.path;
  info.kind = kind_name(impl.files.kind);
  if (impl.files.config) {
    const ModelConfig& c = *impl.files.config;
    info.architecture = c.architecture;
    info.family = family_of(c.architecture).name;
    info.layers = c.layers;
    info.hidden_size = c.hidden_size;
    info.heads = c.heads;
    info.kv_heads = c.kv_heads;
    info.head_dim = c.head_dim;
    info.intermediate_size = c.intermediate_size;
    info.vocab_size = c.vocab_size;
    info.max_positions = c.max_positions;
    info.kv_bytes_per_token =
        kv_bytes_per_token({c.layers, c.kv_heads, c.head_dim}, impl.cache_type());
  }
  for (const TensorEntry& tensor : impl.files.tensors) {
    info.parameters += tensor.element_count();
    info.bytes += static_cast<int64_t>(tensor.bytes);
    info.bytes_by_type[tensor.type] += static_cast<int64_t>(tensor.bytes);
  }
  if (impl.tokenizer != nullptr) {
    info.tokenizer = cat(impl.tokenizer->vocab_size(), " tokens");
    for (const std::string& warning : impl.tokenizer->warnings()) info.warnings.push_back(warning);
  }
  for (const auto& [id, origin] : impl.stop_set()) {
    info.stop.push_back(
        {id, impl.tokenizer != nullptr ? std::string(impl.tokenizer->token_bytes(id)) : "",
         origin});
  }
  if (impl.chat_template) {
    info.template_origin = impl.files.chat_templates.front().origin;
    info.template_text = impl.chat_template->source();
  }
  if (impl.files.gguf) {
    for (const GgufField& field : impl.files.gguf->metadata().fields()) {
      info.metadata.emplace_back(std::string(field.key), GgufMetadata::text(field));
    }
  }
  info.unused_tensors = impl.unused_tensors;
  return info;
}

std::vector<TensorInfo> Model::tensors() const {
  std::vector<TensorInfo> all;
  for (const TensorEntry& t : impl_->files.tensors) {
    all.push_back({t.name, t.type, t.shape, static_cast<int64_t>(t.bytes)});
  }
  return all;
}

TensorStats Model::tensor_stats(const std::string& name) const {
  const TensorEntry* entry = find_tensor(impl_->files.tensors, name);
  check(entry != nullptr, ErrorCode::kNotFound, impl_->files.path, ": there is no tensor ", name,
        "; inspect --tensors lists them");
  const FormatInfo& format = format_info(entry->required_format());
  const int64_t n = entry->element_count();
  TensorStats stats{INFINITY, -INFINITY, 0, 0, n, 0};
  double sum = 0, squares = 0;
  // In pieces of whole blocks: a tensor may be larger than memory should hold as floats.
  const int64_t piece = int64_t{1} << 16;
  std::vector<float> values(static_cast<size_t>(piece));
  for (int64_t at = 0; at < n; at += piece) {
    const int64_t count = std::min(piece, n - at);
    format.unpack(entry->data + at / format.block * format.block_bytes, values.data(), count);
    for (int64_t i = 0; i < count; ++i) {
      const double v = static_cast<double>(values[static_cast<size_t>(i)]);
      if (std::isnan(v)) {
        ++stats.not_a_number;
        continue;
      }
      stats.min = std::min(stats.min, v);
      stats.max = std::max(stats.max, v);
      sum += v;
      squares += v * v;
    }
  }
  const double counted = static_cast<double>(n - stats.not_a_number);
  if (counted > 0) {
    stats.mean = sum / counted;
    stats.standard_deviation =
        std::sqrt(std::max(0.0, squares / counted - stats.mean * stats.mean));
  }
  return stats;
}

std::vector<int32_t> Model::tokenize(std::string_view text, bool special) const {
  return impl_->need_tokenizer().encode(text, {.add_special = special, .parse_special = special});
}

std::string Model::detokenize(const std::vector<int32_t>& ids, bool skip_special) const {
  return impl_->need_tokenizer().decode(ids, skip_special);
}

bool Model::has_template() const { return impl_->chat_template.has_value(); }

std::string Model::render(const TemplateRequest& request) const {
  check(has_template(), ErrorCode::kUnsupported, impl_->files.path,
        ": the model has no chat template; use --raw to continue text, or a model with one");
  Json context;
  context["messages"] = parse_json(request.messages, "messages");
  check(context["messages"].is_array(), ErrorCode::kFailed, "messages: must be a JSON array of ",
        "{\"role\", \"content\"}");
  if (!request.tools.empty()) context["tools"] = parse_json(request.tools, "tools");
  context["add_generation_prompt"] = request.add_generation_prompt;
  if (impl_->tokenizer != nullptr) add_special_tokens(context, *impl_->tokenizer);
  return impl_->chat_template->render(context, render_options(request.now));
}

std::string render_template(const std::string& source, const std::string& context,
                            const std::string& now) {
  const Json variables = parse_json(context, "context");
  check(variables.is_object(), ErrorCode::kFailed, "context: must be a JSON object of variables");
  return ChatTemplate(source).render(variables, render_options(now));
}

EvalResult Model::evaluate(const std::vector<int32_t>& ids, int64_t window,
                           const std::string& logits_path,
                           const std::function<void(int64_t, int64_t)>& on_progress) {
  Impl& impl = *impl_;
  CausalLm& model = impl.need_causal_lm();
  check(ids.size() >= 2, ErrorCode::kUsage, "eval: ", ids.size(),
        " tokens; at least 2 are needed to predict one from another");
  if (window <= 0) window = impl.default_context();
  EvalResult result;
  result.tokens = static_cast<int64_t>(ids.size());
  const KernelTable& kernels = impl.context->kernels();
  const int64_t total = result.tokens;
  // Pieces of a window, so that logits of long texts need not exist at once.
  constexpr int64_t kPiece = 256;
  std::optional<NpyWriter> logits_file;
  if (!logits_path.empty()) logits_file.emplace(logits_path, model.config().vocab_size);
  double nll = 0;
  int64_t predicted = 0;
  for (int64_t start = 0; start < total; start += window) {
    const int64_t end = std::min(total, start + window);
    KvCache cache(*impl.context, model.kv_shape(), impl.cache_type(), end - start);
    const int sequence = cache.add_sequence();
    for (int64_t at = start; at < end; at += kPiece) {
      const int64_t piece_end = std::min(end, at + kPiece);
      Batch batch;
      batch.add(
          std::span(ids).subspan(static_cast<size_t>(at), static_cast<size_t>(piece_end - at)),
          at - start, sequence);
      Tensor logits = model.logits(model.forward(batch, {.cache = &cache, .on_hidden = {}}));
      const int64_t vocab = logits.dim(1);
      for (int64_t i = at; i < piece_end; ++i) {
        float* row = logits.row(i - at);
        if (logits_file) logits_file->append(row, 1);
        if (i + 1 >= end) continue;
        const float top = kernels.max(row, vocab);
        const float target = row[ids[static_cast<size_t>(i + 1)]];
        nll += static_cast<double>(top) - static_cast<double>(target) +
               std::log(static_cast<double>(kernels.exp_sum(row, top, row, vocab)));
        ++predicted;
      }
      if (on_progress) on_progress(piece_end, total);
    }
  }
  if (logits_file) logits_file->finish();
  result.mean_nll = nll / static_cast<double>(std::max<int64_t>(1, predicted));
  result.perplexity = std::exp(result.mean_nll);
  return result;
}

std::string Model::packed_origin() const {
  return impl_->packed_cache != nullptr ? impl_->packed_cache->origin() : "";
}

void Model::finish_cache(const std::function<void(int64_t, int64_t)>& on_progress) {
  if (impl_->packed_cache != nullptr) impl_->packed_cache->finish(on_progress);
}

void Model::cancel() noexcept { impl_->context->cancel(); }

std::vector<std::string> model_names(const std::string& models_folder) {
  return list_models(models_folder);
}

}  // namespace zhiyin
