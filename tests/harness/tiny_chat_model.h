// A small model that can chat, as a Hugging Face folder: the random weights of tests/data/lora/base
// with a tokenizer of bytes and <|im_end|>, for tests that tune from a YAML to an adapter.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/utf8.h"
#include "harness/paths.h"

namespace zhiyin::testing {

// tokenizer.json: ids 0 to 254 are the bytes, in GPT-2's alphabet; 255, a byte that no text has, is
// the one merge, "zz", as GGUF wants one; 256 is <|im_end|>.
inline std::string byte_tokenizer_json() {
  std::string vocabulary;
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    std::string character;
    append_utf8(character, itself ? static_cast<char32_t>(byte) : next++);
    if (byte == 255) character = "zz";
    if (character == "\"" || character == "\\") character.insert(0, "\\");
    vocabulary += (byte > 0 ? ",\"" : "\"") + character + "\":" + std::to_string(byte);
  }
  return R"({"version":"1.0","added_tokens":[{"id":256,"content":"<|im_end|>","special":true,)"
         R"("single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],)"
         R"("normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,)"
         R"("trim_offsets":true,"use_regex":true},"post_processor":null,)"
         R"("decoder":{"type":"ByteLevel"},"model":{"type":"BPE","merges":["z z"],"vocab":{)" +
         vocabulary + "}}}";
}

inline void write_tiny_chat_model(const std::string& folder) {
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(data_path(std::string("lora/base/") + name), folder + "/" + name);
  }
  write_file(folder + "/tokenizer.json", byte_tokenizer_json());
  write_file(folder + "/tokenizer_config.json",
             R"({"eos_token":"<|im_end|>","tokenizer_class":"Qwen2Tokenizer"})");
}

}  // namespace zhiyin::testing
