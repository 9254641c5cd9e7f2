// The kernels written for this instruction set; the rest of its table comes from ref.
#pragma once

#include "kernels/kernels.h"

namespace zhiyin::avx2 {

KernelTable make_table();

}  // namespace zhiyin::avx2
