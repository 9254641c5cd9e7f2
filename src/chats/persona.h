// Choosing the persona: the one whose voice is learned and who becomes the assistant.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "chats/ledger.h"

namespace zhiyin::chats {

// wanted: "me" for the owner of the export, an id, a name, or empty for the default: the assistant
// of an assistant's export, else the other side where only one other person speaks and no talk is
// a group. Throws kUsage where several could be meant and kNotFound where nobody is, with the
// people and how much each has said.
const Person& choose_persona(std::span<const Person> people, std::span<const Talk> talks,
                             const std::string& wanted);

// "小满 (wxid_a): 120 messages; 我 (me): 101 messages".
std::string people_text(std::span<const Person> people);

}  // namespace zhiyin::chats
