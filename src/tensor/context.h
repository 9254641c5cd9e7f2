// Where tensors live and operations run: thread pool, allocator, kernel table, precision. A tensor
// knows its Context through its storage, so model code passes none around and nothing is global.
// The device would be a property of this class; only the CPU exists today.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "tensor/allocator.h"
#include "tensor/packed_memory.h"

namespace zhiyin {

enum class Precision : uint8_t {
  kFast,   // activations rounded to 8 bits before products with quantised weights
  kExact,  // activations and products in f32, for comparing with a reference
};

struct ContextOptions {
  int threads = 0;                       // 0: one a physical core
  const KernelTable* kernels = nullptr;  // nullptr: the best this CPU runs
  Precision precision = Precision::kFast;
};

// Must outlive every tensor made in it. Any thread may use it.
class Context {
 public:
  explicit Context(const ContextOptions& options = {});

  ThreadPool& pool() { return pool_; }
  const KernelTable& kernels() const { return *kernels_; }
  Precision precision() const { return precision_; }
  Allocator& allocator() { return allocator_; }
  PackedMemory& packed_memory() { return packed_memory_; }

  // Asks a forward pass that runs in this context to stop between blocks with Cancelled.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void reset_cancel() { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  Allocator allocator_;
  PackedMemory packed_memory_;
  ThreadPool pool_;
  const KernelTable* kernels_;
  Precision precision_;
  std::atomic<bool> cancelled_{false};
};

// Thrown by a forward pass after Context::cancel().
struct Cancelled {};

}  // namespace zhiyin
