#include "autograd/tape.h"

#include <algorithm>

#include "base/error.h"

namespace zhiyin {
namespace {

thread_local Tape* current_tape = nullptr;
// Set while remat() computes a block whose way back will compute it again.
thread_local bool will_be_repeated = false;

// For a scope.
class Repeated {
 public:
  Repeated() : before_(will_be_repeated) { will_be_repeated = true; }
  ~Repeated() { will_be_repeated = before_; }
  Repeated(const Repeated&) = delete;
  Repeated& operator=(const Repeated&) = delete;

 private:
  bool before_;
};

// total += b, in its place where nobody else holds it.
void add_to(Tensor& total, const Tensor& b) {
  check(total.shape() == b.shape(), ErrorCode::kFailed, "gradient: ", total.shape(),
        " cannot be added to ", b.shape());
  Context& context = total.context();
  Tensor y = total.sole_owner() ? total : Tensor::empty(context, total.shape());
  const int64_t cols = total.dims() == 0 ? 1 : total.dim(-1);
  constexpr int64_t kGrain = 32768;  // values for which another thread is worth starting
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, cols));
  context.pool().parallel_for(total.rows(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      context.kernels().add(total.row(r), b.row(r), y.row(r), cols);
    }
  });
  total = y;
}

}  // namespace

Tensor Gradients::of(ValueId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? Tensor() : found->second;
}

void Gradients::add(ValueId id, const Tensor& gradient) {
  const auto [at, inserted] = by_id_.try_emplace(id, gradient);
  if (!inserted) add_to(at->second, gradient);
}

Tensor Gradients::take(ValueId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return {};
  Tensor gradient = std::move(found->second);
  by_id_.erase(found);
  return gradient;
}

Tape::Tape() : before_(current_tape) { current_tape = this; }
Tape::~Tape() { current_tape = before_; }
Tape* Tape::current() { return current_tape; }

NoTape::NoTape() : before_(current_tape) { current_tape = nullptr; }
NoTape::~NoTape() { current_tape = before_; }

void Tape::watch(ValueId id) {
  check(id != 0, ErrorCode::kFailed, "tape: a value without an id cannot be watched");
  watched_.insert(id);
  leaves_.insert(id);
}

void Tape::add(Record record) {
  watched_.insert(record.output);
  records_.push_back(std::move(record));
}

Gradients Tape::backward(const Tensor& loss) {
  check(loss.elements() == 1, ErrorCode::kFailed, "backward: the loss has the shape ", loss.shape(),
        ", not one value");
  Tensor seed = Tensor::empty(loss.context(), loss.shape());
  *seed.data() = 1.0f;
  return backward(loss, seed);
}

Gradients Tape::backward(const Tensor& value, const Tensor& seed) {
  const NoTape quiet;
  Gradients gradients;
  if (value.id() != 0) gradients.add(value.id(), seed);
  while (!records_.empty()) {
    // Popped before its use, so that the tensors it holds are freed as soon as they can be.
    const Record record = std::move(records_.back());
    records_.pop_back();
    // A watched leaf keeps its gradient; an intermediate value's is used up here.
    const Tensor dy = leaves_.contains(record.output) ? gradients.of(record.output)
                                                      : gradients.take(record.output);
    if (!dy.defined()) continue;
    if (record.backward_into) {
      record.backward_into(dy, gradients);
      continue;
    }
    const std::vector<Tensor> inputs = record.backward(dy);
    for (size_t i = 0; i < record.inputs.size(); ++i) {
      if (!inputs[i].defined() || !watched_.contains(record.inputs[i])) continue;
      gradients.add(record.inputs[i], inputs[i]);
    }
  }
  return gradients;
}

bool recording(std::span<const Tensor* const> inputs) {
  return current_tape != nullptr && std::any_of(inputs.begin(), inputs.end(), [](const Tensor* t) {
           return current_tape->watches(*t);
         });
}

bool training() { return current_tape != nullptr || will_be_repeated; }

Tensor record(const char* operation, const Tensor& y, std::span<const Tensor* const> inputs,
              Backward backward) {
  Tape::Record record{operation, new_value_id(), {}, std::move(backward), nullptr};
  for (const Tensor* input : inputs) record.inputs.push_back(input->id());
  const Tensor result = y.with_id(record.output);
  current_tape->add(std::move(record));
  return result;
}

Tensor remat(const Tensor& x, const std::function<Tensor(const Tensor&)>& block) {
  Tape* const outer = current_tape;
  if (outer == nullptr) return block(x);
  Tensor y;
  {
    const NoTape quiet;
    const Repeated repeated;
    y = block(x);
  }
  const ValueId output = new_value_id();
  // Everything the outer tape watches by now may be read inside the block.
  auto backward_into = [input = x, block, watched = outer->watched()](const Tensor& dy,
                                                                      Gradients& gradients) {
    Tape inner;
    for (const ValueId id : watched) inner.watch(id);
    const Tensor again = block(input);
    Gradients found = inner.backward(again, dy);
    for (const ValueId id : watched) {
      if (const Tensor gradient = found.take(id); gradient.defined()) gradients.add(id, gradient);
    }
  };
  outer->add({"remat", output, {}, nullptr, std::move(backward_into)});
  return y.with_id(output);
}

}  // namespace zhiyin
