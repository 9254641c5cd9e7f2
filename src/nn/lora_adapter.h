// A LoRA adapter as plain data: what src/train makes, src/io reads and writes and
// Linear::adapters() is filled from (Hu et al. 2021; scale of rsLoRA: Kalajdzievski 2023).
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace zhiyin {

// y += scale * x . a^T . b^T
struct LoraFactors {
  int64_t rank = 0, in = 0, out = 0;
  std::vector<float> a;  // [rank, in]
  std::vector<float> b;  // [out, rank]
};

struct LoraAdapter {
  int64_t rank = 0;  // of every module that does not differ
  double alpha = 0;
  bool rslora = false;     // scale alpha / sqrt(rank) instead of alpha / rank
  double dropout = 0;      // of training
  std::string base_model;  // as the adapter's files name it; may be empty
  // Jinja, of training, where the files hold it: asked otherwise the model would not answer as it
  // learned.
  std::string chat_template;
  // Rows of b for q and k stand in adjacent pairs, as RopeConfig::adjacent says of a model.
  bool rope_pairs = false;
  // By the path of the linear layer: "model.layers.0.self_attn.q_proj".
  std::map<std::string, LoraFactors, std::less<>> modules;

  float scale(const LoraFactors& factors) const {
    const double r = static_cast<double>(factors.rank);
    return static_cast<float>(alpha / (rslora ? std::sqrt(r) : r));
  }
};

}  // namespace zhiyin
