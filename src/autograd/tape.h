// Reverse-mode differentiation by a tape that is open on a thread for the length of a scope.
//
// An operation records only if this thread has a tape and an input is watched by it, so the same
// forward serves inference at the cost of one thread-local load. Values are named by Tensor::id().
//
//   Tape tape;
//   tape.watch(parameter);
//   Tensor loss = ...;
//   Gradients g = tape.backward(loss);
//   g.of(parameter)
#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace zhiyin {

// Gradients by value. Adding a second gradient of a value sums them.
class Gradients {
 public:
  // Undefined where the loss does not depend on the value.
  Tensor of(const Tensor& value) const { return of(value.id()); }
  Tensor of(ValueId id) const;
  void add(ValueId id, const Tensor& gradient);
  // Takes a gradient out.
  Tensor take(ValueId id);

 private:
  std::unordered_map<ValueId, Tensor> by_id_;
};

// From dy, the gradients of the inputs in their order; undefined for those without.
using Backward = std::function<std::vector<Tensor>(const Tensor& dy)>;

class Tape {
 public:
  Tape();  // becomes this thread's tape; the one before comes back at the end of the scope
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // The tape of this thread, or nullptr.
  static Tape* current();

  // value must have an id (Tensor::parameter).
  void watch(const Tensor& value) { watch(value.id()); }
  void watch(ValueId id);
  bool watches(const Tensor& value) const {
    return value.id() != 0 && watched_.contains(value.id());
  }
  const std::unordered_set<ValueId>& watched() const { return watched_; }

  // Gradients of a loss of one element with respect to all that is watched, and the end of this
  // tape's records. `seed` (the shape of value) in its place for a value of any shape.
  Gradients backward(const Tensor& loss);
  Gradients backward(const Tensor& value, const Tensor& seed);

  // Used by operations through track() and by remat().
  struct Record {
    const char* operation;
    ValueId output;
    std::vector<ValueId> inputs;
    Backward backward;
    // remat: adds to gradients of values that are not inputs, such as the parameters of a block.
    std::function<void(const Tensor& dy, Gradients& gradients)> backward_into;
  };
  void add(Record record);

 private:
  Tape* before_;
  std::vector<Record> records_;
  std::unordered_set<ValueId> watched_;
  std::unordered_set<ValueId> leaves_;
};

// Hides this thread's tape for a scope: what runs inside is not recorded.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;

 private:
  Tape* before_;
};

// Whether an operation on these inputs must record.
bool recording(std::span<const Tensor* const> inputs);
inline bool recording(std::initializer_list<const Tensor*> inputs) {
  return recording(std::span(inputs.begin(), inputs.size()));
}

// Whether a gradient may be asked for what is computed now: with a tape, and inside a block of
// remat(), which has none at first. Operations that are faster without a gradient at the price of
// accuracy must not be, or the block would give something else the second time.
bool training();

// y with an id and its way back on this thread's tape.
Tensor record(const char* operation, const Tensor& y, std::span<const Tensor* const> inputs,
              Backward backward);

// y as an operation's result: recorded where recording(inputs). `backward` becomes a Backward only
// then, since that takes memory.
template <typename Way>
Tensor track(const char* operation, const Tensor& y, std::span<const Tensor* const> inputs,
             Way&& backward) {
  if (!recording(inputs)) return y;
  return record(operation, y, inputs, std::forward<Way>(backward));
}
template <typename Way>
Tensor track(const char* operation, const Tensor& y, std::initializer_list<const Tensor*> inputs,
             Way&& backward) {
  return track(operation, y, std::span(inputs.begin(), inputs.size()), std::forward<Way>(backward));
}

// block(x), keeping nothing of its inside for the way back: backward computes it again (Chen et al.
// 2016, "Training deep nets with sublinear memory cost"). A plain call without a tape. The block
// must give the same result each time, dropout included.
Tensor remat(const Tensor& x, const std::function<Tensor(const Tensor&)>& block);

}  // namespace zhiyin
