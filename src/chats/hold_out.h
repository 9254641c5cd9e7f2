// Which rows are kept from training, to check it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "chats/ledger.h"

namespace zhiyin::chats {

// The ids of the rows to hold out: the newest conversations, whole, until they hold `share` of all
// answers; a negative share means 5 % from 400 answers on and none below. Whole, so that no half of
// a conversation gives the other away; one that would leave less than half to train on is not
// taken. A row whose words also stand in a training row stays there.
std::vector<int64_t> choose_hold_out(std::vector<LedgerRow> rows, double share);

}  // namespace zhiyin::chats
