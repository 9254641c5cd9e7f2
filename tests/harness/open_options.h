// Options for opening the small models of tests.
#pragma once

#include "zhiyin/model.h"

namespace zhiyin::testing {

inline OpenOptions one_thread() {
  OpenOptions options;
  options.threads = 1;
  return options;
}

inline OpenOptions exactly() {
  OpenOptions options = one_thread();
  options.exact = true;
  return options;
}

}  // namespace zhiyin::testing
