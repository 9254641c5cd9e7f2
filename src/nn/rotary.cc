#include "nn/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace zhiyin {
namespace {

constexpr double kPi = std::numbers::pi;

// Llama 3.1: long wavelengths are stretched by the factor, short ones kept, those between blended.
void scale_llama3(const RopeConfig& config, double original, std::vector<float>& frequencies) {
  const double low_wavelength = original / config.low_freq_factor;
  const double high_wavelength = original / config.high_freq_factor;
  for (float& frequency : frequencies) {
    const double wavelength = 2 * kPi / static_cast<double>(frequency);
    const double stretched = static_cast<double>(frequency) / config.factor;
    if (wavelength > low_wavelength) {
      frequency = static_cast<float>(stretched);
    } else if (wavelength >= high_wavelength) {
      const double smooth = (original / wavelength - config.low_freq_factor) /
                            (config.high_freq_factor - config.low_freq_factor);
      frequency =
          static_cast<float>((1 - smooth) * stretched + smooth * static_cast<double>(frequency));
    }
  }
}

// Yarn: a ramp over dimensions from kept (fast) to stretched (slow) frequencies.
void scale_yarn(const RopeConfig& config, double original, int64_t dimensions,
                std::vector<float>& frequencies) {
  const double dims = static_cast<double>(dimensions);
  const auto dimension_of = [&](double rotations) {
    return dims * std::log(original / (rotations * 2 * kPi)) / (2 * std::log(config.theta));
  };
  double low = dimension_of(config.beta_fast), high = dimension_of(config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double kept = static_cast<double>(frequencies[i]);
    frequencies[i] = static_cast<float>(kept / config.factor * ramp + kept * (1 - ramp));
  }
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double yarn_attention_factor(const RopeConfig& config) {
  if (config.attention_factor) return *config.attention_factor;
  if (config.mscale && config.mscale_all_dim) {
    return yarn_scale(config.factor, *config.mscale) /
           yarn_scale(config.factor, *config.mscale_all_dim);
  }
  return yarn_scale(config.factor, 1.0);
}

}  // namespace

RotaryEmbedding::RotaryEmbedding(const RopeConfig& config, int64_t head_dim, int64_t max_positions,
                                 const Tensor& freq_factors)
    : adjacent_(config.adjacent) {
  const int64_t dimensions = config.dimensions > 0 ? config.dimensions : head_dim;
  check(dimensions % 2 == 0 && dimensions <= head_dim, ErrorCode::kFailed, "rope: ", dimensions,
        " rotated dimensions do not fit heads of ", head_dim);
  for (int64_t i = 0; i < dimensions / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dimensions);
    frequencies_.push_back(1.0f / std::pow(static_cast<float>(config.theta), exponent));
  }
  if (freq_factors.defined()) {
    check(freq_factors.elements() == dimensions / 2, ErrorCode::kFailed,
          "rope: ", freq_factors.elements(), " frequency factors for ", dimensions / 2, " pairs");
    for (size_t i = 0; i < frequencies_.size(); ++i) frequencies_[i] /= freq_factors.data()[i];
    return;
  }
  const double original = static_cast<double>(
      config.original_max_positions > 0 ? config.original_max_positions : max_positions);
  switch (config.scaling) {
    case RopeConfig::Scaling::kNone:
      break;
    case RopeConfig::Scaling::kLinear:
      for (float& frequency : frequencies_) frequency /= static_cast<float>(config.factor);
      break;
    case RopeConfig::Scaling::kLlama3:
      scale_llama3(config, original, frequencies_);
      break;
    case RopeConfig::Scaling::kYarn:
      scale_yarn(config, original, dimensions, frequencies_);
      attention_factor_ = static_cast<float>(yarn_attention_factor(config));
      break;
    case RopeConfig::Scaling::kDynamic:
    case RopeConfig::Scaling::kLongRope:
      fail(ErrorCode::kUnsupported, "rope: the scalings dynamic and longrope are not built yet; ",
           "those built are linear, llama3 and yarn");
  }
}

Rotation RotaryEmbedding::at(Context& context, std::span<const int64_t> positions) const {
  const auto tokens = static_cast<int64_t>(positions.size());
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  Rotation rotation{Tensor::empty(context, {tokens, pairs}),
                    Tensor::empty(context, {tokens, pairs}), adjacent_};
  context.pool().parallel_for(tokens, 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float position = static_cast<float>(positions[static_cast<size_t>(t)]);
      float* cosine = rotation.cosine.data() + t * pairs;
      float* sine = rotation.sine.data() + t * pairs;
      for (int64_t i = 0; i < pairs; ++i) {
        const float angle = position * frequencies_[static_cast<size_t>(i)];
        cosine[i] = std::cos(angle) * attention_factor_;
        sine[i] = std::sin(angle) * attention_factor_;
      }
    }
  });
  return rotation;
}

}  // namespace zhiyin
