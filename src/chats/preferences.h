// Preference pairs: where an assistant was asked again for an answer, the one kept is preferred to
// the ones left behind, and a thumb up or down counts more than what was kept. Made for preference
// tuning (DPO, Rafailov et al. 2023); plain tuning does not read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chats/message.h"
#include "chats/turns.h"

namespace zhiyin::chats {

struct Preference {
  std::vector<RowTurn> turns;  // user first, alternating, user last
  std::string chosen, rejected;
  std::vector<int64_t> message_ids, chosen_ids, rejected_ids;
};

// messages: one talk without copies, a tree by server_id and parent. Of what came before a question the newest
// exchanges stay, up to row_chars code points.
std::vector<Preference> find_preferences(std::span<const Message> messages,
                                         std::string_view persona, int64_t row_chars);

// One line of preferences.jsonl, as LLaMA-Factory reads it with "ranking": true:
//   {"messages": [{"role": "user", "content": "…"}], "chosen": {"role": "assistant", "content":
//   "…"},
//    "rejected": {…}, "message_ids": […], "chosen_ids": […], "rejected_ids": […]}
std::string preference_json(const Preference& preference, const std::string& system);

}  // namespace zhiyin::chats
