// Tensor: a cheap handle to float storage with inline shape and strides.
//
// Copies share the storage. Values are f32; the innermost stride is 1, outer strides may skip (a
// slice of columns, a head of a row), and every operation accepts such inputs. Quantised weights
// are no tensors: see weight.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/context.h"
#include "tensor/shape.h"

namespace zhiyin {

// Identity of a value on a tape; 0: no tape may watch it (autograd/tape.h).
using ValueId = uint64_t;
ValueId new_value_id();

class Tensor {
 public:
  Tensor() = default;  // undefined

  // Uninitialised values.
  static Tensor empty(Context& context, const Shape& shape);
  static Tensor zeros(Context& context, const Shape& shape);
  static Tensor from(Context& context, const Shape& shape, std::span<const float> values);
  // A leaf that tapes can watch.
  static Tensor parameter(Context& context, const Shape& shape, std::span<const float> values);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int dims() const { return shape_.dims(); }
  int64_t dim(int i) const { return shape_.dim(i); }
  int64_t stride(int i) const { return strides_.dim(i); }
  int64_t elements() const { return shape_.elements(); }
  Context& context() const { return *storage_->context; }
  bool contiguous() const;
  // Whether no other tensor shares the storage.
  bool sole_owner() const { return storage_.use_count() == 1; }

  float* data() { return data_; }
  const float* data() const { return data_; }
  // The only value of a tensor of one element.
  float item() const;
  // All values in row-major order.
  std::vector<float> to_vector() const;

  // The tensor as rows of dim(-1) values: row(r) for r < rows(), whatever the outer shape.
  int64_t rows() const { return dims() == 0 ? 1 : elements() / (dim(-1) == 0 ? 1 : dim(-1)); }
  const float* row(int64_t r) const { return data_ + row_offset(r); }
  float* row(int64_t r) { return data_ + row_offset(r); }
  // Distance of two rows where it is the same for all, -1 otherwise.
  int64_t row_stride() const;

  // Views; gradients do not flow through them (ops/shape.cc has those that carry gradients).
  Tensor view(const Shape& shape) const;                    // contiguous tensors only
  Tensor slice(int dim, int64_t begin, int64_t end) const;  // [begin, end) of a dimension
  Tensor contiguous_copy() const;

  ValueId id() const { return id_; }
  Tensor with_id(ValueId id) const {
    Tensor copy = *this;
    copy.id_ = id;
    return copy;
  }

 private:
  struct Storage {
    Context* context = nullptr;
    float* data = nullptr;
    size_t bytes = 0;
    ~Storage();
  };
  int64_t row_offset(int64_t r) const;

  std::shared_ptr<Storage> storage_;
  float* data_ = nullptr;
  Shape shape_, strides_;
  ValueId id_ = 0;
};

}  // namespace zhiyin
