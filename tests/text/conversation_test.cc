#include "text/conversation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "text/chat_template/chat_rendering.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

Json same(const char* text) {
  return to_json(parse_conversation(Json::parse(text)), ArgumentsForm::kObject);
}

TEST(Conversation, KeepsEveryPartOfAMessage) {
  const char* text = R"({"messages": [
    {"role": "system", "content": "S"},
    {"role": "user", "content": [{"type": "text", "text": "看图"}, {"type": "image"}]},
    {"role": "user", "content": [{"type": "text", "text": "one part"}]},
    {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"b": 1, "a": "x"}}}]},
    {"role": "tool", "name": "f", "tool_call_id": "c1", "content": "{\"t\": 3}"},
    {"role": "assistant", "content": ""}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}}]})";
  EXPECT_EQ(same(text).dump(), Json::parse(text).dump());
}

TEST(Conversation, ReadsTheFormsOfOtherPrograms) {
  const Conversation read = parse_conversation(Json::parse(R"([
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}},
                                 {"type": "input_audio", "input_audio": {"data": "QUJD"}},
                                 {"type": "video", "video": "v.mp4"}], "unknown": 1},
    {"role": "assistant", "content": "a", "thinking": "t",
     "tool_calls": [{"function": {"name": "f", "arguments": "{\"a\": 1}"}}, {"name": "g"}]}])"));
  ASSERT_EQ(read.messages.size(), 2u);
  EXPECT_EQ(read.messages[0].content[0], (ContentPart{"image", "", "data:x"}));
  EXPECT_EQ(read.messages[0].content[1], (ContentPart{"audio", "", "QUJD"}));
  EXPECT_EQ(read.messages[0].content[2], (ContentPart{"video", "", "v.mp4"}));
  EXPECT_EQ(read.messages[1].reasoning, "t");
  EXPECT_EQ(read.messages[1].tool_calls[0], (ToolCall{"", "f", "{\"a\": 1}"}));
  EXPECT_EQ(read.messages[1].tool_calls[1], (ToolCall{"", "g", "{}"}));
  EXPECT_EQ(read.messages[1].text(), "a");
  EXPECT_EQ(to_json(read.messages[1], ArgumentsForm::kText)["tool_calls"][0]["function"].dump(),
            R"({"name":"f","arguments":"{\"a\": 1}"})");
}

TEST(Conversation, NamesWhatIsWrong) {
  const auto complaint = [](const char* text) -> std::string {
    try {
      parse_conversation(Json::parse(text));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      return error.what();
    }
    return "nothing";
  };
  EXPECT_EQ(complaint("5"),
            "a conversation must be a list of messages, or an object with the list \"messages\"");
  EXPECT_EQ(complaint(R"([{"role": "user", "content": "a"}, {"content": "b"}])"),
            "message 2: has no \"role\"");
  EXPECT_EQ(complaint(R"([{"role": "user", "content": 5}])"),
            "message 1: \"content\" must be text or a list of parts, not number");
  EXPECT_EQ(complaint(R"([{"role": "user", "content": [{"type": "smell"}]}])"),
            "message 1: a part of \"content\" has the type \"smell\"; known are text, image, audio"
            " and video");
  EXPECT_EQ(complaint(R"([{"role": "assistant", "tool_calls": [{}]}])"),
            "message 1: a tool call has no \"name\"");
}

constexpr char kChatMl[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

Conversation two_turns() {
  Conversation chat;
  chat.messages = {make_message("user", "你好"), make_message("assistant", "嗯"),
                   make_message("user", "走吗"), make_message("assistant", "走")};
  return chat;
}

std::vector<std::string> answers(const RenderedText& rendered) {
  std::vector<std::string> out;
  for (const TextSpan& span : rendered.generated) {
    out.push_back(rendered.text.substr(span.begin, span.end - span.begin));
  }
  return out;
}

TEST(ChatRendering, AnswersRunFromThePromptToTheEndOfTheTurn) {
  const ChatTemplate chat_template(kChatMl);
  const RenderedText rendered = render_answers(chat_template, two_turns(), Json::object());
  EXPECT_EQ(rendered.text, render_chat(chat_template, two_turns(), Json::object(), false));
  EXPECT_EQ(answers(rendered), (std::vector<std::string>{"嗯<|im_end|>\n", "走<|im_end|>\n"}));
}

TEST(ChatRendering, GenerationBlocksAreTheAnswersWhereATemplateHasThem) {
  const ChatTemplate chat_template(
      "{{ bos }}{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}"
      "{{ m.content }}!{% endgeneration %}{% else %}U:{{ m.content }}{% endif %}{% endfor %}");
  const RenderedText rendered = render_answers(chat_template, two_turns(), {{"bos", "<s>"}});
  EXPECT_EQ(rendered.text, "<s>U:你好A:嗯!U:走吗A:走!");
  EXPECT_EQ(answers(rendered), (std::vector<std::string>{"嗯!", "走!"}));
}

TEST(ChatRendering, RefusesATemplateThatRewritesEarlierAnswers) {
  const ChatTemplate chat_template(
      "{% for m in messages %}{{ m.role }}:{{ m.content if loop.last else '...' }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant:{% endif %}",
      "forgetful");
  try {
    render_answers(chat_template, two_turns(), Json::object());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_STREQ(error.what(),
                 "chat template forgetful: message 2 is not written the same way as the last one"
                 " and as one of many; train on the answers one by one");
  }
}

}  // namespace
}  // namespace zhiyin
