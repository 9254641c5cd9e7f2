// The pack and unpack functions of every format, for the table in formats.cc. Signatures and
// promises are those of FormatInfo.
#pragma once

#include <cstdint>

// The functions are compiled once more for AVX2 and chosen when the program is loaded. Nothing in
// this folder is contracted or reordered, so both give the same bytes. Sanitizers cannot run
// before the loader has resolved such functions.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define ZY_ROW_FUNCTION __attribute__((target_clones("avx2", "default")))
#else
#define ZY_ROW_FUNCTION
#endif

namespace zhiyin {

#define ZY_FORMAT(name)                                        \
  void unpack_##name(const void* source, float* y, int64_t n); \
  void pack_##name(const float* x, void* target, int64_t n, const float* importance)

ZY_FORMAT(f32);
ZY_FORMAT(f16);
ZY_FORMAT(bf16);
ZY_FORMAT(q4_0);
ZY_FORMAT(q4_1);
ZY_FORMAT(q5_0);
ZY_FORMAT(q5_1);
ZY_FORMAT(q8_0);
ZY_FORMAT(q2_k);
ZY_FORMAT(q3_k);
ZY_FORMAT(q4_k);
ZY_FORMAT(q5_k);
ZY_FORMAT(q6_k);
ZY_FORMAT(iq4_nl);
ZY_FORMAT(iq4_xs);

#undef ZY_FORMAT

}  // namespace zhiyin
