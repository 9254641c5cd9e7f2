#include "zhiyin/doctor.h"

#include <cstring>
#include <regex>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/file.h"

namespace zhiyin {
namespace {

const char* const kQuestion = R"({"role":"user","content":"你好, who are you?"})";
const char* const kAnswer = R"({"role":"assistant","content":"zhiyin-doctor-answer"})";
constexpr std::string_view kAnswerText = "zhiyin-doctor-answer";

class Doctor {
 public:
  Doctor(Model& model, DoctorReport& report)
      : model_(model), impl_(model.impl()), report_(report) {}

  void examine() {
    examine_weights();
    examine_cache();
    if (impl_.tokenizer == nullptr) {
      error("the files hold no tokenizer: the model can only be fed ids");
      return;
    }
    for (const std::string& warning : impl_.tokenizer->warnings()) warn(warning);
    report_.stop = model_.info().stop;
    if (report_.stop.empty()) error("no token ends an answer: the model would never stop");
    examine_vocabulary();
    if (!model_.has_template()) {
      warn("there is no chat template: run needs --raw, and a chat would be guesswork");
      return;
    }
    examine_template();
  }

  void compare(const Model& base) {
    const Model::Impl& other = base.impl();
    if (impl_.files.config && other.files.config &&
        impl_.files.config->architecture != other.files.config->architecture) {
      warn(cat("the architecture is ", impl_.files.config->architecture, ", that of the base ",
               other.files.config->architecture));
    }
    int64_t same = 0, changed = 0;
    std::vector<std::string> missing;
    for (const TensorEntry& tensor : other.files.tensors) {
      const TensorEntry* mine = find_tensor(impl_.files.tensors, tensor.name);
      if (mine == nullptr) {
        missing.push_back(tensor.name);
      } else if (mine->bytes == tensor.bytes && mine->type == tensor.type &&
                 std::memcmp(mine->data, tensor.data, tensor.bytes) == 0) {
        ++same;
      } else {
        ++changed;
      }
    }
    info(cat("against the base: ", changed, " tensors differ, ", same, " are the same"));
    if (changed == 0 && missing.empty()) warn("no tensor differs from the base: nothing was tuned");
    for (const std::string& name : missing) error("the base's tensor " + name + " is missing");
    if (impl_.tokenizer != nullptr && other.tokenizer != nullptr) compare_tokenizers(other);
    if (impl_.chat_template && other.chat_template &&
        impl_.chat_template->source() != other.chat_template->source()) {
      info("the chat template is not the base's");
    }
  }

 private:
  void info(std::string text) {
    report_.findings.push_back({Finding::Level::kInfo, std::move(text)});
  }
  void warn(std::string text) {
    report_.findings.push_back({Finding::Level::kWarning, std::move(text)});
  }
  void error(std::string text) {
    report_.findings.push_back({Finding::Level::kError, std::move(text)});
  }

  void examine_weights() {
    try {
      model_.load();
    } catch (const Error& e) {
      error(e.what());
      return;
    }
    for (const std::string& name : impl_.unused_tensors) {
      warn("the tensor " + name + " is not used by this architecture");
    }
  }

  void examine_cache() {
    const std::string& folder = impl_.options.packed_cache.folder;
    const std::string path = packed_cache_path(folder, impl_.files.path);
    if (folder.empty() || !file_exists(path)) return;
    info(cat("packed weights for a quicker start are kept in ", path, "; `zhiyin cache --clear` ",
             "removes them"));
  }

  void examine_vocabulary() {
    if (!impl_.files.config) return;
    const int64_t rows = impl_.files.config->vocab_size, tokens = impl_.tokenizer->vocab_size();
    if (tokens > rows) {
      error(cat("the tokenizer has ", tokens, " tokens, the model knows ", rows,
                ": some text cannot be read"));
    } else if (tokens < rows) {
      info(cat("the model has room for ", rows, " tokens, the tokenizer uses ", tokens));
    }
  }

  std::string render(const std::string& messages, bool prompt) {
    return model_.render(
        {.messages = messages, .tools = {}, .add_generation_prompt = prompt, .now = {}});
  }

  void examine_template() {
    try {
      report_.prompt = render(cat("[", kQuestion, "]"), true);
    } catch (const Error& e) {
      error(e.what());
      return;
    }
    report_.ids =
        impl_.tokenizer->encode(report_.prompt, {.add_special = false, .parse_special = true});
    for (const int32_t id : report_.ids) {
      report_.pieces.emplace_back(impl_.tokenizer->token_bytes(id));
    }
    if (report_.prompt.find("<|im_start|>system\n") != std::string::npos) {
      info("the template adds a system message of its own where none is given");
    }
    examine_markers();
    examine_end_of_answer();
  }

  // Markers such as <|im_start|> must be single tokens, or the model never saw them in training.
  void examine_markers() {
    static const std::regex marker(R"(<\|[A-Za-z0-9_]+\|>)");
    std::vector<std::string> seen;
    for (std::sregex_iterator it(report_.prompt.begin(), report_.prompt.end(), marker), end;
         it != end; ++it) {
      const std::string text = it->str();
      if (std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
      seen.push_back(text);
      if (!impl_.tokenizer->find(text)) {
        error("the template writes " + text + ", which is no token of the vocabulary");
      }
    }
  }

  // The token that the template puts behind an answer must be one that ends it.
  void examine_end_of_answer() {
    std::string whole;
    try {
      whole = render(cat("[", kQuestion, ",", kAnswer, "]"), false);
    } catch (const Error& e) {
      warn(cat("a conversation with an answer cannot be rendered: ", e.what()));
      return;
    }
    const size_t at = whole.find(kAnswerText);
    if (at == std::string::npos) {
      error("the template leaves the assistant's answers out");
      return;
    }
    const std::vector<int32_t> behind =
        impl_.tokenizer->encode(std::string_view(whole).substr(at + kAnswerText.size()),
                                {.add_special = false, .parse_special = true});
    if (behind.empty()) {
      warn("the template puts nothing behind an answer; generation ends by the model's own habit");
      return;
    }
    const auto stop = impl_.stop_set();
    const std::string text(impl_.tokenizer->token_bytes(behind.front()));
    const auto found = stop.find(behind.front());
    if (found == stop.end()) {
      error(cat("an answer ends with ", text, " (", behind.front(),
                "), which is no stop token: the model would go on without end"));
    } else {
      info(cat("an answer ends with ", text, " (", behind.front(), "), a stop token by ",
               found->second));
    }
  }

  void compare_tokenizers(const Model::Impl& other) {
    if (impl_.tokenizer->vocab_size() != other.tokenizer->vocab_size()) {
      warn(cat("the vocabulary has ", impl_.tokenizer->vocab_size(), " tokens, that of the base ",
               other.tokenizer->vocab_size()));
      return;
    }
    for (int32_t id = 0; id < impl_.tokenizer->vocab_size(); ++id) {
      if (impl_.tokenizer->token_bytes(id) == other.tokenizer->token_bytes(id)) continue;
      warn(cat("token ", id, " is not the base's: the vocabularies differ"));
      return;
    }
  }

  Model& model_;
  Model::Impl& impl_;
  DoctorReport& report_;
};

}  // namespace

DoctorReport doctor(Model& model, const Model* against) {
  DoctorReport report;
  Doctor doctor(model, report);
  doctor.examine();
  if (against != nullptr) doctor.compare(*against);
  return report;
}

}  // namespace zhiyin
