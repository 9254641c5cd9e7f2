#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "cli/repl.h"
#include "cli/sampling_flags.h"
#include "cli/verb.h"
#include "zhiyin/generate.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, prompt, system, messages, stickers, draft, speculate = "auto";
  bool raw = false, json = false;
  int64_t max_tokens = -1, ctx = 0;
  std::vector<std::string> stop;
  SamplingOptions sampling;
  OpenOptions open;

  // Adapters are for the model that answers.
  OpenOptions open_draft() const {
    OpenOptions options = open;
    options.adapters.clear();
    return options;
  }
};

// The conversation that the flags describe.
Json messages_of(const Options& o, const std::string& prompt) {
  Json messages = Json::array();
  if (!o.messages.empty()) {
    try {
      messages = Json::parse(read_input(o.messages));
    } catch (const Json::parse_error& e) {
      fail(ErrorCode::kFailed, o.messages, ": is not valid JSON at byte ", e.byte);
    }
    check(messages.is_array(), ErrorCode::kFailed, o.messages, ": must hold a JSON array");
  }
  if (!o.system.empty()) {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", o.system}});
  }
  if (!prompt.empty()) messages.push_back({{"role", "user"}, {"content", prompt}});
  check(!messages.empty(), ErrorCode::kUsage,
        "run: there is nothing to answer; give PROMPT, --messages or text on standard input");
  return messages;
}

Json to_json(const GenerateResult& r) {
  return {{"text", r.text},
          {"ids", r.ids},
          {"prompt_ids", r.prompt_ids},
          {"finish_reason", r.finish_reason},
          {"timings",
           {{"prompt_n", r.prompt_n},
            {"prompt_ms", r.prompt_ms},
            {"predicted_n", r.predicted_n},
            {"predicted_ms", r.predicted_ms},
            {"draft_n", r.draft_n},
            {"draft_n_accepted", r.draft_accepted_n},
            {"load_ms", r.load_ms}}}};
}

Stickers stickers_for(const Options& o, const Model& model) {
  if (o.stickers == "none") return {};
  return o.stickers.empty() ? Stickers::beside(model) : Stickers::read(o.stickers);
}

void run(const Options& o) {
  Model model = Model::open(o.model, o.open);
  std::optional<Model> draft;
  if (!o.draft.empty()) draft = Model::open(o.draft, o.open_draft());
  const Stickers stickers = stickers_for(o, model);
  std::string prompt = o.prompt;
  if (!stdin_is_terminal()) {
    std::string piped = read_input("-");
    while (!piped.empty() && (piped.back() == '\n' || piped.back() == '\r')) piped.pop_back();
    if (!piped.empty()) prompt += (prompt.empty() ? "" : "\n") + piped;
  } else if (prompt.empty() && o.messages.empty()) {
    repl(model, draft ? &*draft : nullptr,
         {.system = o.system,
          .raw = o.raw,
          .max_tokens = o.max_tokens,
          .context = o.ctx,
          .stop = o.stop,
          .sampling = o.sampling,
          .stickers = stickers,
          .speculate = o.speculate});
    finish_cache(model);
    return;
  }
  GenerateRequest request;
  if (o.raw) {
    check(!prompt.empty(), ErrorCode::kUsage, "run: --raw needs a text to continue");
    request.raw_prompt = prompt;
  } else {
    request.messages = messages_of(o, prompt).dump();
  }
  request.sampling = o.sampling;
  request.max_tokens = o.max_tokens;
  request.stop = o.stop;
  request.names = stickers.names();
  request.speculate = o.speculate;
  StickerStream shown(stickers, sticker_style());
  if (!o.json) {
    request.on_text = [&](std::string_view text) { std::cout << shown.add(text) << std::flush; };
  }
  GenerateResult result;
  with_cancel(model, [&] {
    Generator generator(model, o.ctx, draft ? &*draft : nullptr);
    Progress progress(tr("reading the prompt", "读取提示"), 0);
    request.on_prefill = [&](int64_t done, int64_t total) {
      progress.set_total(total);
      progress.update(done);
    };
    result = generator.run(request);
  });
  if (o.json) {
    std::cout << to_json(result).dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  } else {
    std::cout << shown.flush();
    if (result.text.empty() || result.text.back() != '\n') std::cout << '\n';
  }
  if (result.finish_reason == "cancelled") throw ExitCode{130};
  finish_cache(model);
}

}  // namespace

void add_run(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* verb = add_verb(program, "run", tr("Ask a model, or talk to it", "提问或聊天"),
                            "zhiyin run qwen2.5-coder-1.5b --draft qwen2.5-coder-0.5b 你好");
  add_model_flags(*verb, o->model, o->open);
  verb->add_option("PROMPT", o->prompt,
                   tr("The question; standard input is appended. None, on a terminal: a chat",
                      "问题；标准输入会接在后面。终端上省略则进入聊天"));
  verb->add_option("--system", o->system, tr("System message", "系统消息"));
  verb->add_option("--messages", o->messages,
                   tr("JSON array of messages that come before", "此前的消息（JSON 数组）"));
  verb->add_flag(
      "--raw", o->raw,
      tr("Continue the text as it is, without the chat template", "不用聊天模板，直接续写"));
  verb->add_option("--max-tokens", o->max_tokens,
                   tr("Longest answer; -1: until it stops", "回答的最大长度；-1：直到停止"));
  verb->add_option("--ctx", o->ctx,
                   tr("Context; 0: as much as the model and memory allow", "上下文长度；0：自动"));
  verb->add_option("--stop", o->stop, tr("A text that ends the answer", "遇到即停的文本"))
      ->allow_extra_args(false);  // or it would take the question that follows
  verb->add_option(
      "--stickers", o->stickers,
      tr("Catalogue of [[names]] to show as pictures (stickers.json beside the model "
         "is found; none: leave them as names)",
         "表情目录，把 [[名字]] 显示为图片（默认用模型旁的 stickers.json；none：只显示名字）"));
  verb->add_option("--draft", o->draft,
                   tr("A smaller model with the same vocabulary that proposes tokens; the answer "
                      "stays the same",
                      "词表相同的小模型，用于提议词元；回答不变"));
  verb->add_option("--speculate", o->speculate,
                   tr("Whether tokens that stood in the text before, or that the draft proposes, "
                      "are checked several at a time: as it pays, always, off",
                      "是否一次验证多个候选词元（来自上文或草稿模型）：按收益、总是、关闭"))
      ->check(CLI::IsMember({"auto", "always", "off"}))
      ->capture_default_str();
  add_sampling_flags(*verb, o->sampling);
  verb->add_flag("--json", o->json, tr("Print JSON", "输出 JSON"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
