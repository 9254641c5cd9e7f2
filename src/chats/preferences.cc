#include "chats/preferences.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "chats/dataset_files.h"

namespace zhiyin::chats {
namespace {

// A tree this deep is a damaged one that goes in a circle.
constexpr size_t kDeepest = 100000;

bool is_visible(const Message& message) {
  return (message.kind == MessageKind::kText || message.kind == MessageKind::kBranch) &&
         !message.text.empty() && message.side != Side::kNobody;
}

struct Answer {
  std::string text;
  std::vector<int64_t> ids;
  int rating = 0;
  bool in_use = false;

  // What was rated up comes first, then what was kept, then what was left, last what was rated
  // down.
  int rank() const { return rating != 0 ? 2 * rating : in_use ? 1 : 0; }
};

class Talk {
 public:
  Talk(std::span<const Message> messages, std::string_view persona) : persona_(persona) {
    for (const Message& message : messages) {
      if (!message.server_id.empty()) by_id_.emplace(message.server_id, &message);
    }
    for (const Message& message : messages) {
      const auto self = by_id_.find(message.server_id);
      if (self == by_id_.end() || self->second != &message) continue;  // a copy
      if (by_id_.contains(message.parent)) children_[message.parent].push_back(&message);
    }
  }

  // In the order of the messages given.
  std::vector<const Message*> forks(std::span<const Message> messages) const {
    std::vector<const Message*> forks;
    std::unordered_set<std::string_view> seen;
    for (const Message& message : messages) {
      const auto found = children_.find(message.server_id);
      if (found == children_.end() || found->second.size() < 2) continue;
      if (seen.insert(message.server_id).second) forks.push_back(&message);
    }
    return forks;
  }

  std::vector<Answer> answers(const Message& fork) const {
    std::vector<Answer> answers;
    for (const Message* child : children_.at(fork.server_id)) {
      Answer answer = answer_from(*child);
      if (!answer.text.empty()) answers.push_back(std::move(answer));
    }
    return answers;
  }

  // What was said up to the fork; empty unless the user spoke last.
  Preference question(const Message& fork, int64_t row_chars) const {
    std::vector<const Message*> way;
    int64_t chars = 0;
    const Message* at = &fork;
    for (size_t steps = 0; at != nullptr && steps < kDeepest; ++steps) {
      if (is_visible(*at)) {
        chars += count_chars(at->text);
        if (!way.empty() && chars > row_chars) break;
        way.push_back(at);
      }
      const auto parent = by_id_.find(at->parent);
      at = parent == by_id_.end() ? nullptr : parent->second;
    }
    Preference out;
    if (way.empty() || way.front()->sender == persona_) return out;
    while (way.back()->sender == persona_) way.pop_back();
    for (auto message = way.rbegin(); message != way.rend(); ++message) {
      const bool assistant = (*message)->sender == persona_;
      if (out.turns.empty() || out.turns.back().assistant != assistant) {
        out.turns.push_back({assistant, (*message)->text});
      } else {
        out.turns.back().text += (*message)->joint + (*message)->text;
      }
      out.message_ids.push_back((*message)->id);
    }
    return out;
  }

 private:
  // The persona's words from a child of the fork on, until the user speaks again. Where the way
  // forks once more, what is in use is followed, else the newest.
  Answer answer_from(const Message& child) const {
    Answer answer;
    answer.in_use = child.kind != MessageKind::kBranch;
    const Message* at = &child;
    for (size_t steps = 0; at != nullptr && steps < kDeepest; ++steps) {
      if (is_visible(*at)) {
        if (at->sender != persona_) break;
        if (!answer.text.empty()) answer.text += at->joint;
        answer.text += at->text;
        answer.ids.push_back(at->id);
      }
      if (at->rating != 0) answer.rating = at->rating;
      const auto next = children_.find(at->server_id);
      if (next == children_.end()) break;
      at = next->second.back();
      for (const Message* candidate : next->second) {
        if (candidate->kind != MessageKind::kBranch) at = candidate;
      }
    }
    return answer;
  }

  std::string_view persona_;
  std::unordered_map<std::string_view, const Message*> by_id_;
  std::unordered_map<std::string_view, std::vector<const Message*>> children_;
};

}  // namespace

std::vector<Preference> find_preferences(std::span<const Message> messages,
                                         std::string_view persona, int64_t row_chars) {
  std::vector<Preference> found;
  const Talk talk(messages, persona);
  for (const Message* fork : talk.forks(messages)) {
    const std::vector<Answer> answers = talk.answers(*fork);
    if (answers.size() < 2) continue;
    const Preference question = talk.question(*fork, row_chars);
    if (question.turns.empty()) continue;
    const auto best =
        std::max_element(answers.begin(), answers.end(),
                         [](const Answer& a, const Answer& b) { return a.rank() < b.rank(); });
    for (const Answer& other : answers) {
      if (other.rank() >= best->rank() || other.text == best->text) continue;
      Preference pair = question;
      pair.chosen = best->text;
      pair.chosen_ids = best->ids;
      pair.rejected = other.text;
      pair.rejected_ids = other.ids;
      found.push_back(std::move(pair));
    }
  }
  return found;
}

std::string preference_json(const Preference& preference, const std::string& system) {
  using Json = nlohmann::ordered_json;
  const auto answer = [](const std::string& text) {
    return Json{{"role", "assistant"}, {"content", text}};
  };
  Json row = {{"messages", messages_json(preference.turns, system)},
              {"chosen", answer(preference.chosen)},
              {"rejected", answer(preference.rejected)},
              {"message_ids", preference.message_ids},
              {"chosen_ids", preference.chosen_ids},
              {"rejected_ids", preference.rejected_ids}};
  return row.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace zhiyin::chats
