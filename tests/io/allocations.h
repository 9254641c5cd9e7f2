// The largest single allocation by operator new in this program, for tests of hostile files.
#pragma once

#include <cstddef>

namespace zhiyin::testing {

void reset_largest_allocation();
size_t largest_allocation();

}  // namespace zhiyin::testing
