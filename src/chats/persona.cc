#include "chats/persona.h"

#include <algorithm>

#include "base/error.h"

namespace zhiyin::chats {
namespace {

constexpr size_t kPeopleShown = 20;

using Candidates = std::vector<const Person*>;

template <typename Test>
Candidates those(std::span<const Person> people, Test test) {
  Candidates found;
  for (const Person& person : people) {
    if (test(person)) found.push_back(&person);
  }
  return found;
}

}  // namespace

std::string people_text(std::span<const Person> people) {
  std::vector<std::string> lines;
  for (const Person& person : people.first(std::min(people.size(), kPeopleShown))) {
    const std::string name =
        person.name == person.id ? person.id : cat(person.name, " (", person.id, ")");
    lines.push_back(cat(name, ": ", person.messages, " messages"));
  }
  if (people.size() > kPeopleShown) lines.push_back(cat(people.size() - kPeopleShown, " more"));
  return join(lines, "; ");
}

const Person& choose_persona(std::span<const Person> people, std::span<const Talk> talks,
                             const std::string& wanted) {
  check(!people.empty(), ErrorCode::kFailed, "nobody speaks in this export");
  Candidates found;
  if (wanted.empty()) {
    const bool groups =
        std::any_of(talks.begin(), talks.end(), [](const Talk& t) { return t.group; });
    found = those(people, [](const Person& p) { return p.side == Side::kMachine; });
    if (found.empty() && !groups) {
      found = those(people, [](const Person& p) { return p.side == Side::kOther; });
    }
    check(found.size() == 1, ErrorCode::kUsage,
          "whose voice shall be learned? Name the persona: ", people_text(people));
    return *found.front();
  }
  found = those(people, [&](const Person& p) { return p.id == wanted; });
  if (found.empty()) found = those(people, [&](const Person& p) { return p.name == wanted; });
  check(!found.empty(), ErrorCode::kNotFound, wanted,
        ": nobody of that name or id speaks here; there are ", people_text(people));
  check(found.size() == 1, ErrorCode::kUsage, wanted,
        ": several people have that name, give the id instead: ", people_text(people));
  return *found.front();
}

}  // namespace zhiyin::chats
