#include "nn/weights.h"

#include "base/error.h"
#include "base/nearest.h"

namespace zhiyin {

Weights::Weights(Context& context, std::string source, std::vector<Weight> tensors)
    : table_(std::make_shared<Table>()) {
  table_->context = &context;
  table_->source = std::move(source);
  for (Weight& weight : tensors) {
    std::string name = weight.name();
    const bool inserted =
        table_->entries.try_emplace(std::move(name), Entry{std::move(weight), false, {}}).second;
    check(inserted, ErrorCode::kFailed, table_->source, ": two tensors have the same name");
  }
}

Weights Weights::operator[](std::string_view scope) const { return {table_, full_name(scope)}; }

std::string Weights::full_name(std::string_view leaf) const {
  return path_.empty() ? std::string(leaf) : cat(path_, ".", leaf);
}

bool Weights::has(std::string_view leaf) const { return table_->entries.contains(full_name(leaf)); }

Weights::Entry& Weights::entry(std::string_view leaf) const {
  const std::string name = full_name(leaf);
  const auto found = table_->entries.find(name);
  if (found == table_->entries.end()) {
    std::vector<std::string> names;
    for (const auto& [known, unused] : table_->entries) names.push_back(known);
    fail(ErrorCode::kNotFound, table_->source, ": the tensor ", name, " is missing",
         names.empty() ? "" : cat("; the nearest is ", nearest(name, names)));
  }
  found->second.used = true;
  return found->second;
}

const Tensor& Weights::parameter(Entry& entry, const Shape& shape) const {
  if (entry.parameter.defined()) return entry.parameter;
  const Weight& weight = entry.weight;
  Tensor values = Tensor::empty(context(), shape).with_id(new_value_id());
  context().pool().parallel_for(weight.rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      weight.unpack_row(context().kernels(), r, 0, weight.cols(),
                        values.data() + r * weight.cols());
    }
  });
  entry.parameter = values;
  return entry.parameter;
}

Matrix Weights::matrix(std::string_view leaf, int64_t rows, int64_t cols) const {
  Entry& found = entry(leaf);
  const Weight& weight = found.weight;
  check((rows == 0 || weight.rows() == rows) && (cols == 0 || weight.cols() == cols),
        ErrorCode::kFailed, table_->source, ": the tensor ", weight.name(), " has the shape ",
        weight.shape().text(), " where the configuration asks for ", Shape{rows, cols}.text());
  if (table_->trainable) return parameter(found, weight.shape());
  return weight;
}

Tensor Weights::vector(std::string_view leaf, int64_t size) const {
  Entry& found = entry(leaf);
  const Weight& weight = found.weight;
  check(weight.rows() == 1 && weight.cols() == size, ErrorCode::kFailed, table_->source,
        ": the tensor ", weight.name(), " has the shape ", weight.shape().text(),
        " where the configuration asks for ", Shape{size}.text());
  if (table_->trainable) return parameter(found, {size});
  Tensor values = Tensor::empty(context(), {size});
  weight.unpack_row(context().kernels(), 0, 0, size, values.data());
  return values;
}

std::vector<std::pair<std::string, Tensor>> Weights::parameters() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const auto& [name, entry] : table_->entries) {
    if (entry.parameter.defined()) all.emplace_back(name, entry.parameter);
  }
  return all;
}

std::vector<std::string> Weights::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : table_->entries) {
    if (!entry.used) names.push_back(name);
  }
  return names;
}

}  // namespace zhiyin
