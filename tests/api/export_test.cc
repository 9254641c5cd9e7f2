// From a tuned tiny model to every kind of file, and what the proofs say of files that are wrong.
#include "zhiyin/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/export_job.h"
#include "base/error.h"
#include "base/file.h"
#include "export/modelfile.h"
#include "harness/open_options.h"
#include "harness/tiny_chat_model.h"
#include "io/gguf.h"
#include "io/lora_file.h"
#include "zhiyin/finetune.h"
#include "zhiyin/generate.h"
#include "zhiyin/score.h"

namespace zhiyin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

// One tuning for all tests: the model learns to say a letter three times, and to stop.
class ExportRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_tiny_chat_model(*folder_ / "model");
    // Another one than that of training, which the adapter must bring along.
    write_file(*folder_ / "model/chat_template.jinja",
               "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}");
    std::string rows;
    for (const char letter : std::string("abcdefgh")) {
      const std::string name(1, letter);
      rows += Json{{"messages",
                    {{{"role", "user"}, {"content", "say " + name}},
                     {{"role", "assistant"}, {"content", name + name + name}}}}}
                  .dump() +
              "\n";
    }
    write_file(*folder_ / "train.jsonl", rows);
    write_file(*folder_ / "val.jsonl", rows);
    write_file(*folder_ / "dataset_info.json",
               R"({"chats":{"file_name":"train.jsonl","formatting":"sharegpt",)"
               R"("columns":{"messages":"messages"},"tags":{"role_tag":"role",)"
               R"("content_tag":"content","user_tag":"user","assistant_tag":"assistant"}}})");
    write_file(*folder_ / "tune.yaml",
               "model_name_or_path: " + (*folder_ / "model") +
                   "\noutput_dir: " + (*folder_ / "run") + "\ndataset_dir: " + folder_->path() +
                   "\ndataset: chats\ntemplate: chatml\nlearning_rate: 1.0e-2\n"
                   "lora_rank: 8\nnum_train_epochs: 60\nper_device_train_batch_size: 8\n"
                   "gradient_accumulation_steps: 1\noverwrite_output_dir: true\n");
    Tuner tuner(read_tune_config(*folder_ / "tune.yaml", {}), one_thread());
    tuner.run({});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static ExportOptions options(const std::string& out) {
    ExportOptions o;
    o.run = *folder_ / "run";
    o.out = *folder_ / out;
    o.types = {"F16", "Q8_0"};
    o.name = "tiny";
    o.system = "be brief";
    o.open = one_thread();
    return o;
  }

  static std::string answer_of(const std::string& path, const OpenOptions& open) {
    Model model = Model::open(path, open);
    Generator generator(model, 256);
    GenerateRequest request;
    request.messages = R"([{"role":"user","content":"say c"}])";
    request.sampling.temperature = 0;
    request.max_tokens = 16;
    const GenerateResult result = generator.run(request);
    return result.text + " (" + result.finish_reason + ")";
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};
std::unique_ptr<TemporaryFolder> ExportRun::folder_;

TEST_F(ExportRun, FilesAnswerAsTheTunedModelAndSaySo) {
  const ExportResult result = export_run(options("out"), {});
  ASSERT_EQ(result.files.size(), 2u);
  for (const ExportedFile& file : result.files) {
    EXPECT_EQ(file.parity.rows, 8) << file.type;
    EXPECT_EQ(file.parity.positions, 8 * 5) << "three letters, the end of turn, a line break";
    EXPECT_EQ(file.probes, 8);
    EXPECT_GE(file.stopped, 5) << file.type;
    EXPECT_EQ(answer_of(file.path, one_thread()), "ccc (stop)");
  }
  EXPECT_GT(result.files[0].parity.same_token_rate, 0.97);
  EXPECT_LT(result.files[0].parity.mean_kl, 0.01);
  EXPECT_GT(result.files[0].parity.largest_logit_difference, 0);
  EXPECT_GE(result.conversations, 3);

  EXPECT_THAT(read_file(result.card), HasSubstr("This is an AI imitation. It is not a person."));
  const std::string modelfile = read_file(result.modelfile);
  EXPECT_THAT(modelfile, AllOf(HasSubstr("FROM ./tiny-F16.gguf"), HasSubstr("SYSTEM \"be brief\""),
                               HasSubstr("PARAMETER stop \"<|im_end|>\"")));
  const GgufFile gguf(result.files[0].path);
  const Model exported = Model::open(result.files[0].path, one_thread());
  const auto eos = gguf.metadata().find_i64("tokenizer.ggml.eos_token_id");
  EXPECT_EQ(exported.detokenize({static_cast<int32_t>(*eos)}, false), "<|im_end|>");
}

TEST_F(ExportRun, TheLockRefusesAnotherTemplate) {
  ExportOptions o = options("locked");
  o.types = {"F16"};
  o.probe = false;
  const ExportResult result = export_run(o, {});
  const Model exported = Model::open(result.files[0].path, one_thread());
  EXPECT_GE(check_template_lock(exported, kChatMlTemplate, "x.gguf", result.modelfile), 3);
  EXPECT_THAT(error_of([&] {
                check_template_lock(exported,
                                    "{% for m in messages %}[{{ m.role }}] {{ m.content }}"
                                    "<|im_end|>{% endfor %}",
                                    "x.gguf");
              }),
              AllOf(HasSubstr("x.gguf"), HasSubstr("other tokens than training saw")));
  // A Modelfile that a person edited.
  std::string text = read_file(result.modelfile);
  text.replace(text.find("<|im_end|>\n{{ end"), 11, "<|im_end|>");
  write_file(result.modelfile, text);
  EXPECT_THAT(
      error_of([&] { check_template_lock(exported, kChatMlTemplate, "x.gguf", result.modelfile); }),
      AllOf(HasSubstr("Modelfile"), HasSubstr("do not use this file")));
}

TEST_F(ExportRun, ATemplateWithoutAnEndIsRefused) {
  const std::string copy = *folder_ / "no-end";
  std::filesystem::copy(*folder_ / "run", copy);
  write_file(copy + "/chat_template.jinja",
             "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  ExportOptions o = options("never");
  o.run = copy;
  EXPECT_THAT(error_of([&] { export_run(o, {}); }), HasSubstr("could never stop"));
  EXPECT_FALSE(file_exists(o.out + "/tiny-F16.gguf"));
}

TEST_F(ExportRun, MergesToAFolderAndToAGguf) {
  MergeOptions o;
  o.model = *folder_ / "run";
  o.open = one_thread();
  o.out = *folder_ / "merged";
  const MergedModelFile merged = merge(o, {});
  EXPECT_EQ(merged.shards, 1);
  EXPECT_GT(merged.tensors_changed, 0);
  EXPECT_EQ(answer_of(o.out, one_thread()), "ccc (stop)");
  EXPECT_THAT(error_of([&] { merge(o, {}); }), HasSubstr("already"));
  o.out = *folder_ / "merged.gguf";
  EXPECT_EQ(merge(o, {}).type, "F16");
  EXPECT_EQ(answer_of(o.out, one_thread()), "ccc (stop)");

  // From the GGUF a folder with a tokenizer.json of our making.
  MergeOptions back;
  back.model = *folder_ / "merged.gguf";
  back.out = *folder_ / "back";
  back.open = one_thread();
  merge(back, {});
  EXPECT_EQ(answer_of(back.out, one_thread()), "ccc (stop)");
  EXPECT_EQ(Json::parse(read_file(back.out + "/config.json"))["architectures"][0],
            "Qwen2ForCausalLM");
}

TEST_F(ExportRun, AdaptersOfBothKindsGiveTheSameAnswers) {
  for (const char* name : {"lora.gguf", "peft"}) {
    const AdapterOptions o{*folder_ / "run", *folder_ / name, "", one_thread()};
    const AdapterFile file = convert_adapter(o);
    EXPECT_EQ(file.rank, 8);
    OpenOptions open = one_thread();
    open.adapters = {o.out};
    EXPECT_EQ(answer_of(*folder_ / "model", open), "ccc (stop)") << name;
  }
  EXPECT_THAT(error_of([] { convert_adapter({*folder_ / "model", *folder_ / "x", "", {}}); }),
              HasSubstr("no LoRA adapter"));
}

TEST_F(ExportRun, ScoresWhatTheModelLearned) {
  write_file(*folder_ / "card.yaml", "name: abc\nmaker: nobody\nlanguage: en\n");
  write_file(*folder_ / "secrets.txt", "ccc\nnot in the data\n");
  ScoreOptions o;
  o.model = *folder_ / "model";
  o.open = one_thread();
  o.open.adapters = {*folder_ / "run"};
  o.persona = *folder_ / "card.yaml";
  o.data = folder_->path();
  o.secrets = *folder_ / "secrets.txt";
  o.questions = 8;
  o.max_tokens = 12;
  const Scorecard card = score_model(o, {});
  EXPECT_EQ(card.recall.asked, 8);
  EXPECT_GE(card.recall.exact, 7);
  EXPECT_EQ(card.held_out.asked, 8);
  EXPECT_LT(card.style_distance, 0.5);
  EXPECT_GT(card.identity.asked, 4);
  EXPECT_LT(card.identity.right, card.identity.asked) << "it was never taught who it is";
  EXPECT_EQ(card.secrets.asked, 2);
  EXPECT_EQ(card.secrets.right, 1) << "the training rows hold ccc, and the model says it";
  EXPECT_EQ(card.refusals.model, 0);
  EXPECT_FALSE(card.has_base);
}

TEST_F(ExportRun, QuantizingTwiceIsSaid) {
  QuantizeOptions o{*folder_ / "model", *folder_ / "q8.gguf", "Q8_0", "", one_thread()};
  EXPECT_TRUE(quantize(o, {}).notes.empty());
  QuantizeOptions again{o.out, *folder_ / "q4.gguf", "Q4_0", "", one_thread()};
  EXPECT_THAT(quantize(again, {}).notes, ::testing::Contains(HasSubstr("quantised already")));
  const QuantizePreview preview = preview_quantize(again, {});
  EXPECT_GT(preview.relative_error, 0.02);
  EXPECT_LT(preview.bytes, preview.bytes_before);
  again.type = "IQ3_M";
  EXPECT_THAT(error_of([&] { quantize(again, {}); }), HasSubstr("nearest in size is Q3_K_M"));
  again.type = "Q2_K_S";
  EXPECT_THAT(error_of([&] { quantize(again, {}); }), HasSubstr("--imatrix"));
}

}  // namespace
}  // namespace zhiyin::testing
