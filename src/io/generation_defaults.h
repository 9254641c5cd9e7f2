// Sampling defaults that a model brings along: generation_config.json or general.sampling.* of a
// GGUF. A field is set only where the file says so; src/api turns them into a sampler chain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace zhiyin {

struct GenerationDefaults {
  std::string origin;  // "generation_config.json", "general.sampling.*", "" when there are none

  std::optional<bool> do_sample;  // false: greedy unless asked otherwise
  std::optional<double> temperature, top_p, min_p, typical_p, top_n_sigma;
  std::optional<int64_t> top_k;
  std::optional<double> repetition_penalty;
  std::optional<int64_t> penalty_last_n;  // tokens that repetition_penalty looks back; -1 = all
  std::optional<double> xtc_probability, xtc_threshold;
  std::optional<int64_t> mirostat;
  std::optional<double> mirostat_tau, mirostat_eta;
  std::optional<std::string> sequence;  // sampler order as llama.cpp writes it
  std::optional<int64_t> max_new_tokens;

  std::optional<int64_t> bos_id, pad_id;
  std::vector<int64_t> eos_ids;  // generation ends at each of them
};

}  // namespace zhiyin
