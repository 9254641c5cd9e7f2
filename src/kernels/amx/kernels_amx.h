// The kernels written for this instruction set; the rest of its table comes from avx512.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::amx {

KernelTable make_table();

}  // namespace zhiyin::amx
