#include <iostream>

#include "base/error.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

struct Options {
  std::string model, messages, tools, template_file, context, now;
  bool no_generation_prompt = false;
  OpenOptions open;
};

void run(const Options& o) {
  std::string text;
  if (!o.template_file.empty()) {
    check(!o.context.empty() && o.model.empty(), ErrorCode::kUsage,
          "template: --template takes --context and no MODEL");
    text = render_template(read_input(o.template_file), read_input(o.context), o.now);
  } else {
    check(!o.model.empty() && !o.messages.empty(), ErrorCode::kUsage,
          "template: give MODEL and --messages, or --template and --context");
    text = Model::open(o.model, o.open)
               .render({.messages = read_input(o.messages),
                        .tools = o.tools.empty() ? "" : read_input(o.tools),
                        .add_generation_prompt = !o.no_generation_prompt,
                        .now = o.now});
  }
  std::cout << text << std::flush;
}

}  // namespace

void add_template(CLI::App& program) {
  auto o = std::make_shared<Options>();
  o->open.models_folder = environment().models_folder;
  CLI::App* verb = add_verb(program, "template",
                            tr("The prompt that a chat template makes", "聊天模板渲染出的提示"),
                            "zhiyin template qwen2.5-coder-0.5b --messages chat.json");
  verb->add_option("MODEL", o->model, tr("The model whose template is used", "使用其模板的模型"));
  verb->add_option("--messages", o->messages, tr("JSON array of messages", "消息的 JSON 数组"));
  verb->add_option("--tools", o->tools, tr("JSON array of tools", "工具的 JSON 数组"));
  verb->add_flag("--no-generation-prompt", o->no_generation_prompt,
                 tr("Do not open the assistant's answer", "不加回答的开头"));
  verb->add_option("--template", o->template_file, tr("A Jinja file", "Jinja 文件"));
  verb->add_option("--context", o->context,
                   tr("JSON object with every variable", "含全部变量的 JSON 对象"));
  verb->add_option("--now", o->now, tr("The time that strftime_now shows", "strftime_now 的时间"));
  verb->callback([o] { run(*o); });
}

}  // namespace zhiyin::cli
