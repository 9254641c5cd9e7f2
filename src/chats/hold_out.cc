#include "chats/hold_out.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace zhiyin::chats {

std::vector<int64_t> choose_hold_out(std::vector<LedgerRow> rows, double share) {
  constexpr int64_t kEnoughAnswers = 400;
  constexpr double kDefaultShare = 0.05;
  int64_t answers = 0;
  std::unordered_map<int64_t, int64_t> session_answers;
  for (const LedgerRow& row : rows) {
    answers += row.answers;
    session_answers[row.session] += row.answers;
  }
  if (share < 0) share = answers >= kEnoughAnswers ? kDefaultShare : 0;
  const auto wanted = static_cast<int64_t>(share * static_cast<double>(answers));
  std::sort(rows.begin(), rows.end(), [](const LedgerRow& a, const LedgerRow& b) {
    return std::tie(a.end_time, a.id) > std::tie(b.end_time, b.id);
  });
  std::unordered_set<int64_t> held_out;
  int64_t held_answers = 0;
  for (const LedgerRow& row : rows) {
    if (held_answers >= wanted) break;
    const int64_t more = session_answers[row.session];
    if (held_out.contains(row.session) || (held_answers + more) * 2 > answers) continue;
    held_out.insert(row.session);
    held_answers += more;
  }
  std::unordered_set<uint64_t> trained;
  for (const LedgerRow& row : rows) {
    if (!held_out.contains(row.session)) trained.insert(row.hash);
  }
  std::vector<int64_t> ids;
  for (const LedgerRow& row : rows) {
    if (held_out.contains(row.session) && !trained.contains(row.hash)) ids.push_back(row.id);
  }
  return ids;
}

}  // namespace zhiyin::chats
