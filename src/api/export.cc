#include "zhiyin/export.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/file.h"
#include "export/gguf_export.h"
#include "export/modelfile.h"
#include "io/lora_file.h"
#include "zhiyin/generate.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

// What a tuning run leaves beside its adapter.
constexpr const char* kTrainingTemplate = "chat_template.jinja";

const MixInfo& mix_of(const std::string& type) {
  const MixInfo* mix = find_mix(type);
  check(mix != nullptr, ErrorCode::kUsage, "the type ", type, " is not known; there are ",
        join(quantize_types()));
  return *mix;
}

// A conversation that shows everything a template does with plain talk.
const char* const kSampleConversation =
    R"([{"role":"user","content":"你好"},{"role":"assistant","content":"在呢"},)"
    R"({"role":"user","content":"Who are you?"}])";

// The ids of the sample with a template that is not the model's own.
std::vector<int32_t> sample_ids(const Model& model, const std::string& chat_template) {
  nlohmann::ordered_json context;
  context["messages"] = nlohmann::ordered_json::parse(kSampleConversation);
  context["add_generation_prompt"] = true;
  const std::string text = ChatTemplate(chat_template, kTrainingTemplate).render(context);
  return model.impl().need_tokenizer().encode(text, {.add_special = false, .parse_special = true});
}

void check_template_lock(const Model& exported, const std::string& trained_template,
                         const std::string& path) {
  const std::string rendered = exported.render(
      {.messages = kSampleConversation, .tools = {}, .add_generation_prompt = true, .now = {}});
  const std::vector<int32_t> wanted = sample_ids(exported, trained_template);
  const std::vector<int32_t> got = exported.impl().need_tokenizer().encode(
      rendered, {.add_special = false, .parse_special = true});
  check(got == wanted, ErrorCode::kFailed, path,
        ": its chat template gives other tokens than training saw (", got.size(), " against ",
        wanted.size(), " for the sample conversation); do not use this file");
}

void probe_stops(Model& model, ExportedFile& file, const ExportProgress& progress) {
  const char* const questions[] = {"你好", "你是谁？", "What is your name?"};
  Generator generator(model, 1024);
  for (const char* question : questions) {
    if (progress) progress("probe " + file.type, file.probes, std::size(questions));
    GenerateRequest request;
    request.messages = nlohmann::json::array({{{"role", "user"}, {"content", question}}}).dump();
    request.sampling.temperature = 0;
    request.max_tokens = 256;
    ++file.probes;
    if (generator.run(request).finish_reason == "stop") ++file.stopped;
  }
  check(file.stopped > 0, ErrorCode::kFailed, file.path, ": none of ", file.probes,
        " short questions got an answer that ends by itself; train longer or look at the stop "
        "tokens with doctor");
}

}  // namespace

std::vector<std::string> quantize_types() {
  std::vector<std::string> names;
  for (const MixInfo& mix : all_mixes()) names.emplace_back(mix.name);
  return names;
}

ExportedFile quantize(const std::string& in, const std::string& out, const std::string& type,
                      const OpenOptions& open, const ExportProgress& progress) {
  const MixInfo& mix = mix_of(type);
  const ModelFiles base = open_model_files(in, open.models_folder);
  base.require_weights();
  Context context({.threads = open.threads});
  GgufExport job;
  job.base = &base;
  job.mix = mix.mix;
  if (progress) {
    job.on_progress = [&](int64_t done, int64_t total) { progress("quantize", done, total); };
  }
  const GgufExportResult written = write_gguf_model(context, job, out);
  return {out, mix.name, written.bytes, written.packed, written.copied};
}

ExportResult export_run(const ExportOptions& options, const ExportProgress& progress) {
  std::vector<std::string> types = options.types;
  if (types.empty()) types = {"Q8_0", "Q4_K_M"};
  for (const std::string& type : types) mix_of(type);
  const LoraAdapter adapter = read_lora_adapter(options.run);
  const std::string base_name = options.base.empty() ? adapter.base_model : options.base;
  check(!base_name.empty(), ErrorCode::kUsage, options.run,
        ": the adapter does not name its base model; give it with --base");
  const ModelFiles base = open_model_files(base_name, options.open.models_folder);
  base.require_weights();

  ExportResult result;
  std::string chat_template;
  const std::string trained = options.run + "/" + kTrainingTemplate;
  if (file_exists(trained)) {
    chat_template = read_file(trained);
    result.template_origin = trained;
  } else {
    check(!base.chat_templates.empty(), ErrorCode::kUnsupported, options.run, ": holds no ",
          kTrainingTemplate,
          " and the base has no chat template; the model could not be talked to");
    chat_template = base.chat_templates.front().text;
    result.template_origin = base.chat_templates.front().origin + " of the base";
  }

  fs::create_directories(options.out);
  const std::string name = options.name.empty()
                               ? fs::path(options.out).lexically_normal().filename().string()
                               : options.name;
  for (const std::string& type : types) {
    const MixInfo& mix = mix_of(type);
    ExportedFile file{.path = cat(options.out, "/", name, "-", mix.name, ".gguf"),
                      .type = mix.name};
    {
      Context context({.threads = options.open.threads});
      GgufExport job;
      job.base = &base;
      job.adapter = &adapter;
      job.mix = mix.mix;
      job.name = name;
      job.chat_template = chat_template;
      if (progress) {
        job.on_progress = [&](int64_t done, int64_t total) {
          progress(std::string("write ") + mix.name, done, total);
        };
      }
      const GgufExportResult written = write_gguf_model(context, job, file.path);
      file.bytes = written.bytes;
      file.tensors_packed = written.packed;
      file.tensors_copied = written.copied;
    }
    Model exported = Model::open(file.path, options.open);
    check_template_lock(exported, chat_template, file.path);
    if (options.probe) probe_stops(exported, file, progress);
    if (result.modelfile.empty()) {
      std::vector<std::string> stop;
      for (const StopEntry& entry : exported.info().stop) {
        if (!entry.text.empty()) stop.push_back(entry.text);
      }
      result.modelfile = options.out + "/Modelfile";
      write_file(result.modelfile, modelfile_text({.gguf = fs::path(file.path).filename().string(),
                                                   .chat_template = chat_template,
                                                   .system = options.system,
                                                   .stop = stop}));
    }
    result.files.push_back(file);
  }
  return result;
}

}  // namespace zhiyin
