#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  std::string model, text, text_file;
  OpenOptions open;
  bool special = false, json = false;
};

void run(const Options& o, bool has_text) {
  const Model model = Model::open(o.model, o.open);
  check(has_text || !o.text_file.empty() || !stdin_is_terminal(), ErrorCode::kUsage,
        "tokenize: give TEXT, --text-file or text on standard input");
  const std::string text = has_text ? o.text : read_input(o.text_file.empty() ? "-" : o.text_file);
  const std::vector<int32_t> ids = model.tokenize(text, o.special);
  if (o.json) {
    std::vector<std::string> pieces;
    for (const int32_t id : ids) pieces.push_back(model.detokenize({id}, false));
    std::cout << nlohmann::ordered_json{{"ids", ids}, {"pieces", pieces}}.dump(
                     -1, ' ', false, nlohmann::json::error_handler_t::replace)
              << '\n';
    return;
  }
  std::string line;
  for (const int32_t id : ids) {
    if (!line.empty()) line += ' ';
    line += std::to_string(id);
  }
  std::cout << line << '\n';
}

}  // namespace

void add_tokenize(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "tokenize", tr("Text to token ids", "文本转词元编号"),
                            "zhiyin tokenize qwen2.5-coder-0.5b 你好");
  add_model_flags(*verb, o->model, o->open);
  CLI::Option* text = verb->add_option("TEXT", o->text, tr("The text", "文本"));
  verb->add_option("--text-file", o->text_file,
                   tr("Read the text from a file; -: standard input", "从文件读取；-：标准输入"));
  verb->add_flag("--special", o->special,
                 tr("Add BOS and the like, recognise control tokens in the text",
                    "加上 BOS 等，并识别文本里的控制词元"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o, text] { run(*o, text->count() > 0); });
}

}  // namespace zhiyin::cli
