// Finished data sets: rows of alpaca, ShareGPT or OpenAI messages as JSON or JSON lines, by
// themselves or named by a dataset_info.json, whose columns and tags then count. A row is a talk of
// its own; its system message stays with it.
#include <optional>
#include <utility>

#include "base/error.h"
#include "chats/ascii.h"
#include "chats/dataset_layout.h"
#include "chats/importer.h"
#include "chats/json_objects.h"

namespace zhiyin::chats {
namespace {

using OrderedJson = nlohmann::ordered_json;

// A text, or a list of parts of which the texts count and pictures leave a placeholder.
std::string content_text(const OrderedJson& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (!content.is_array()) return text;
  for (const OrderedJson& part : content) {
    if (!part.is_object()) continue;
    const OrderedJson type = part.value("type", OrderedJson());
    std::string words;
    if (type == "text") {  // OpenAI's, and "value" in LLaMA-Factory's second layout
      for (const char* key : {"text", "value"}) {
        if (part.contains(key) && part[key].is_string()) words = part[key].get<std::string>();
      }
    } else if (type == "image_url" || type == "image" || type == "input_image") {
      words = "[图片]";
    }
    if (words.empty()) continue;
    if (!text.empty()) text += '\n';
    text += words;
  }
  return text;
}

Message read_message(const OrderedJson& source, const Message& place) {
  Message message = place;
  const std::string role = source.at("role").get<std::string>();
  message.text = trim(content_text(source.at("content")));
  if (role == "system") {
    message.kind = MessageKind::kSystem;
  } else if (role == "user") {
    message.sender = "me";
    message.sender_name = "user";
    message.side = Side::kOwner;
  } else {
    message.sender = "assistant";
    message.sender_name = "assistant";
    message.side = Side::kMachine;
    if (role == "tool" || message.text.empty()) message.kind = MessageKind::kTool;
  }
  return message;
}

// The messages of a row and, where it compares two answers, both: the one chosen is in use, the one
// rejected is another version of it.
void send_row(const OrderedJson& messages,
              const std::optional<std::pair<std::string, std::string>>& pair, const Message& place,
              const MessageSink& sink) {
  int64_t number = 0;
  const auto send = [&](Message message) {
    if (pair) {
      message.parent = std::to_string(number);
      message.server_id = std::to_string(++number);
    }
    sink(std::move(message));
  };
  for (const OrderedJson& message : messages) send(read_message(message, place));
  if (!pair) return;
  const std::string question = std::to_string(number);
  for (const std::string* answer : {&pair->first, &pair->second}) {
    const bool chosen = answer == &pair->first;
    Message message = read_message({{"role", "assistant"}, {"content", *answer}}, place);
    if (!chosen) message.kind = MessageKind::kBranch;
    message.server_id = chosen ? "chosen" : "rejected";
    message.parent = question;
    sink(std::move(message));
  }
}

void read_rows(const InputFile& file, const DatasetLayout& layout, const MessageSink& sink) {
  const std::unique_ptr<ByteReader> reader = file.open();
  JsonObjects objects(*reader);
  JsonPiece piece;
  bool recovering = false;
  Message place;
  place.file = file.path();
  while (objects.next(piece)) {
    const Json row = piece.whole ? parse_tolerantly(piece.text) : Json();
    OrderedJson messages;
    std::string problem = cat("unreadable from byte ", piece.offset, " on");
    if (row.is_object()) {
      try {
        messages = layout.messages_of(OrderedJson(row), cat("row ", place.line + 1));
      } catch (const Error& error) {
        problem = error.what();
      }
    }
    const bool good = messages.is_array();
    if (good || !recovering) place.talk = cat(file.path(), "#", ++place.line);
    if (!good && !recovering) {
      Message damaged = place;
      damaged.kind = MessageKind::kDamaged;
      damaged.text = problem;
      sink(std::move(damaged));
    }
    if (good) send_row(messages, layout.pair_of(OrderedJson(row)), place, sink);
    recovering = !good && (recovering || !row.is_object());
    check(!recovering || objects.recover(), ErrorCode::kFailed, file.path(),
          ": is damaged at too many places, the last at byte ", piece.offset);
  }
}

void read_file_of_rows(const InputFile& file, const MessageSink& sink) {
  read_rows(file, DatasetLayout::guess(file.head(kHeadBytes)).value(), sink);
}

bool recognises_rows(std::string_view head) { return DatasetLayout::guess(head).has_value(); }

void read_info(const InputFile& file, const MessageSink& sink) {
  const OrderedJson info = OrderedJson::parse(mend_json(file.read_all()), nullptr, false);
  check(info.is_object(), ErrorCode::kFailed, file.path(), ": is not a JSON object of data sets");
  int there = 0;
  std::string first_missing;
  for (const auto& [name, entry] : info.items()) {
    if (!entry.is_object() || !entry.contains("file_name") || !entry["file_name"].is_string()) {
      continue;  // it lies on a hub
    }
    const std::string file_name = entry["file_name"].get<std::string>();
    const std::optional<InputFile> rows = file.sibling(file_name);
    if (!rows) {
      if (first_missing.empty()) first_missing = file_name;
      continue;
    }
    ++there;
    read_rows(*rows, DatasetLayout(entry), sink);
  }
  check(there > 0, ErrorCode::kNotFound, file.path(), ": none of its files is there, such as ",
        first_missing);
}

bool recognises_info(std::string_view head) {
  return trim_left(head).starts_with('{') && head.find("\"file_name\"") != std::string_view::npos &&
         (head.find("\"columns\"") != std::string_view::npos ||
          head.find("\"formatting\"") != std::string_view::npos);
}

}  // namespace

extern const Importer dataset_info_importer;
const Importer dataset_info_importer = {"dataset-info", "a dataset_info.json with its data sets",
                                        recognises_info, read_info};

extern const Importer dataset_rows_importer;
const Importer dataset_rows_importer = {"dataset-rows",
                                        "data sets of alpaca, ShareGPT or OpenAI messages",
                                        recognises_rows, read_file_of_rows, "dataset-info"};

}  // namespace zhiyin::chats
