#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/verb.h"
#include "zhiyin/finetune.h"

namespace zhiyin::cli {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  OpenOptions open;
  bool json = false;
};

std::atomic<Tuner*> running{nullptr};

void print_plan(const TunePlan& plan) {
  std::cout << plan.rows << tr(" rows, ", " 行，") << plan.tokens << tr(" tokens, ", " 个词元，")
            << plan.labels << tr(" of them to learn, ", " 个要学，") << plan.updates
            << tr(" updates", " 次更新");
  if (plan.held_out > 0) std::cout << ", " << plan.held_out << tr(" rows held out", " 行留作检验");
  if (plan.resumed_at > 0) std::cout << tr(", going on at ", "，继续自 ") << plan.resumed_at;
  std::cout << '\n';
  for (const std::string& note : plan.notes) std::cout << "  " << note << '\n';
  std::cout << std::flush;
}

void run(const Options& o) {
  const TuneConfig config = read_tune_config(o.config, o.overrides);
  Tuner tuner(config, o.open);
  running.store(&tuner);
  TuneResult result;
  std::unique_ptr<Progress> progress;
  const bool lines = !o.json && isatty(STDERR_FILENO) == 0;
  const TuneCallbacks callbacks{
      .on_plan =
          [&](const TunePlan& plan) {
            if (!o.json) print_plan(plan);
            progress = std::make_unique<Progress>(tr("tune", "微调"), plan.updates);
          },
      .on_step =
          [&](const TuneStep& s) {
            char note[96];
            std::snprintf(note, sizeof note, "loss %.3f  lr %.1e  %.0f tokens/s", s.loss, s.rate,
                          s.tokens_per_second);
            progress->update(s.step, note);
            if (lines &&
                (s.step % std::max<int64_t>(1, config.logging_steps) == 0 || s.step == s.total)) {
              std::cout << s.step << '/' << s.total << "  " << note << std::endl;
            }
          }};
  with_interrupt([] { running.load()->cancel(); }, [&] { result = tuner.run(callbacks); });
  progress.reset();
  if (o.json) {
    std::cout << nlohmann::ordered_json{{"updates", result.updates},
                                        {"loss", result.loss},
                                        {"eval_loss", result.eval_loss},
                                        {"seconds", result.seconds},
                                        {"output_dir", result.output_dir}}
              << '\n';
  } else {
    std::cout << result.updates << tr(" updates in ", " 次更新，用时 ")
              << duration_text(result.seconds) << tr(", last loss ", "，最后损失 ") << result.loss
              << tr("; in ", "；位于 ") << result.output_dir << '\n';
  }
}

}  // namespace

void add_tune(CLI::App& program) {
  auto o = std::make_shared<Options>();
  o->open.models_folder = environment().models_folder;
  o->open.isa = environment().isa;
  CLI::App* verb =
      add_verb(program, "tune", tr("Fine-tune a model on conversations", "用对话微调模型"),
               "zhiyin tune examples/tune.yaml num_train_epochs=5");
  verb->add_option("CONFIG", o->config,
                   tr("YAML with LLaMA-Factory's keys", "YAML，键名同 LLaMA-Factory"))
      ->required();
  verb->add_option("KEY=VALUE", o->overrides, tr("Stronger than the file", "覆盖文件中的值"));
  verb->add_option("--threads", o->open.threads, tr("Threads; 0: one a physical core", "线程数"));
  verb->add_flag("--json", o->json, tr("Print JSON at the end", "结束时输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
