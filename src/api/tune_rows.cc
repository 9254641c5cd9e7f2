#include "api/tune_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "chats/dataset_layout.h"
#include "text/chat_template/chat_rendering.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

// A text field; empty where it is absent or null.
std::string text_field(const Json& object, const std::string& key, const std::string& where) {
  if (key.empty() || !object.contains(key) || object[key].is_null()) return {};
  check(object[key].is_string(), ErrorCode::kFailed, where, ": \"", key, "\" is not a text");
  return object[key].get<std::string>();
}

// The rows of a file: a JSON array, or one object a line.
std::vector<Json> read_rows(const std::string& path, int64_t max_rows) {
  const std::string text = read_file(path);
  std::vector<Json> rows;
  const auto full = [&] { return max_rows > 0 && static_cast<int64_t>(rows.size()) >= max_rows; };
  const size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start != std::string::npos && text[start] == '[') {
    const Json all = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(start), text.end(),
                                 nullptr, /*allow_exceptions=*/false);
    check(all.is_array(), ErrorCode::kFailed, path, ": is not valid JSON");
    for (const Json& row : all) {
      if (full()) break;
      rows.push_back(row);
    }
  } else {
    int64_t line = 1;
    for (size_t at = start == std::string::npos ? text.size() : start; at < text.size() && !full();
         ++line) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view piece = std::string_view(text).substr(at, end - at);
      at = end + 1;
      if (piece.find_first_not_of(" \t\r") == std::string::npos) continue;
      rows.push_back(Json::parse(piece, nullptr, /*allow_exceptions=*/false));
      check(!rows.back().is_discarded(), ErrorCode::kFailed, path, ": line ", line,
            " is not valid JSON");
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    check(rows[i].is_object(), ErrorCode::kFailed, path, ": row ", i + 1, " is not an object");
  }
  return rows;
}

// Where a message says whether it is learned. Templates never see it.
constexpr const char* kLearn = chats::DatasetLayout::kLearn;

bool is_answer(const Json& message) { return message.at("role") == "assistant"; }

bool learned(const Json& message) { return is_answer(message) && message.value(kLearn, true); }

// Bursts of one side become one turn, and what nobody answered is dropped.
Json cleaned(const Json& messages) {
  Json out = Json::array();
  for (const Json& message : messages) {
    // An empty system message is none, as in LLaMA-Factory.
    if (message.at("role") == "system" && message.at("content") == "") continue;
    const bool mergeable = !out.empty() && out.back().at("role") == message.at("role") &&
                           message.at("role") != "tool" && message.at("content").is_string() &&
                           out.back().at("content").is_string() &&
                           !message.contains("tool_calls") && !out.back().contains("tool_calls") &&
                           learned(message) == learned(out.back());
    if (mergeable) {
      out.back()["content"] =
          out.back()["content"].get<std::string>() + "\n" + message["content"].get<std::string>();
    } else {
      out.push_back(message);
    }
  }
  while (!out.empty() && !learned(out.back())) out.erase(out.size() - 1);
  return out;
}

// The last `bytes` of a text, from a whole character on.
std::string tail_of(const std::string& text, size_t bytes) {
  size_t at = text.size() - std::min(bytes, text.size());
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return text.substr(at);
}

}  // namespace

TuneRows::TuneRows(const TuneConfig& config, const Tokenizer& tokenizer,
                   const ChatTemplate& chat_template)
    : config_(config), tokenizer_(tokenizer), template_(chat_template) {}

void TuneRows::add_dataset(const std::string& name) {
  const std::string info_path = config_.dataset_dir + "/dataset_info.json";
  const Json info = Json::parse(read_file(info_path), nullptr, /*allow_exceptions=*/false);
  check(info.is_object(), ErrorCode::kFailed, info_path, ": is not a JSON object");
  std::vector<std::string> known;
  for (const auto& [key, value] : info.items()) known.push_back(key);
  check(info.contains(name), ErrorCode::kNotFound, info_path, ": has no data set ", name,
        "; the nearest is ", nearest(name, known));
  const Json& entry = info[name];
  check(entry.is_object() && entry.contains("file_name"), ErrorCode::kFailed, info_path, ": ", name,
        " has no \"file_name\"");
  const chats::DatasetLayout layout(entry);
  const std::string path =
      config_.dataset_dir + "/" + text_field(entry, "file_name", info_path + ": " + name);
  int64_t number = 0;
  for (const Json& row : read_rows(path, config_.max_samples)) {
    const std::string where = cat(path, ": row ", ++number);
    const Json weight = row.value("weight", Json(1));
    check(weight.is_number() && weight.get<double>() >= 0, ErrorCode::kFailed, where,
          ": \"weight\" is not a number from 0 on");
    const Json messages = layout.messages_of(row, where);
    Json learnable = cleaned(messages);
    if (!learnable.empty()) {
      add_conversation(std::move(learnable), weight.get<float>());
    } else if (std::any_of(messages.begin(), messages.end(), is_answer)) {
      ++left_out[{"every answer is masked (loss_weight, weight or train says so)",
                  "所有回答都被屏蔽（由 loss_weight、weight 或 train 指定）"}];
    } else {
      ++left_out[{"nothing is answered", "没有回答"}];
    }
  }
}

void TuneRows::add_conversation(Json messages, float weight) {
  const bool has_system = messages[0].at("role") == "system";
  ++systems[has_system ? text_field(messages[0], "content", "system message") : std::string()];
  if (config_.mask_history) {
    // The last message is an answer that is learned, see cleaned().
    for (size_t i = 0; i + 1 < messages.size(); ++i) messages[i][kLearn] = false;
  }
  const auto fits = [&](const TrainRow& row) {
    return static_cast<int64_t>(row.ids.size()) <= config_.cutoff_len;
  };
  const auto push = [&](TrainRow row) {
    if (row.label_count() == 0) return;  // context whose answers went into the next row
    row.weight = weight;
    rows.push_back(std::move(row));
  };
  TrainRow whole = row_of(messages);
  if (fits(whole)) {
    push(std::move(whole));
    return;
  }
  // Too long: as many exchanges a row as fit, each row with the system message.
  ++split;
  Json system = Json::array(), exchange = Json::array(), taken;
  TrainRow row;  // of `taken`
  for (const Json& message : messages) {
    if (message.at("role") == "system" && exchange.empty() && taken.empty()) {
      system.push_back(message);
      continue;
    }
    exchange.push_back(message);
    if (!is_answer(message)) continue;
    const auto with_exchange = [&](Json before) {
      before.insert(before.end(), exchange.begin(), exchange.end());
      return before;
    };
    Json longer = with_exchange(taken.empty() ? system : taken);
    TrainRow candidate = row_of(longer);
    if (!fits(candidate) && !taken.empty()) {
      push(std::move(row));
      longer = with_exchange(system);
      candidate = row_of(longer);
    }
    if (!fits(candidate)) shorten_question(longer, candidate);
    if (fits(candidate)) {
      taken = std::move(longer);
      row = std::move(candidate);
    } else {
      if (learned(message)) {
        ++left_out[{cat("an answer alone is longer than cutoff_len ", config_.cutoff_len),
                    cat("单个回答就超过 cutoff_len ", config_.cutoff_len)}];
      }
      taken = Json();
    }
    exchange = Json::array();
  }
  if (!taken.empty()) push(std::move(row));
}

void TuneRows::shorten_question(Json& messages, TrainRow& row) {
  // The end of the question stands next to the answer, so its beginning goes.
  Json* question = nullptr;
  for (Json& message : messages) {
    if (message.at("role") == "user" && message.at("content").is_string()) question = &message;
  }
  if (question == nullptr) return;
  const std::string text = question->at("content").get<std::string>();
  size_t fitting = 0, too_long = text.size();
  bool found = false;
  while (true) {
    const size_t bytes = fitting + (too_long - fitting) / 2;
    (*question)["content"] = tail_of(text, bytes);
    TrainRow shorter = row_of(messages);
    if (static_cast<int64_t>(shorter.ids.size()) <= config_.cutoff_len) {
      row = std::move(shorter);
      found = true;
      if (bytes == fitting) break;
      fitting = bytes;
    } else {
      if (bytes == fitting) break;
      too_long = bytes;
    }
  }
  if (found) {
    ++shortened;
    (*question)["content"] = tail_of(text, fitting);
  } else {
    (*question)["content"] = text;
  }
}

TrainRow TuneRows::row_of(const Json& conversation) const {
  Json messages = conversation;
  std::vector<bool> learn;  // of each answer
  for (Json& message : messages) {
    if (is_answer(message)) learn.push_back(learned(message));
    message.erase(kLearn);
  }
  TemplateVariables variables = TemplateVariables::object();
  add_special_tokens(variables, tokenizer_);
  const RenderedText rendered = render_answers(template_, parse_conversation(messages), variables);
  TrainRow row;
  // Answers and what lies between them become tokens apart, so that the border is one of tokens, as
  // it is when the model is asked.
  const auto append = [&](size_t begin, size_t end, bool learned) {
    if (begin >= end) return;
    for (const int32_t id :
         tokenizer_.encode(std::string_view(rendered.text).substr(begin, end - begin),
                           {.add_special = false, .parse_special = true})) {
      row.ids.push_back(id);
      row.labels.push_back(learned ? id : kIgnoreLabel);
    }
  };
  size_t at = 0;
  for (size_t i = 0; i < rendered.generated.size(); ++i) {
    const TextSpan& answer = rendered.generated[i];
    append(at, answer.begin, config_.train_on_prompt);
    append(answer.begin, answer.end, i >= learn.size() || learn[i]);
    at = answer.end;
  }
  append(at, rendered.text.size(), config_.train_on_prompt);
  return row;
}

}  // namespace zhiyin
