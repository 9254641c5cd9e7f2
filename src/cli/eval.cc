#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/progress.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  std::string model, text_file, ids_file, logits;
  int64_t ctx = 0;
  bool json = false;
  OpenOptions open;
};

std::vector<int32_t> read_ids(const std::string& path) {
  std::istringstream in(read_input(path));
  std::vector<int32_t> ids;
  for (std::string word; in >> word;) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    check(error == std::errc() && end == word.data() + word.size(), ErrorCode::kFailed, path,
          ": \"", word, "\" is not a token id");
    ids.push_back(id);
  }
  return ids;
}

void run(const Options& o) {
  check(o.text_file.empty() != o.ids_file.empty(), ErrorCode::kUsage,
        "eval: give either --text-file or --ids-file");
  Model model = Model::open(o.model, o.open);
  const std::vector<int32_t> ids =
      o.ids_file.empty() ? model.tokenize(read_input(o.text_file), true) : read_ids(o.ids_file);
  EvalResult result;
  with_cancel(model, [&] {
    Progress progress("eval", static_cast<int64_t>(ids.size()));
    result =
        model.evaluate(ids, o.ctx, o.logits, [&](int64_t done, int64_t) { progress.update(done); });
  });
  if (o.json) {
    std::cout << nlohmann::ordered_json{{"tokens", result.tokens},
                                        {"mean_nll", result.mean_nll},
                                        {"perplexity", result.perplexity}}
              << '\n';
  } else {
    std::cout << "tokens " << result.tokens << ", mean nll " << result.mean_nll << ", perplexity "
              << result.perplexity << '\n';
  }
}

}  // namespace

void add_eval(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(
      program, "eval", tr("How well a model predicts a text (perplexity)", "模型对文本的困惑度"),
      "zhiyin eval qwen2.5-coder-0.5b --text-file novel.txt --json");
  add_model_flags(*verb, o->model, o->open);
  verb->add_option("--text-file", o->text_file,
                   tr("The text; -: standard input", "文本；-：标准输入"));
  verb->add_option("--ids-file", o->ids_file,
                   tr("Token ids separated by blanks, in place of text", "以空格分隔的词元编号"));
  verb->add_option("--logits", o->logits,
                   tr("Write logits as float32 .npy [tokens, vocab]", "写出 logits（.npy）"));
  verb->add_option("--ctx", o->ctx,
                   tr("Tokens of a window; 0: as many as fit", "窗口长度；0：能容纳多少就多少"));
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
