// Data sets into rows of tokens: layouts, what is learned, and what happens to long conversations.
#include "api/tune_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/tokenizer_of.h"
#include "api/tune_template.h"
#include "base/error.h"
#include "base/file.h"
#include "export/modelfile.h"
#include "harness/tiny_chat_model.h"

namespace zhiyin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// Reads rows of one data set with a model of bytes.
class Rows {
 public:
  explicit Rows(std::string chat_template = kChatMlTemplate)
      : chat_template_(std::move(chat_template)) {
    config.cutoff_len = 4096;
    config.dataset_dir = folder_.path();
    write_tiny_chat_model(folder_ / "model");
    files_ = open_model_files(folder_ / "model", "");
    tokenizer_ = tokenizer_of(files_);
  }

  // entry: what dataset_info.json says beside the file name.
  void read(const std::string& file, const std::string& text, Json entry) {
    write_file(folder_ / file, text);
    entry["file_name"] = file;
    write_file(folder_ / "dataset_info.json", Json{{"data", entry}}.dump());
    data.emplace(config, *tokenizer_, chat_template_);
    data->add_dataset("data");
  }
  void read_messages(const Json& rows) {
    read("data.json", rows.dump(),
         {{"formatting", "sharegpt"},
          {"columns", {{"messages", "messages"}}},
          {"tags",
           {{"role_tag", "role"},
            {"content_tag", "content"},
            {"user_tag", "user"},
            {"assistant_tag", "assistant"},
            {"system_tag", "system"}}}});
  }

  std::string text(const TrainRow& row) const { return tokenizer_->decode(row.ids, false); }
  // What is learned, with everything else as one "…".
  std::string learned(const TrainRow& row) const {
    std::string out;
    std::vector<int32_t> piece;
    const auto flush = [&] {
      out += tokenizer_->decode(piece, false);
      piece.clear();
    };
    for (size_t i = 0; i < row.ids.size(); ++i) {
      if (row.labels[i] != kIgnoreLabel) {
        piece.push_back(row.ids[i]);
        continue;
      }
      flush();
      if (!out.ends_with("…")) out += "…";
    }
    flush();
    return out;
  }

  int64_t left_out(const std::string& english) const {
    for (const auto& [reason, count] : data->left_out) {
      if (reason.english == english) return count;
    }
    return 0;
  }

  TuneConfig config;
  std::optional<TuneRows> data;

 private:
  TemporaryFolder folder_;
  ChatTemplate chat_template_;
  ModelFiles files_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

Json turns(int exchanges, int length) {
  Json messages = Json::array();
  for (int i = 0; i < exchanges; ++i) {
    messages.push_back({{"role", "user"}, {"content", "q" + std::to_string(i)}});
    messages.push_back(
        {{"role", "assistant"},
         {"content", "a" + std::to_string(i) + std::string(static_cast<size_t>(length), '.')}});
  }
  return messages;
}

TEST(TuneRows, AlpacaWithHistoryAndSystem) {
  Rows rows;
  rows.read("data.json",
            R"([{"instruction":"sum","input":"1 2","output":"3","system":"count",
                "history":[["hi","ho"]]}])",
            {{"columns",
              {{"prompt", "instruction"},
               {"query", "input"},
               {"response", "output"},
               {"system", "system"},
               {"history", "history"}}}});
  ASSERT_EQ(rows.data->rows.size(), 1u);
  EXPECT_EQ(rows.text(rows.data->rows[0]),
            "<|im_start|>system\ncount<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
            "<|im_start|>assistant\nho<|im_end|>\n<|im_start|>user\nsum\n1 2<|im_end|>\n"
            "<|im_start|>assistant\n3<|im_end|>\n");
  EXPECT_EQ(rows.learned(rows.data->rows[0]), "…ho<|im_end|>\n…3<|im_end|>\n");
}

TEST(TuneRows, ColumnsThatAreNotNamedDoNotExist) {
  Rows rows;
  rows.read("data.jsonl", "{\"q\":\"hi\",\"input\":\"unused\",\"a\":\"ho\"}\n\n",
            {{"columns", {{"prompt", "q"}, {"response", "a"}}}});
  ASSERT_EQ(rows.data->rows.size(), 1u);
  EXPECT_THAT(rows.text(rows.data->rows[0]), HasSubstr("user\nhi<|im_end|>"));
}

TEST(TuneRows, ShareGptWithItsOwnTags) {
  Rows rows;
  rows.read("data.json",
            R"([{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"ho"}]}])",
            {{"formatting", "sharegpt"}});
  ASSERT_EQ(rows.data->rows.size(), 1u);
  EXPECT_EQ(rows.learned(rows.data->rows[0]), "…ho<|im_end|>\n");
}

TEST(TuneRows, BurstsOfOneSideBecomeOneTurnAndTheUnansweredIsDropped) {
  Rows rows;
  rows.read_messages(Json::parse(
      R"([{"messages":[{"role":"system","content":""},{"role":"user","content":"a"},
      {"role":"user","content":"b"},{"role":"assistant","content":"c"},
      {"role":"assistant","content":"d"},{"role":"user","content":"e"}]},
      {"messages":[{"role":"user","content":"nobody"}]}])"));
  ASSERT_EQ(rows.data->rows.size(), 1u);
  EXPECT_EQ(rows.text(rows.data->rows[0]),
            "<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\nc\nd<|im_end|>\n");
  EXPECT_EQ(rows.left_out("nothing is answered"), 1);
  EXPECT_EQ(rows.data->systems.at(""), 1);
}

TEST(TuneRows, WhatIsLearned) {
  const Json row = {{{"messages", turns(3, 0)}}};
  Rows history, prompt, flags;
  history.config.mask_history = true;
  history.read_messages(row);
  EXPECT_EQ(history.learned(history.data->rows[0]), "…a2<|im_end|>\n");
  prompt.config.train_on_prompt = true;
  prompt.read_messages(row);
  EXPECT_EQ(prompt.learned(prompt.data->rows[0]), prompt.text(prompt.data->rows[0]));
  Json flagged = row;
  flagged[0]["messages"][1]["loss_weight"] = 0;
  flagged[0]["messages"][3]["train"] = false;
  flagged[0]["messages"][5]["weight"] = 1;
  flags.read_messages(flagged);
  EXPECT_EQ(flags.learned(flags.data->rows[0]), "…a2<|im_end|>\n");
  flagged[0]["messages"][5]["weight"] = 0.5;
  EXPECT_THROW(flags.read_messages(flagged), Error);
}

TEST(TuneRows, LongConversationsAreSplitAndEveryAnswerIsLearnedOnceAndWhole) {
  for (const bool context : {false, true}) {
    Json messages = turns(20, 30);
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", "be brief"}});
    if (context) messages[2]["train"] = false;  // a0 is context alone
    for (const int64_t cutoff : {150, 200, 333, 900}) {
      Rows rows;
      rows.config.cutoff_len = cutoff;
      rows.read_messages({{{"messages", messages}}});
      std::string all;
      for (const TrainRow& row : rows.data->rows) {
        EXPECT_LE(static_cast<int64_t>(row.ids.size()), cutoff);
        EXPECT_THAT(rows.text(row),
                    ::testing::StartsWith("<|im_start|>system\nbe brief<|im_end|>"));
        all += rows.learned(row);
      }
      for (int i = context ? 1 : 0; i < 20; ++i) {
        const std::string answer = "a" + std::to_string(i) + std::string(30, '.') + "<|im_end|>\n";
        const size_t at = all.find("…" + answer);
        ASSERT_NE(at, std::string::npos) << answer << " at cutoff " << cutoff;
        EXPECT_EQ(all.find(answer, at + answer.size()), std::string::npos) << answer;
      }
      EXPECT_EQ(rows.data->split, 1);
      EXPECT_GT(rows.data->rows.size(), 1u);
      EXPECT_TRUE(rows.data->left_out.empty());
    }
  }
}

TEST(TuneRows, ALongQuestionLosesItsBeginningAndNotItsAnswer) {
  Rows rows;
  rows.config.cutoff_len = 120;
  std::string question;
  for (int i = 0; i < 40; ++i) question += "好" + std::to_string(i);
  rows.read_messages({{{"messages",
                        {{{"role", "user"}, {"content", question}},
                         {{"role", "assistant"}, {"content", "answer"}}}}}});
  ASSERT_EQ(rows.data->rows.size(), 1u);
  EXPECT_EQ(rows.data->shortened, 1);
  EXPECT_EQ(rows.learned(rows.data->rows[0]), "…answer<|im_end|>\n");
  EXPECT_LE(rows.data->rows[0].ids.size(), 120u);
  EXPECT_GT(rows.data->rows[0].ids.size(), 110u);
  EXPECT_THAT(rows.text(rows.data->rows[0]), HasSubstr("好38好39<|im_end|>"));
}

TEST(TuneRows, AnAnswerThatIsTooLongIsLeftOutAndCounted) {
  Rows rows;
  rows.config.cutoff_len = 100;
  Json messages = turns(3, 10);
  messages[3]["content"] = std::string(200, 'x');
  rows.read_messages({{{"messages", messages}}});
  std::string all;
  for (const TrainRow& row : rows.data->rows) all += rows.learned(row);
  EXPECT_THAT(all, HasSubstr("…a0"));
  EXPECT_THAT(all, HasSubstr("…a2"));
  EXPECT_THAT(all, ::testing::Not(HasSubstr("xx")));
  EXPECT_EQ(rows.left_out("an answer alone is longer than cutoff_len 100"), 1);
}

TEST(TuneRows, MaxSamplesCountsForEachDataSet) {
  Rows rows;
  rows.config.max_samples = 2;
  const Json row = {{"messages", turns(1, 0)}};
  rows.read_messages({row, row, row});
  EXPECT_EQ(rows.data->rows.size(), 2u);
  rows.data->add_dataset("data");
  EXPECT_EQ(rows.data->rows.size(), 4u);
}

TEST(TuneRows, MistakesNameTheRow) {
  Rows rows;
  const auto error_of = [&](const std::string& text, const Json& entry) -> std::string {
    try {
      rows.read("data.jsonl", text, entry);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const Json sharegpt = {{"formatting", "sharegpt"}};
  EXPECT_THAT(error_of("{\"conversations\":[]}\n{\"x\":1}\n", sharegpt), HasSubstr("row 2"));
  EXPECT_THAT(error_of("{\"conversations\":[{\"from\":\"bot\",\"value\":\"x\"}]}\n", sharegpt),
              HasSubstr("bot"));
  EXPECT_THAT(error_of("{\"instruction\":1,\"output\":\"x\"}\n", Json::object()),
              HasSubstr("instruction"));
  EXPECT_THAT(error_of("{\n", Json::object()), HasSubstr("line 1"));
}

TEST(TuneTemplate, DefaultSystemStandsWhereAConversationHasNone) {
  Model::Impl model;
  TuneConfig config;
  const auto render = [&](const char* messages) {
    return ChatTemplate(tuning_template(config, model))
        .render({{"messages", Json::parse(messages)}, {"add_generation_prompt", true}});
  };
  const char* const plain = R"([{"role":"user","content":"hi"}])";
  const char* const own = R"([{"role":"system","content":"mine"},{"role":"user","content":"hi"}])";
  const std::string ask = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_THROW(tuning_template(config, model), Error) << "no template, and the base has none";
  config.chat_template = "chatml";
  EXPECT_EQ(render(plain), ask);
  config.chat_template = "qwen";
  EXPECT_EQ(render(plain),
            "<|im_start|>system\n" + std::string(kQwenSystem) + "<|im_end|>\n" + ask);
  config.system = "it's\na \\ test {{ 1 }}";
  model.chat_template.emplace(kChatMlTemplate);
  for (const char* name : {"chatml", "qwen", ""}) {
    config.chat_template = name;
    EXPECT_EQ(render(plain), "<|im_start|>system\n" + config.system + "<|im_end|>\n" + ask) << name;
    EXPECT_EQ(render(own), "<|im_start|>system\nmine<|im_end|>\n" + ask) << name;
  }
}

// LLaMA-Factory's ids and labels for template qwen, by tools/golden/make_training.py.
TEST(TuneRows, EqualThoseOfLlamaFactoryForTheTemplateQwen) {
  const std::string folder = shared_path("tokenizers/qwen2.5");
  ZHIYIN_NEEDS(folder);
  const ModelFiles files = open_model_files(folder, "");
  const std::unique_ptr<Tokenizer> tokenizer = tokenizer_of(files);
  const Json golden = Json::parse(read_file(data_path("lora/qwen_rows.json")));
  for (const char* labels : {"labels", "labels_train_on_prompt", "labels_mask_history"}) {
    TuneConfig config;
    config.chat_template = "qwen";
    config.train_on_prompt = labels == std::string("labels_train_on_prompt");
    config.mask_history = labels == std::string("labels_mask_history");
    Model::Impl unused;
    const ChatTemplate chat_template(tuning_template(config, unused));
    const TemporaryFolder data;
    config.dataset_dir = data.path();
    Json rows = Json::array();
    for (const Json& row : golden) rows.push_back({{"messages", row.at("messages")}});
    write_file(data / "rows.json", rows.dump());
    write_file(data / "dataset_info.json",
               R"({"rows":{"file_name":"rows.json","formatting":"sharegpt",
                   "columns":{"messages":"messages"},"tags":{"role_tag":"role",
                   "content_tag":"content","user_tag":"user","assistant_tag":"assistant",
                   "system_tag":"system"}}})");
    TuneRows got(config, *tokenizer, chat_template);
    got.add_dataset("rows");
    ASSERT_EQ(got.rows.size(), golden.size());
    for (size_t i = 0; i < golden.size(); ++i) {
      EXPECT_EQ(got.rows[i].ids, golden[i].at("ids").get<std::vector<int32_t>>()) << i;
      EXPECT_EQ(got.rows[i].labels, golden[i].at(labels).get<std::vector<int32_t>>())
          << labels << " of row " << i;
    }
  }
}

}  // namespace
}  // namespace zhiyin::testing
