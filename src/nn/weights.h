// Weights: the tensors of a model, looked up by scope. Names are those of Hugging Face, whatever
// the file; src/io translates.
//
//   Weights w = all["model.layers.3"];
//   Linear q(w["self_attn.q_proj"]);      // reads ….q_proj.weight and, where there is one, .bias
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/ops.h"

namespace zhiyin {

class Weights {
 public:
  // Vectors come as matrices of one row. `source` names the file in messages.
  Weights(Context& context, std::string source, std::vector<Weight> tensors);

  Weights operator[](std::string_view scope) const;
  // "model.layers.3.self_attn.q_proj"
  const std::string& path() const { return path_; }
  Context& context() const { return *table_->context; }

  bool has(std::string_view leaf) const;
  // A matrix as it lies in the file. rows or cols 0: any. Throws kNotFound, naming the nearest
  // tensor there is, and kFailed on another shape.
  Matrix matrix(std::string_view leaf, int64_t rows, int64_t cols) const;
  // A vector, decoded to f32.
  Tensor vector(std::string_view leaf, int64_t size) const;

  // From now on every matrix and vector is handed out decoded to f32, as a parameter that tapes can
  // watch: a model made of these weights can be trained as a whole.
  void make_trainable() const { table_->trainable = true; }
  // Those handed out since, by name; the values are shared with the model.
  std::vector<std::pair<std::string, Tensor>> parameters() const;

  // Names of the tensors nobody asked for.
  std::vector<std::string> unused() const;

 private:
  struct Entry {
    Weight weight;
    bool used = false;
    Tensor parameter;  // undefined where the weights are not trainable
  };
  struct Table {
    Context* context;
    std::string source;
    std::map<std::string, Entry, std::less<>> entries;
    bool trainable = false;
  };
  Weights(std::shared_ptr<Table> table, std::string path)
      : table_(std::move(table)), path_(std::move(path)) {}
  std::string full_name(std::string_view leaf) const;
  Entry& entry(std::string_view leaf) const;
  const Tensor& parameter(Entry& entry, const Shape& shape) const;

  std::shared_ptr<Table> table_;
  std::string path_;
};

}  // namespace zhiyin
