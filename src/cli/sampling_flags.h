// The flags of sampling, for every verb that generates.
#pragma once

#include "cli/verb.h"
#include "zhiyin/generate.h"

namespace zhiyin::cli {

void add_sampling_flags(CLI::App& verb, SamplingOptions& sampling);

}  // namespace zhiyin::cli
