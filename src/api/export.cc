#include "zhiyin/export.h"

#include <algorithm>
#include <filesystem>

#include "api/calibration.h"
#include "api/export_job.h"
#include "api/model_impl.h"
#include "api/parity.h"
#include "api/requests.h"
#include "api/tokenizer_of.h"
#include "base/error.h"
#include "base/file.h"
#include "export/model_card.h"
#include "export/modelfile.h"
#include "io/lora_file.h"
#include "zhiyin/generate.h"

namespace zhiyin {
namespace {

namespace fs = std::filesystem;

constexpr size_t kParityRows = 24;  // of the training data
constexpr size_t kProbesOfData = 5;
constexpr int64_t kMostAnswerTokens = 256;

class Exporter {
 public:
  Exporter(const ExportOptions& options, const ExportProgress& progress)
      : options_(options), progress_(progress), base_name_(options.run) {
    // A run of finetuning_type: full leaves a model instead of an adapter.
    if (is_lora_adapter(options.run)) {
      adapter_ = read_lora_adapter(options.run);
      base_name_ = base_of(*adapter_, options.base, options.run);
    }
    base_ = open_model_files(base_name_, options.open.models_folder);
    base_.require_weights();
    tokenizer_ = tokenizer_of(base_);
    check(tokenizer_ != nullptr, ErrorCode::kUnsupported, base_.path,
          ": holds no tokenizer; put tokenizer.json beside the weights");
    trained_ = trained_template(options.run, base_);
    check(!trained_.text.empty(), ErrorCode::kUnsupported, options.run,
          ": holds no chat_template.jinja and the base has no chat template, so nothing says how "
          "to ask the model; tune with template: qwen");
    end_ = end_of_answer(*tokenizer_, ChatTemplate(trained_.text, trained_.origin));
    check(end_.has_value(), ErrorCode::kUnsupported, trained_.origin,
          ": writes no special token behind an answer, so the model could never stop; tune with "
          "template: qwen or with a base made for chat");
    name_ = options.name.empty() ? fs::path(options.out).lexically_normal().filename().string()
                                 : options.name;
    if (name_.empty()) name_ = fs::absolute(options.out).parent_path().filename().string();
  }

  ExportResult run(const std::vector<std::string>& types) {
    check(!fs::exists(options_.out) || fs::is_directory(options_.out), ErrorCode::kUsage,
          options_.out, ": is a file; name a folder for the export");
    fs::create_directories(options_.out);
    result_.template_origin = trained_.origin;
    const ExportParts parts(base_, options_.importance);
    read_rows();
    if (options_.probe || options_.calibrate) open_tuned();
    for (const std::string& type : types) write(parts, mix_of(type));
    write_modelfile();
    const std::string stickers = options_.run + "/stickers.json";
    if (file_exists(stickers)) write_file(options_.out + "/stickers.json", read_file(stickers));
    if (options_.probe) ask_tuned();
    for (ExportedFile& file : result_.files) examine(file);
    write_card();
    return std::move(result_);
  }

 private:
  void write(const ExportParts& parts, const MixInfo& mix) {
    ExportedFile file{.path = cat(options_.out, "/", name_, "-", mix.name, ".gguf"),
                      .type = mix.name};
    Context context({.threads = options_.open.threads});
    GgufExport job = parts.job(mix.mix);
    job.adapter = adapter_ ? &*adapter_ : nullptr;
    job.name = name_;
    job.chat_template = trained_.text;
    job.end_of_answer = end_;
    std::unique_ptr<LayerViews> views;
    if (!calibration_rows_.empty()) {
      views = view_layers(*tuned_, base_name_, tuned_options(), calibration_rows_);
    }
    job.views = views.get();
    job.add_bos = bos_of_template(*tokenizer_, ChatTemplate(trained_.text, trained_.origin));
    if (progress_) {
      job.on_progress = [&](int64_t done, int64_t total) {
        progress_(std::string("write ") + mix.name, done, total);
      };
    }
    const GgufExportResult written = write_gguf_model(context, job, file.path);
    file.bytes = written.bytes;
    file.tensors_packed = written.packed;
    file.tensors_copied = written.copied;
    file.tensors_refined = written.refined;
    note_importance(written, file.notes);
    check_vocabulary_lock(base_, file.path);
    result_.files.push_back(std::move(file));
  }

  void write_modelfile() {
    const ExportedFile& first = result_.files.front();
    const Model exported = Model::open(first.path, options_.open);
    std::vector<std::string> stop;
    for (const StopEntry& entry : exported.info().stop) {
      if (entry.id == *end_) stop.insert(stop.begin(), entry.text);
      if (entry.id != *end_ && !entry.text.empty()) stop.push_back(entry.text);
    }
    result_.modelfile = options_.out + "/Modelfile";
    write_file(result_.modelfile,
               modelfile_text(
                   {.gguf = fs::path(first.path).filename().string(),
                    .go_template = go_template_of(exported.impl().need_tokenizer(), trained_.text),
                    .system = options_.system,
                    .stop = stop}));
  }

  // Parity is measured on rows that were not rounded by.
  void read_rows() {
    std::string why;
    std::vector<TrainRow> rows =
        rows_of_run(options_.run, *tokenizer_, ChatTemplate(trained_.text, trained_.origin),
                    kMostCalibrationRows, why);
    const size_t step = std::max<size_t>(1, rows.size() / kParityRows);
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool compared = i % step == 0 && rows_.size() < kParityRows;
      (compared ? rows_ : calibration_rows_).push_back(std::move(rows[i]));
    }
    if (calibration_rows_.empty()) calibration_rows_ = rows_;
    if (rows_.empty()) {
      result_.notes.push_back("neither rounding nor comparison had training data: " + why);
    }
  }

  OpenOptions tuned_options() const {
    OpenOptions open = options_.open;
    if (adapter_) open.adapters = {options_.run};
    return open;
  }

  void open_tuned() {
    tuned_ = std::make_unique<Model>(Model::open(base_name_, tuned_options()));
    if (!adapter_ || !options_.calibrate) calibration_rows_.clear();
    if (calibration_rows_.empty()) return;
    calibration_rows_ =
        calibration_rows(*tuned_, calibration_rows_, [&](int64_t done, int64_t total) {
          say("ask everyday questions", static_cast<size_t>(done), static_cast<size_t>(total));
        });
  }

  // What the exported files are to say.
  void ask_tuned() {
    for (const char* question : {"你好", "你是谁？", "What is your name?"}) {
      probes_.push_back(question_request(question));
    }
    for (size_t i = 0; i < std::min(kProbesOfData, rows_.size()); ++i) {
      const TrainRow& row = rows_[i * rows_.size() / std::min(kProbesOfData, rows_.size())];
      probes_.push_back(
          raw_request(*tokenizer_, tokenizer_->decode(prompt_of(row), /*skip_special=*/false)));
    }
    for (GenerateRequest& probe : probes_) make_greedy(probe, kMostAnswerTokens);
    Generator generator(*tuned_, 2048);
    for (const GenerateRequest& probe : probes_) {
      say("ask the tuned model", answers_.size(), probes_.size());
      answers_.push_back(generator.run(probe).text);
    }
  }

  // Template lock, parity, stop test of one file.
  void examine(ExportedFile& file) {
    Model exported = Model::open(file.path, options_.open);
    const auto stops = exported.impl().stop_set();
    check(stops.contains(*end_), ErrorCode::kFailed, file.path, ": does not stop at ",
          tokenizer_->token_bytes(*end_), ", which ends an answer; do not use this file");
    result_.conversations =
        check_template_lock(exported, trained_.text, file.path, result_.modelfile);
    if (!options_.probe) return;
    if (!rows_.empty()) {
      file.parity = compare_models(*tuned_, exported, rows_, [&](int64_t done, int64_t total) {
        say("compare " + file.type, static_cast<size_t>(done), static_cast<size_t>(total));
      });
    }
    probe_stops(exported, file);
  }

  void probe_stops(Model& exported, ExportedFile& file) {
    Generator generator(exported, 2048);
    for (const GenerateRequest& probe : probes_) {
      say("ask " + file.type, static_cast<size_t>(file.probes), probes_.size());
      const GenerateResult answer = generator.run(probe);
      if (answer.finish_reason == "stop") ++file.stopped;
      if (answer.text == answers_[static_cast<size_t>(file.probes)]) ++file.same_answers;
      ++file.probes;
    }
    check(file.stopped > 0, ErrorCode::kFailed, file.path, ": none of ", file.probes,
          " questions got an answer that ends by itself within ", kMostAnswerTokens,
          " tokens; train longer, or look with doctor whether the base was made for chat");
    if (file.stopped < file.probes) {
      file.notes.push_back(cat(file.probes - file.stopped, " of ", file.probes,
                               " answers did not end within ", kMostAnswerTokens,
                               " tokens; more updates or a base made for chat help"));
    }
  }

  void write_card() {
    ModelCard card{
        .name = name_,
        .base = fs::path(base_name_).filename().string(),
        .chat_template = fs::path(trained_.origin).filename().string(),
        .has_modelfile_template = modelfile_template(read_file(result_.modelfile)).has_value(),
        .files = {}};
    for (const ExportedFile& file : result_.files) {
      card.files.push_back(
          {fs::path(file.path).filename().string(), file.type,
           cat((file.bytes + 500'000) / 1'000'000, " MB"),
           file.parity.positions == 0
               ? ""
               : cat("same token at ", std::round(file.parity.same_token_rate * 1000) / 10,
                     " % of ", file.parity.positions, " positions, KL ",
                     std::round(file.parity.mean_kl * 1e5) / 1e5),
           file.probes == 0 ? "" : cat(file.stopped, " of ", file.probes)});
    }
    result_.card = options_.out + "/README.md";
    write_file(result_.card, model_card_text(card));
  }

  void say(const std::string& what, size_t done, size_t total) const {
    if (progress_) progress_(what, static_cast<int64_t>(done), static_cast<int64_t>(total));
  }

  const ExportOptions& options_;
  const ExportProgress& progress_;
  std::optional<LoraAdapter> adapter_;  // absent: the run holds a model
  std::string base_name_, name_;
  ModelFiles base_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TrainedTemplate trained_;
  std::optional<int32_t> end_;
  // Of the tuned model, where files are examined.
  std::unique_ptr<Model> tuned_;
  std::vector<TrainRow> rows_, calibration_rows_;
  std::vector<GenerateRequest> probes_;
  std::vector<std::string> answers_;
  ExportResult result_;
};

}  // namespace

ExportResult export_run(const ExportOptions& options, const ExportProgress& progress) {
  std::vector<std::string> types = options.types;
  if (types.empty()) types = {"Q8_0", "Q4_K_M"};
  for (const std::string& type : types) mix_of(type);
  return Exporter(options, progress).run(types);
}

}  // namespace zhiyin
