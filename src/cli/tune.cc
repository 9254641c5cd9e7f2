#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/cat.h"
#include "base/progress.h"
#include "cli/verb.h"
#include "zhiyin/finetune.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  OpenOptions open;
  bool json = false, dry_run = false;
};

std::atomic<Tuner*> running{nullptr};

// "num_train_epochs 3 -> 4, learning_rate 5e-05 -> 0.0002"
std::string proposals_text(const TunePlan& plan) {
  std::vector<std::string> parts;
  for (const TuneProposal& p : plan.proposals) {
    parts.push_back(cat(p.key, " ", p.now, " -> ", p.proposed));
  }
  return join(parts);
}

void print_plan(const TunePlan& plan) {
  std::cout << tr("data      ", "数据      ") << plan.rows << tr(" rows, ", " 行，") << plan.tokens
            << tr(" tokens, ", " 个词元，") << plan.labels << tr(" of them to learn", " 个要学");
  if (plan.replayed > 0) {
    std::cout << tr("; ", "；") << plan.replayed
              << tr(" of the rows are refusals of the base", " 行是原模型自己的拒答");
  }
  if (plan.held_out > 0) {
    std::cout << tr("; ", "；") << plan.held_out << tr(" rows held out", " 行留作检验");
  }
  std::cout << '\n'
            << tr("updates   ", "更新      ") << plan.updates << tr(" over ", " 次，共 ")
            << plan.epochs << tr(" epochs", " 轮");
  if (plan.resumed_at > 0) std::cout << tr(", going on at ", "，继续自 ") << plan.resumed_at;
  std::cout << '\n'
            << tr("memory    ", "内存      ") << tr("about ", "约 ")
            << bytes_text(plan.memory_bytes) << tr(" of ", "，可用 ") << bytes_text(plan.free_bytes)
            << tr(" free; ", "；") << plan.trained_parameters
            << tr(" values are trained", " 个数值参与训练") << '\n'
            << tr("time      ", "时间      ") << tr("about ", "约 ") << duration_text(plan.seconds)
            << tr(" at ", "，每秒 ") << static_cast<int64_t>(plan.tokens_per_second)
            << tr(" tokens/s", " 个词元") << '\n';
  if (plan.memory_bytes > plan.free_bytes) {
    std::cout << tr("  this may not fit in memory: lower cutoff_len, or use a smaller base\n",
                    "  内存可能不够：请减小 cutoff_len，或换更小的模型\n");
  }
  if (plan.proposals_taken) {
    std::cout << tr("  plan: auto took ", "  plan: auto 采用了 ") << proposals_text(plan) << '\n';
  } else if (!plan.proposals.empty()) {
    std::cout << tr("  too little for such data, the model may hardly change; better: ",
                    "  对这些数据来说太少，模型可能几乎不变；建议：")
              << proposals_text(plan) << tr(", which gives ", "，共 ") << plan.proposed_updates
              << tr(" updates (plan=auto takes it)\n", " 次更新（plan=auto 即采用）\n");
  }
  for (const TuneNote& note : plan.notes) {
    std::cout << "  " << tr(note.english.c_str(), note.chinese.c_str()) << '\n';
  }
  std::cout << std::flush;
}

Json plan_json(const TunePlan& plan) {
  Json proposals = Json::object(), notes = Json::array();
  for (const TuneNote& note : plan.notes) notes.push_back(note.english);
  for (const TuneProposal& p : plan.proposals) proposals[p.key] = p.proposed;
  return {{"rows", plan.rows},
          {"replayed", plan.replayed},
          {"held_out", plan.held_out},
          {"tokens", plan.tokens},
          {"labels", plan.labels},
          {"updates", plan.updates},
          {"epochs", plan.epochs},
          {"resumed_at", plan.resumed_at},
          {"trained_parameters", plan.trained_parameters},
          {"memory_bytes", plan.memory_bytes},
          {"tokens_per_second", plan.tokens_per_second},
          {"seconds", plan.seconds},
          {"proposals", proposals},
          {"proposals_taken", plan.proposals_taken},
          {"notes", notes}};
}

void print_result(const TuneResult& result) {
  std::cout << result.updates << tr(" updates in ", " 次更新，用时 ")
            << duration_text(result.seconds) << tr(", last loss ", "，最后损失 ") << result.loss;
  if (result.eval_loss > 0) {
    std::cout << tr(", held out ", "，留作检验的损失 ") << result.eval_loss;
  }
  std::cout << '\n';
  if (result.stopped_early) {
    std::cout << tr(
        "stopped early: the loss of the rows held out did not fall any more "
        "(early_stopping_steps=0 never stops)\n",
        "提前停止：留作检验的损失不再下降（early_stopping_steps=0 则从不提前停止）\n");
  }
  if (result.best_step > 0) {
    std::cout
        << tr("kept the state after update ", "保留的是第 ") << result.best_step
        << tr(", the best on the rows held out (load_best_model_at_end=false keeps the last)\n",
              " 次更新后的状态，检验损失最低（load_best_model_at_end=false 保留最后的）\n");
  }
  std::cout << tr("written to ", "已写入 ") << result.output_dir << '\n';
}

void run(const Options& o) {
  const TuneConfig config = read_tune_config(o.config, o.overrides);
  Tuner tuner(config, o.open);
  running.store(&tuner);
  TuneResult result;
  TunePlan made;
  std::unique_ptr<Progress> progress;
  const bool lines = !o.json && isatty(STDERR_FILENO) == 0;
  const TuneCallbacks callbacks{
      .on_replay =
          [&](int64_t done, int64_t total) {
            if (!progress) {
              progress = std::make_unique<Progress>(
                  tr("ask the base for its refusals", "询问原模型会拒绝什么"), total);
            }
            progress->update(done);
            if (done == total) progress.reset();
          },
      .on_plan =
          [&](const TunePlan& plan) {
            made = plan;
            if (!o.json) print_plan(plan);
            progress = std::make_unique<Progress>(tr("tune", "微调"), plan.updates);
            return !o.dry_run;
          },
      .on_step =
          [&](const TuneStep& s) {
            char note[96];
            std::snprintf(note, sizeof note, "loss %.3f  lr %.1e  %.0f tokens/s", s.loss, s.rate,
                          s.tokens_per_second);
            progress->update(s.step, note);
            const auto every = static_cast<int64_t>(config.logging_steps);
            if (lines && (s.step % std::max<int64_t>(1, every) == 0 || s.step == s.total)) {
              std::cout << s.step << '/' << s.total << "  " << note << std::endl;
            }
          },
      .on_evaluation =
          [&](const TuneEvaluation& e) {
            if (!lines) return;
            std::cout << e.step << tr("  held out: loss ", "  检验：损失 ") << e.loss
                      << (e.best ? tr(", the best so far", "，目前最低") : "") << std::endl;
          }};
  // Who read the output may go away (`| head`, a closed tee); hours of training do not.
  std::signal(SIGPIPE, SIG_IGN);
  with_interrupt([] { running.load()->cancel(); }, [&] { result = tuner.run(callbacks); });
  progress.reset();
  if (o.json) {
    Json json = {{"plan", plan_json(made)}};
    if (!o.dry_run) {
      json.update(Json{{"updates", result.updates},
                       {"loss", result.loss},
                       {"eval_loss", result.eval_loss},
                       {"best_step", result.best_step},
                       {"stopped_early", result.stopped_early},
                       {"seconds", result.seconds},
                       {"output_dir", result.output_dir}});
    }
    std::cout << json << '\n';
  } else if (!o.dry_run) {
    print_result(result);
  }
}

}  // namespace

void add_tune(CLI::App& program) {
  auto o = std::make_shared<Options>();
  o->open.models_folder = environment().models_folder;
  o->open.isa = environment().isa;
  CLI::App* verb =
      add_verb(program, "tune", tr("Fine-tune a model on conversations", "用对话微调模型"),
               "zhiyin tune examples/tune.yaml num_train_epochs=5 plan=auto");
  verb->add_option("CONFIG", o->config,
                   tr("YAML with LLaMA-Factory's keys", "YAML，键名同 LLaMA-Factory"))
      ->required();
  verb->add_option("KEY=VALUE", o->overrides, tr("Stronger than the file", "覆盖文件中的值"));
  verb->add_option("--threads", o->open.threads, tr("Threads; 0: one a physical core", "线程数"));
  verb->add_flag("--exact", o->open.exact,
                 tr("Products in f32: slower, for comparing", "乘积用 f32：较慢，用于比较"));
  verb->add_flag("--dry-run", o->dry_run, tr("Print the plan and stop", "只打印计划，不训练"));
  verb->add_flag("--json", o->json, tr("Print JSON at the end", "结束时输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
