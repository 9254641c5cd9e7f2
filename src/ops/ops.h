// The operations of models: each checks its shapes, computes on the kernels of its tensors'
// Context, and records its way back on this thread's tape where an input is watched.
//
// Shapes in comments are row-major; T is tokens, H heads, D head size. Errors are Error kFailed and
// name the operation and the shapes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/tape.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace zhiyin {

// A module's matrix [out, in]: frozen, in any format, or trainable, in f32.
class Matrix {
 public:
  Matrix() = default;
  Matrix(Weight weight) : weight_(std::move(weight)) {}  // NOLINT(google-explicit-constructor)
  Matrix(Tensor tensor) : tensor_(std::move(tensor)) {}  // NOLINT(google-explicit-constructor)

  bool defined() const { return weight_.defined() || tensor_.defined(); }
  bool frozen() const { return weight_.defined(); }
  const Weight& weight() const { return weight_; }
  const Tensor& tensor() const { return tensor_; }
  int64_t rows() const { return frozen() ? weight_.rows() : tensor_.dim(0); }
  int64_t cols() const { return frozen() ? weight_.cols() : tensor_.dim(1); }
  Shape shape() const { return {rows(), cols()}; }

 private:
  Weight weight_;
  Tensor tensor_;
};

// ---- linear.cc -------------------------------------------------------------------------------

// Up to this many rows, the most that decoding takes at a time, a row's result is the same to the
// bit however many rows come with it: what is verified together is what was computed alone.
inline constexpr int64_t kFewRows = 16;

// x [.., in] . matrix [out, in]^T + bias [out] (undefined: none) -> [.., out]
Tensor linear(const Tensor& x, const Matrix& matrix, const Tensor& bias = {});

// How activations are rounded for a quantised matrix in the fast mode.
enum class Rounding : uint8_t {
  kAuto,  // fine for few rows, where reading the weights takes the time anyway; else to 8 bits
  kFine,  // to about 15 bits
};

// What a low-rank adapter adds to a product: scale * input . a^T . b^T (Hu et al. 2021).
struct LowRank {
  Tensor input;  // x, or x after dropout
  Tensor a;      // [rank, in]
  Tensor b;      // [out, rank]
  float scale;
};

struct LinearOperand {
  const Matrix* matrix;
  const Tensor* bias;  // may be undefined
  std::vector<LowRank> low_rank;
};
// linear() with several matrices of the same input, which is rounded only once.
std::vector<Tensor> linear_many(const Tensor& x, std::span<const LinearOperand> operands,
                                Rounding rounding = Rounding::kAuto);

// down . (silu(gate . x) * up . x) in one go (gated_mlp.cc), and whether that is how to compute it:
// without a gradient, in the fast mode, for many rows on a CPU that multiplies these in bf16, for
// few with packed weights.
bool fuses_gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down);
Tensor gated_mlp(const Tensor& x, const Matrix& gate, const Matrix& up, const Matrix& down);

// The same with adapters, in training and out of it. The input of the terms of gate and up is x, of
// those of down what it multiplies; LowRank::input is not read.
struct GatedMlpOperands {
  const Matrix *gate, *up, *down;
  std::vector<LowRank> gate_terms, up_terms, down_terms;
};
bool fuses_adapted_mlp(const Tensor& x, const GatedMlpOperands& mlp);
Tensor adapted_mlp(const Tensor& x, const GatedMlpOperands& mlp);

// rows ids of matrix [vocabulary, width] -> [ids, width]
Tensor embedding(Context& context, std::span<const int32_t> ids, const Matrix& matrix);

// ---- norm.cc, activation.cc, elementwise.cc, shape.cc -------------------------------------------

// x / sqrt(mean(x^2) + epsilon) * weight, over the innermost dimension (Zhang and Sennrich 2019)
Tensor rms_norm(const Tensor& x, const Tensor& weight, float epsilon);
// silu(gate) * up (Shazeer 2020)
Tensor swiglu(const Tensor& gate, const Tensor& up);
Tensor add(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, float factor);
// Zeroes each value with probability p and divides the others by 1 - p. The mask follows from
// (seed, position) alone, so a block computed again drops the same values.
Tensor dropout(const Tensor& x, float p, uint64_t seed);
Tensor reshape(const Tensor& x, const Shape& shape);
// Rows of x [T, width] -> [rows, width]
Tensor gather_rows(const Tensor& x, std::span<const int32_t> rows);

// ---- hadamard.cc -------------------------------------------------------------------------------

// The innermost dimension times the orthonormal Hadamard matrix, in blocks of the largest power of
// two that divides it. Its own inverse, and products of two rows stay, while single large elements
// are spread over all: what makes rows fit for rounding to 8 bits (Ashkboos et al. 2024, "QuaRot").
Tensor hadamard(const Tensor& x);

// ---- rope.cc ---------------------------------------------------------------------------------

// Cosines and sines of each token's rotation, [T, rotary / 2] each.
struct Rotation {
  Tensor cosine, sine;
  bool adjacent = false;  // pairs (2i, 2i + 1); else (i, i + rotary / 2)
};
// x [T, H, D] rotated by its positions (Su et al. 2021)
Tensor rope(const Tensor& x, const Rotation& rotation);

// ---- attention.cc ------------------------------------------------------------------------------

// Tokens [begin, begin + count) of a batch belong to one sequence, of which `past` tokens are in
// the cache; tokens of different spans do not see each other.
struct Span {
  int64_t begin = 0, count = 0;
  int64_t past = 0;
  int sequence = 0;  // in the cache
};

struct AttentionOptions {
  float scale = 0;     // of q . k; 0: 1 / sqrt(D)
  int64_t window = 0;  // a token sees this many tokens, itself included; 0: all before it
};
// Causal attention with grouped heads: q [T, H, D], k and v [T, KV, D], H a multiple of KV
// -> [T, H, D]. Computed in blocks of queries; nothing of size T x T is kept for the way back.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::span<const Span> spans,
                 const AttentionOptions& options = {});

// Keys and values of one layer that lie in pages of kKvPageTokens tokens: those of a key-value head
// so many bytes into each page, the next head's head_bytes further on.
struct CachedSequence {
  const uint8_t* const* pages = nullptr;
  int64_t key_offset = 0, value_offset = 0, head_bytes = 0;
};
// The same with keys and values that are in the cache already, those of this batch included. No
// gradient. sequences[i] belongs to spans[i].
Tensor attention_cached(const Tensor& q, KvType type, int64_t kv_heads, std::span<const Span> spans,
                        std::span<const CachedSequence> sequences,
                        const AttentionOptions& options = {});

// ---- loss.cc -----------------------------------------------------------------------------------

inline constexpr int32_t kIgnoreLabel = -100;

// Rows whose logits exist at one time in linear_cross_entropy.
inline constexpr int64_t kLossChunkRows = 256;

// Sum over rows of -log softmax(x . head^T)[label], rows with kIgnoreLabel left out; x [T, width],
// one label a row (already shifted). Logits exist for a chunk of rows at a time. A row's loss
// counts `weights` times, one a row; empty: once.
Tensor linear_cross_entropy(const Tensor& x, const Matrix& head, std::span<const int32_t> labels,
                            std::span<const float> weights = {});
// The same from logits [T, vocabulary].
Tensor cross_entropy(const Tensor& logits, std::span<const int32_t> labels);

}  // namespace zhiyin
