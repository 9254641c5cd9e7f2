#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, stats;
  bool tensors = false, json = false;
  OpenOptions open;
};

std::string shape_text(const std::vector<int64_t>& shape) { return "[" + join(shape) + "]"; }

std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

// Weights as they lie in the file, the packed form of the fast mode, and keys and values.
int64_t memory_at(const ModelInfo& info, int64_t context) {
  return info.bytes + info.kv_bytes_per_token * context;
}

std::vector<int64_t> contexts_of(const ModelInfo& info) {
  std::vector<int64_t> contexts;
  for (int64_t n = 2048; n < info.max_positions; n *= 4) contexts.push_back(n);
  if (info.max_positions > 0) contexts.push_back(info.max_positions);
  return contexts;
}

Json to_json(const ModelInfo& info) {
  Json stop = Json::array();
  for (const StopEntry& s : info.stop) {
    stop.push_back({{"id", s.id}, {"text", s.text}, {"origin", s.origin}});
  }
  Json memory = Json::object(), metadata = Json::object();
  for (const int64_t n : contexts_of(info)) memory[std::to_string(n)] = memory_at(info, n);
  for (const auto& [key, value] : info.metadata) metadata[key] = value;
  return {{"path", info.path},
          {"kind", info.kind},
          {"architecture", info.architecture},
          {"family", info.family},
          {"parameters", info.parameters},
          {"bytes", info.bytes},
          {"bytes_by_type", info.bytes_by_type},
          {"layers", info.layers},
          {"hidden_size", info.hidden_size},
          {"intermediate_size", info.intermediate_size},
          {"heads", info.heads},
          {"kv_heads", info.kv_heads},
          {"head_dim", info.head_dim},
          {"vocab_size", info.vocab_size},
          {"max_positions", info.max_positions},
          {"kv_bytes_per_token", info.kv_bytes_per_token},
          {"memory_at_context", memory},
          {"tokenizer", info.tokenizer},
          {"stop", stop},
          {"template", {{"origin", info.template_origin}, {"text", info.template_text}}},
          {"metadata", metadata},
          {"warnings", info.warnings}};
}

void print(const ModelInfo& info) {
  const auto line = [](const char* name, const std::string& value) {
    std::cout << std::left << std::setw(14) << name << value << '\n';
  };
  line("file", info.path + " (" + info.kind + ")");
  if (!info.architecture.empty()) {
    line("architecture", info.architecture + ", family " + info.family);
    line("shape", cat(info.layers, " layers, width ", info.hidden_size, ", feed-forward ",
                      info.intermediate_size, ", ", info.heads, " heads of ", info.head_dim, ", ",
                      info.kv_heads, " for keys and values"));
    line("vocabulary", cat(info.vocab_size, ", positions ", info.max_positions));
  }
  line("parameters", cat(info.parameters, " in ", bytes_text(info.bytes)));
  for (const auto& [type, bytes] : info.bytes_by_type) {
    line("", type + "  " + bytes_text(bytes));
  }
  for (const int64_t n : contexts_of(info)) {
    line("memory", bytes_text(memory_at(info, n)) + " with a context of " + std::to_string(n));
  }
  line("tokenizer", info.tokenizer.empty() ? "none" : info.tokenizer);
  for (const StopEntry& s : info.stop)
    line("stops at", cat(s.id, " ", s.text, "  (", s.origin, ")"));
  line("template", info.template_origin.empty()
                       ? "none"
                       : cat(info.template_origin, ", ", info.template_text.size(), " bytes"));
  for (const std::string& warning : info.warnings) line("warning", warning);
  if (!info.metadata.empty()) std::cout << "metadata\n";
  for (const auto& [key, value] : info.metadata) std::cout << "  " << key << " = " << value << '\n';
}

void run(const Options& o) {
  const Model model = Model::open(o.model, o.open);
  if (!o.stats.empty()) {
    const TensorStats s = model.tensor_stats(o.stats);
    const Json json{{"tensor", o.stats},    {"elements", s.elements}, {"min", s.min},
                    {"max", s.max},         {"mean", s.mean},         {"std", s.standard_deviation},
                    {"nan", s.not_a_number}};
    if (o.json) {
      std::cout << json << '\n';
    } else {
      for (const auto& [key, value] : json.items()) std::cout << key << ' ' << value << '\n';
    }
    return;
  }
  Json json = to_json(model.info());
  if (o.tensors) {
    json["tensors"] = Json::array();
    for (const TensorInfo& t : model.tensors()) {
      json["tensors"].push_back(
          {{"name", t.name}, {"type", t.type}, {"shape", t.shape}, {"bytes", t.bytes}});
    }
  }
  if (o.json) {
    std::cout << dump(json) << '\n';
    return;
  }
  print(model.info());
  if (!o.tensors) return;
  std::cout << "tensors\n";
  for (const TensorInfo& t : model.tensors()) {
    std::cout << "  " << std::left << std::setw(6) << t.type << ' ' << std::setw(18)
              << shape_text(t.shape) << ' ' << t.name << '\n';
  }
}

}  // namespace

void add_inspect(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "inspect", tr("What is in a model", "查看模型内容"),
                            "zhiyin inspect qwen2.5-coder-0.5b --tensors");
  add_model_flags(*verb, o->model, o->open);
  verb->add_flag("--tensors", o->tensors, tr("List the tensors", "列出张量"));
  verb->add_option("--stats", o->stats,
                   tr("Minimum, maximum, mean, deviation and NaN count of a tensor",
                      "某个张量的最小、最大、均值、标准差和 NaN 数"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
