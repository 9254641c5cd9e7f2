#include "tensor/tensor.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/error.h"

namespace zhiyin {
namespace {

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.dims() - 1; i >= 0; --i) {
    strides.set(i, step);
    step *= shape.dim(i);
  }
  return strides;
}

}  // namespace

std::string Shape::text() const {
  std::string out = "[";
  for (int i = 0; i < dims_; ++i) {
    if (i > 0) out += ", ";
    append_text(out, dim(i));
  }
  return out + "]";
}

ValueId new_value_id() {
  static std::atomic<ValueId> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

Tensor::Storage::~Storage() {
  if (data != nullptr) context->allocator().release(data, bytes);
}

Tensor Tensor::empty(Context& context, const Shape& shape) {
  Tensor tensor;
  tensor.storage_ = std::make_shared<Storage>();
  tensor.storage_->context = &context;
  tensor.storage_->bytes = static_cast<size_t>(shape.elements()) * sizeof(float);
  tensor.storage_->data = static_cast<float*>(context.allocator().allocate(tensor.storage_->bytes));
  tensor.data_ = tensor.storage_->data;
  tensor.shape_ = shape;
  tensor.strides_ = contiguous_strides(shape);
  return tensor;
}

Tensor Tensor::zeros(Context& context, const Shape& shape) {
  Tensor tensor = empty(context, shape);
  std::fill_n(tensor.data_, shape.elements(), 0.0f);
  return tensor;
}

Tensor Tensor::from(Context& context, const Shape& shape, std::span<const float> values) {
  check(static_cast<int64_t>(values.size()) == shape.elements(), ErrorCode::kFailed,
        "tensor: ", values.size(), " values do not fill the shape ", shape);
  Tensor tensor = empty(context, shape);
  std::copy(values.begin(), values.end(), tensor.data_);
  return tensor;
}

Tensor Tensor::parameter(Context& context, const Shape& shape, std::span<const float> values) {
  return from(context, shape, values).with_id(new_value_id());
}

bool Tensor::contiguous() const { return strides_ == contiguous_strides(shape_); }

float Tensor::item() const {
  check(defined() && elements() == 1, ErrorCode::kFailed, "item: the tensor has the shape ", shape_,
        ", not one value");
  return *data_;
}

std::vector<float> Tensor::to_vector() const {
  std::vector<float> values(static_cast<size_t>(elements()));
  if (values.empty()) return values;
  const int64_t cols = dims() == 0 ? 1 : dim(-1);
  for (int64_t r = 0; r < rows(); ++r) std::copy_n(row(r), cols, values.data() + r * cols);
  return values;
}

int64_t Tensor::row_offset(int64_t r) const {
  int64_t offset = 0;
  for (int i = dims() - 2; i >= 0; --i) {
    offset += r % dim(i) * stride(i);
    r /= dim(i);
  }
  return offset;
}

int64_t Tensor::row_stride() const {
  if (dims() < 2) return dims() == 0 ? 1 : dim(-1);
  for (int i = dims() - 3; i >= 0; --i) {
    if (dim(i) != 1 && stride(i) != stride(i + 1) * dim(i + 1)) return -1;
  }
  return stride(-2);
}

Tensor Tensor::view(const Shape& shape) const {
  check(contiguous() && shape.elements() == elements(), ErrorCode::kFailed, "view: ", shape_,
        contiguous() ? " cannot be seen as " : " is not contiguous, wanted ", shape);
  Tensor other = *this;
  other.shape_ = shape;
  other.strides_ = contiguous_strides(shape);
  other.id_ = 0;
  return other;
}

Tensor Tensor::slice(int d, int64_t begin, int64_t end) const {
  const int at = d < 0 ? d + dims() : d;
  check(at >= 0 && at < dims() && begin >= 0 && begin <= end && end <= dim(at), ErrorCode::kFailed,
        "slice: [", begin, ", ", end, ") of dimension ", d, " is outside the shape ", shape_);
  Tensor other = *this;
  other.data_ += begin * stride(at);
  other.shape_.set(at, end - begin);
  other.id_ = 0;
  return other;
}

Tensor Tensor::contiguous_copy() const {
  Tensor other = empty(context(), shape_);
  if (elements() == 0) return other;
  const int64_t cols = dims() == 0 ? 1 : dim(-1);
  for (int64_t r = 0; r < rows(); ++r) std::copy_n(row(r), cols, other.data_ + r * cols);
  return other;
}

}  // namespace zhiyin
