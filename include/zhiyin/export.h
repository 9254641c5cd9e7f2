// From a tuning run to files that other programs load: merged and quantised GGUF with the chat
// template of training, an Ollama Modelfile, a merged Hugging Face folder, adapters of either kind.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

using ExportProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

struct ExportOptions {
  std::string run;                 // output_dir of `tune`, or an adapter
  std::string out;                 // a folder, made if need be
  std::vector<std::string> types;  // mixes as "Q4_K_M"; empty: Q8_0 and Q4_K_M
  std::string name;                // of the model and its files; empty: that of the out folder
  std::string base;                // empty: what the adapter names
  std::string system;              // SYSTEM of the Modelfile
  std::string importance;          // an importance matrix of llama.cpp; empty: none
  // Whether matrices that the adapter changes are rounded by what the layers say on training rows.
  // Rounded one by one, weights of a quantised base fall back to where they were and what was
  // learned is lost.
  bool calibrate = true;
  bool probe = true;  // whether each file must answer and stop by itself
  OpenOptions open;
};

// An exported model against the tuned one (base and adapter), at every position of some rows of the
// training data at which an answer is written.
struct ParityReport {
  int64_t rows = 0, positions = 0;  // 0: not compared
  double largest_logit_difference = 0;
  double mean_kl = 0;          // of the exported model's distribution from the tuned one's, nats
  double same_token_rate = 0;  // positions at which both would write the same token
};

struct ExportedFile {
  std::string path, type;
  int64_t bytes = 0;
  int64_t tensors_packed = 0, tensors_copied = 0;
  int64_t tensors_refined = 0;  // of those packed: rounded by their outputs
  int probes = 0, stopped = 0;  // questions asked; answers that ended by themselves
  int same_answers = 0;         // answers that are the tuned model's, word for word
  ParityReport parity = {};
  std::vector<std::string> notes = {};  // what a user should know of
};

struct ExportResult {
  std::vector<ExportedFile> files;
  std::string modelfile;
  std::string card;             // README.md, the model card
  std::string template_origin;  // where the chat template in the files comes from
  int conversations = 0;        // that gave the same ids in training, from the GGUF, from Ollama
  std::vector<std::string> notes;
};

// Fails, after writing, with kFailed when the ids that training saw for a sample conversation and
// those of the exported file's own template or of the Modelfile's differ, when a token of a Hugging
// Face base became another one, or when an answer does not end by itself.
ExportResult export_run(const ExportOptions& options, const ExportProgress& progress);

struct QuantizeOptions {
  std::string in;          // a GGUF or a Hugging Face folder
  std::string out;         // the GGUF to write; not needed for a preview
  std::string type;        // a mix as "Q4_K_M"
  std::string importance;  // an importance matrix of llama.cpp; empty: none
  OpenOptions open;
};

// A model as GGUF in a mix. Metadata and template stay those of the model.
ExportedFile quantize(const QuantizeOptions& options, const ExportProgress& progress);

// What quantize() would write.
struct QuantizeStep {
  std::string name, from, to;  // tensor as in the GGUF; formats
  std::vector<int64_t> shape;
  int64_t bytes_before = 0, bytes = 0;
  double relative_error = 0;  // root of the summed squares of differences, over that of the values
  double largest_error = 0;
};
struct QuantizePreview {
  std::vector<QuantizeStep> tensors;
  int64_t bytes_before = 0, bytes = 0, elements = 0;
  double relative_error = 0;  // of all tensors together
  std::vector<std::string> notes;
};
QuantizePreview preview_quantize(const QuantizeOptions& options, const ExportProgress& progress);

struct MergeOptions {
  std::string model;  // output_dir of `tune`, an adapter of either kind, or a model without one
  std::string out;    // "….gguf": a GGUF; anything else: a Hugging Face folder
  std::string base;   // empty: what the adapter names
  // A mix for a GGUF (empty: F16); F32, F16 or BF16 for a folder (empty: as the base has it, F16
  // where the base is quantised).
  std::string type;
  std::string importance;  // for a GGUF: an importance matrix of llama.cpp
  OpenOptions open;
};

struct MergedModelFile {
  std::string path, type = {};
  int64_t bytes = 0, shards = 1;
  int64_t tensors_changed = 0, tensors_copied = 0;
  std::vector<std::string> notes = {};
};

// The model with its adapter merged, with the chat template of training where the run left one.
// Fails, after writing, with kFailed where a token of the base became another one.
MergedModelFile merge(const MergeOptions& options, const ExportProgress& progress);

struct AdapterOptions {
  std::string in;    // output_dir of `tune`, a PEFT folder or a GGUF adapter
  std::string out;   // "….gguf": a GGUF adapter; anything else: a PEFT folder
  std::string base;  // empty: what the adapter names
  OpenOptions open;
};

struct AdapterFile {
  std::string path;
  bool gguf = false;
  int64_t modules = 0, rank = 0;
  double alpha = 0;
  std::string base = {};  // as the adapter names it
};

// An adapter in the other form, or alone out of a run. The base is needed for its architecture and
// the size of its heads.
AdapterFile convert_adapter(const AdapterOptions& options);

// The names of the mixes.
std::vector<std::string> quantize_types();

}  // namespace zhiyin
