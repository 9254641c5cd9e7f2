#include "harness/check_op.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace zhiyin::testing {
namespace {

float largest(const std::vector<float>& values) {
  float top = 1.0f;
  for (const float v : values) top = std::max(top, std::fabs(v));
  return top;
}

// The same values in rows that lie 5 apart more than they need.
Tensor strided_twin(const Tensor& x) {
  if (x.dims() < 2) return x;
  Shape wide = x.shape();
  wide.set(-1, x.dim(-1) + 5);
  Tensor room = Tensor::zeros(x.context(), wide);
  Tensor twin = room.slice(-1, 2, 2 + x.dim(-1));
  for (int64_t r = 0; r < x.rows(); ++r) std::copy_n(x.row(r), x.dim(-1), twin.row(r));
  return twin.with_id(x.id());
}

std::vector<Tensor> make_inputs(Context& context, const std::vector<Shape>& shapes, bool strided) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < shapes.size(); ++i) {
    Tensor x = random_tensor(context, shapes[i], 11 + i).with_id(new_value_id());
    inputs.push_back(strided ? strided_twin(x) : x);
  }
  return inputs;
}

void expect_near(const std::string& what, const std::vector<float>& got,
                 const std::vector<float>& wanted, float tolerance) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  const float bound = tolerance * largest(wanted);
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], wanted[i], bound) << what << ", element " << i << " of " << got.size();
  }
}

double weighted_sum(const Tensor& y, const std::vector<float>& weights) {
  const std::vector<float> values = y.to_vector();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(weights[i]);
  }
  return sum;
}

void check_gradient(const std::string& name, Context& context, const Op& op,
                    const std::vector<Shape>& shapes, const CheckOptions& options) {
  std::vector<Tensor> inputs = make_inputs(context, shapes, true);
  std::vector<float> weights;
  std::vector<Tensor> gradients;
  {
    Tape tape;
    for (const Tensor& input : inputs) tape.watch(input);
    const Tensor y = op(context, inputs);
    weights = random_values(y.elements(), 99);
    Gradients found = tape.backward(y, Tensor::from(context, y.shape(), weights));
    for (const Tensor& input : inputs) gradients.push_back(found.of(input));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(gradients[i].defined()) << name << ": no gradient of input " << i;
    ASSERT_EQ(gradients[i].shape(), inputs[i].shape()) << name << ": gradient of input " << i;
    const std::vector<float> got = gradients[i].to_vector();
    const float bound = options.gradient_tolerance * largest(got);
    const int64_t stride = std::max<int64_t>(1, inputs[i].elements() / options.gradient_samples);
    for (int64_t e = 0; e < inputs[i].elements(); e += stride) {
      float* value = inputs[i].row(e / inputs[i].dim(-1)) + e % inputs[i].dim(-1);
      const float before = *value;
      *value = before + options.step;
      const double above = weighted_sum(op(context, inputs), weights);
      *value = before - options.step;
      const double below = weighted_sum(op(context, inputs), weights);
      *value = before;
      const double wanted = (above - below) / (2.0 * static_cast<double>(options.step));
      ASSERT_NEAR(static_cast<double>(got[static_cast<size_t>(e)]), wanted,
                  static_cast<double>(bound))
          << name << " on " << context.kernels().name << ": gradient of input " << i << ", element "
          << e;
    }
  }
}

}  // namespace

std::vector<const KernelTable*> kernel_tables() {
  std::vector<const KernelTable*> tables;
  for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (const KernelTable* table = kernel_table(isa)) tables.push_back(table);
  }
  return tables;
}

std::vector<float> random_values(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = static_cast<float>(2 * random.uniform() - 1);
  return values;
}

Tensor random_tensor(Context& context, const Shape& shape, uint64_t seed) {
  return Tensor::from(context, shape, random_values(shape.elements(), seed));
}

void check_op(const std::string& name, const Op& op, const std::vector<Shape>& shapes,
              const CheckOptions& options) {
  std::vector<float> wanted;
  for (const KernelTable* table : kernel_tables()) {
    Context context({.threads = 2, .kernels = table});
    const std::string where = name + " on " + table->name;
    const std::vector<float> plain = op(context, make_inputs(context, shapes, false)).to_vector();
    const std::vector<float> strided = op(context, make_inputs(context, shapes, true)).to_vector();
    expect_near(where + ", strided against contiguous", strided, plain, options.value_tolerance);
    if (wanted.empty()) {
      wanted = plain;
    } else {
      expect_near(where + " against plain C++", plain, wanted, options.value_tolerance);
    }
    if (options.gradient) check_gradient(name, context, op, shapes, options);
  }
}

}  // namespace zhiyin::testing
