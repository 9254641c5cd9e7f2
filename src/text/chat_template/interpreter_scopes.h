// What the interpreter enters and leaves: depth, frames, output buffers.
#pragma once

#include <memory>
#include <string>

#include "text/chat_template/budget.h"
#include "text/chat_template/interpreter.h"

namespace zhiyin::jinja {

// Everything that recurses holds one: the stack stays small whatever the template does.
class Interpreter::Deeper {
 public:
  explicit Deeper(Interpreter& interpreter) : interpreter_(interpreter) {
    constexpr int kMaxDepth = 2500;
    if (interpreter_.depth_ >= kMaxDepth) {
      raise("RecursionError", "maximum recursion depth exceeded");
    }
    ++interpreter_.depth_;
  }
  ~Deeper() { --interpreter_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Interpreter& interpreter_;
};

// Runs a function: a new frame until the end of the scope, kept longer if something captured it.
class Interpreter::FrameScope {
 public:
  FrameScope(Interpreter& interpreter, Frame* outer, int slots)
      : interpreter_(interpreter), caller_(interpreter.frame_), frame_(std::make_unique<Frame>()) {
    spend_bytes(sizeof(Frame) + static_cast<size_t>(slots) * sizeof(Value));
    frame_->outer = outer;
    frame_->slots.resize(static_cast<size_t>(slots));
    interpreter_.frame_ = frame_.get();
  }
  ~FrameScope() {
    interpreter_.frame_ = caller_;
    if (frame_->captured) interpreter_.kept_frames_.push_back(std::move(frame_));
  }
  FrameScope(const FrameScope&) = delete;
  FrameScope& operator=(const FrameScope&) = delete;

 private:
  Interpreter& interpreter_;
  Frame* caller_;
  std::unique_ptr<Frame> frame_;
};

// Collects what is written until the end of the scope.
class Interpreter::Buffer {
 public:
  explicit Buffer(Interpreter& interpreter) : interpreter_(interpreter), before_(interpreter.out_) {
    interpreter_.out_ = &text_;
  }
  ~Buffer() { interpreter_.out_ = before_; }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::string take() { return std::move(text_); }

 private:
  Interpreter& interpreter_;
  std::string* before_;
  std::string text_;
};

}  // namespace zhiyin::jinja
