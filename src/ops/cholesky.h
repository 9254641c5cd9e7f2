// Cholesky factors of large symmetric matrices, on the threads of a context.
#pragma once

#include "tensor/tensor.h"

namespace zhiyin {

// The upper triangle U with U^T U = a, for a symmetric positive definite a [n, n]; below the
// diagonal are zeros. A pivot that rounding left below a millionth of its diagonal element is taken
// as that, so a matrix at the edge of being singular has a factor too.
Tensor cholesky_upper(Context& context, const Tensor& a);

}  // namespace zhiyin
