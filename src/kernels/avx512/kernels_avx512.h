// The kernels written for this instruction set; the rest of its table comes from avx2.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::avx512 {

KernelTable make_table();

}  // namespace zhiyin::avx512
