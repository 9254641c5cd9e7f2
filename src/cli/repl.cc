#include "cli/repl.h"

#include <editline/readline.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "cli/verb.h"

namespace zhiyin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHelpEnglish =
    "/system TEXT    set the system message      /set NAME VALUE  set temp, top_k, top_p, min_p,\n"
    "/clear          forget the conversation                      repeat_penalty, seed, "
    "max_tokens\n"
    "/save FILE      write the conversation      /load FILE       go on with one\n"
    "/stats          speed of the last answer    /bye             leave\n"
    "\"\"\" begins and ends a message of several lines; Ctrl-C stops an answer.";
constexpr const char* kHelpChinese =
    "/system 文本    设置系统消息        /set 名字 值   设置 temp、top_k、top_p、min_p、\n"
    "/clear          清空对话                           repeat_penalty、seed、max_tokens\n"
    "/save 文件      保存对话            /load 文件     继续已保存的对话\n"
    "/stats          上个回答的速度      /bye           退出\n"
    "\"\"\" 开始和结束多行消息；Ctrl-C 停止回答。";

class Repl {
 public:
  Repl(Model& model, Model* draft, const ReplOptions& options)
      : model_(model), options_(options), generator_(model, options.context, draft) {
    clear();
  }

  void run() {
    const std::string history = environment().home + "/history";
    using_history();
    read_history(history.c_str());
    std::signal(SIGINT, SIG_IGN);  // at the prompt Ctrl-C does nothing; answers handle it
    std::cout << tr("/help lists the commands, /bye ends.\n", "/help 查看命令，/bye 退出。\n");
    while (const std::optional<std::string> line = read_message()) {
      if (line->empty()) continue;
      add_history(line->c_str());
      try {
        if (line->front() == '/') {
          if (!command(*line)) break;
        } else {
          answer(*line);
        }
      } catch (const Error& e) {
        std::cout << "zhiyin: " << e.what() << '\n';
      }
    }
    std::error_code ignored;
    std::filesystem::create_directories(environment().home, ignored);
    write_history(history.c_str());
  }

 private:
  // A line, or the lines between two """.
  static std::optional<std::string> read_message() {
    std::optional<std::string> first = read_line(">>> ");
    if (!first || first->rfind("\"\"\"", 0) != 0) return first;
    std::string text = first->substr(3);
    for (;;) {
      if (const size_t end = text.find("\"\"\""); end != std::string::npos) {
        return text.substr(0, end);
      }
      const std::optional<std::string> more = read_line("... ");
      if (!more) return text;
      text += "\n" + *more;
    }
  }

  static std::optional<std::string> read_line(const char* prompt) {
    char* line = readline(prompt);
    if (line == nullptr) {
      std::cout << '\n';
      return std::nullopt;
    }
    std::string text = line;
    std::free(line);
    return text;
  }

  void clear() {
    messages_ = Json::array();
    if (!options_.system.empty()) {
      messages_.push_back({{"role", "system"}, {"content", options_.system}});
    }
  }

  void answer(const std::string& text) {
    GenerateRequest request;
    request.sampling = options_.sampling;
    request.max_tokens = options_.max_tokens;
    request.stop = options_.stop;
    request.names = options_.stickers.names();
    request.speculate = options_.speculate;
    StickerStream shown(options_.stickers, sticker_style());
    request.on_text = [&](std::string_view piece) { std::cout << shown.add(piece) << std::flush; };
    if (options_.raw) {
      request.raw_prompt = text;
    } else {
      messages_.push_back({{"role", "user"}, {"content", text}});
      request.messages = messages_.dump();
    }
    try {
      with_cancel(model_, [&] { last_ = generator_.run(request); });
    } catch (...) {
      if (!options_.raw) messages_.erase(messages_.size() - 1);
      std::signal(SIGINT, SIG_IGN);
      throw;
    }
    std::signal(SIGINT, SIG_IGN);
    std::cout << shown.flush();
    std::cout << (last_.finish_reason == "stop" ? "\n" : tr(" [stopped early]\n", " [未说完]\n"));
    if (!options_.raw) messages_.push_back({{"role", "assistant"}, {"content", last_.text}});
  }

  // False for /bye.
  bool command(const std::string& line) {
    std::istringstream words(line);
    std::string name, rest;
    words >> name;
    std::getline(words >> std::ws, rest);
    if (name == "/bye" || name == "/exit" || name == "/quit") return false;
    if (name == "/help" || name == "/?") {
      std::cout << tr(kHelpEnglish, kHelpChinese) << '\n';
    } else if (name == "/clear") {
      clear();
    } else if (name == "/system") {
      options_.system = rest;
      clear();
    } else if (name == "/set") {
      set(rest);
    } else if (name == "/save") {
      need_file(rest);
      write_file(rest, messages_.dump(1) + "\n");
    } else if (name == "/load") {
      need_file(rest);
      load(rest);
    } else if (name == "/stats") {
      print_stats();
    } else {
      std::cout << tr("unknown command; /help lists them\n", "未知命令；/help 查看命令\n");
    }
    return true;
  }

  static void need_file(const std::string& path) {
    check(!path.empty(), ErrorCode::kUsage, "give the name of a file");
  }

  void load(const std::string& path) {
    const Json loaded = Json::parse(read_file(path), nullptr, false);
    check(loaded.is_array(), ErrorCode::kFailed, path, ": holds no conversation");
    messages_ = loaded;
    std::cout << messages_.size() << tr(" messages\n", " 条消息\n");
  }

  void set(const std::string& words) {
    std::istringstream in(words);
    std::string name;
    double value = 0;
    check(static_cast<bool>(in >> name >> value), ErrorCode::kUsage, "/set NAME VALUE");
    SamplingOptions& s = options_.sampling;
    if (name == "temp" || name == "temperature") {
      s.temperature = value;
    } else if (name == "top_k") {
      s.top_k = static_cast<int>(value);
    } else if (name == "top_p") {
      s.top_p = value;
    } else if (name == "min_p") {
      s.min_p = value;
    } else if (name == "repeat_penalty") {
      s.repeat_penalty = value;
    } else if (name == "seed") {
      s.seed = static_cast<uint64_t>(value);
    } else if (name == "max_tokens") {
      options_.max_tokens = static_cast<int64_t>(value);
    } else {
      fail(ErrorCode::kUsage, "there is no setting ", name,
           "; there are temp, top_k, top_p, min_p, repeat_penalty, seed, max_tokens");
    }
  }

  void print_stats() const {
    const auto speed = [](int64_t n, double ms) {
      return ms > 0 ? static_cast<double>(n) * 1000 / ms : 0.0;
    };
    std::cout << cat("prompt ", last_.prompt_n, " tokens (", last_.reused_n, " known), ",
                     static_cast<int64_t>(speed(last_.prompt_n - last_.reused_n, last_.prompt_ms)),
                     "/s; answer ", last_.predicted_n, " tokens, ",
                     static_cast<int64_t>(speed(last_.predicted_n, last_.predicted_ms)), "/s, ",
                     last_.draft_accepted_n, " of ", last_.draft_n,
                     " proposed ones right; context ", generator_.context())
              << '\n';
  }

  Model& model_;
  ReplOptions options_;
  Generator generator_;
  Json messages_;
  GenerateResult last_;
};

}  // namespace

void repl(Model& model, Model* draft, const ReplOptions& options) {
  Repl(model, draft, options).run();
}

}  // namespace zhiyin::cli
