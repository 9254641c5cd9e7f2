// README.md of an exported model: what it is, whose voice it imitates, what was measured.
#pragma once

#include <string>
#include <vector>

namespace zhiyin {

struct ModelCard {
  std::string name, base;
  std::string chat_template;  // where it comes from, in words
  bool has_modelfile_template = false;
  struct File {
    std::string name, type, size;
    std::string parity;  // one line; empty: not measured
    std::string stops;   // "8 of 8"; empty: not asked
  };
  std::vector<File> files;
};

// English and Chinese. It says in both that the model is an AI's imitation.
std::string model_card_text(const ModelCard& card);

}  // namespace zhiyin
