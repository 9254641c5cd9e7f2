// From a tuning run to files that other programs load: merged and quantised GGUF with the chat
// template of training, and an Ollama Modelfile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "zhiyin/model.h"

namespace zhiyin {

struct ExportOptions {
  std::string run;                 // output_dir of `tune`, or a PEFT adapter folder
  std::string out;                 // a folder, made if need be
  std::vector<std::string> types;  // mixes as "Q4_K_M"; empty: Q8_0 and Q4_K_M
  std::string name;                // of the model and its files; empty: that of the out folder
  std::string base;                // empty: what the adapter names
  std::string system;              // SYSTEM of the Modelfile
  bool probe = true;               // whether each file must answer and stop by itself
  OpenOptions open;
};

struct ExportedFile {
  std::string path, type;
  int64_t bytes = 0;
  int64_t tensors_packed = 0, tensors_copied = 0;
  int probes = 0, stopped = 0;  // short answers that ended by themselves
};

struct ExportResult {
  std::vector<ExportedFile> files;
  std::string modelfile;
  std::string template_origin;  // where the chat template in the files comes from
};

using ExportProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

// Fails, after writing, with kFailed when the ids that training saw for a sample conversation and
// those of the exported file's own template differ, or when no probe stops by itself.
ExportResult export_run(const ExportOptions& options, const ExportProgress& progress);

// A GGUF in another mix. Metadata and template stay.
ExportedFile quantize(const std::string& in, const std::string& out, const std::string& type,
                      const OpenOptions& open, const ExportProgress& progress);

// The names of the mixes.
std::vector<std::string> quantize_types();

}  // namespace zhiyin
