#include "export/model_card.h"

#include "base/cat.h"

namespace zhiyin {

std::string model_card_text(const ModelCard& card) {
  std::string text = cat("# ", card.name, "\n\n");
  text += cat("**This is an AI imitation. It is not a person.** ", card.name,
              " is a language model tuned on conversations to imitate a way of talking. What it "
              "says was never said by anyone; do not take it, or show it to others, as the words "
              "of a real person. A real person's voice needs that person's consent.\n\n");
  text +=
      cat("**这是 AI 模仿，不是真人。** ", card.name,
          " 是用聊天记录微调、模仿说话方式的语言模型。它说的话并非任何人说过的话；请勿当作真人言论"
          "使用或转给他人。模仿真人的口吻须得到本人同意。\n\n");
  text += cat("- Base model: ", card.base, "\n- Chat template: ", card.chat_template,
              "\n- Made with zhiyin (LoRA on the base, merged, quantised)\n\n");
  text +=
      "| file | type | size | against the tuned model | answers that stop by themselves |\n"
      "|---|---|---|---|---|\n";
  for (const ModelCard::File& file : card.files) {
    text += cat("| ", file.name, " | ", file.type, " | ", file.size, " | ",
                file.parity.empty() ? "not measured" : file.parity, " | ",
                file.stops.empty() ? "not asked" : file.stops, " |\n");
  }
  const std::string first = card.files.empty() ? "" : card.files.front().name;
  text += cat("\nUse: `zhiyin run ", first, "`; `ollama create ", card.name,
              " -f Modelfile && ollama run ", card.name, "`; `llama-cli -m ", first, " -cnv`.\n");
  text += card.has_modelfile_template
              ? "The GGUF's chat template and the Modelfile's TEMPLATE were checked to give the "
                "tokens that training saw.\n"
              : "The GGUF's chat template was checked to give the tokens that training saw; Ollama "
                "runs it from the file.\n";
  return text;
}

}  // namespace zhiyin
