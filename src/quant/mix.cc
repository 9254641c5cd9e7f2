#include "quant/mix.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "quant/names.h"

namespace zhiyin {
namespace {

constexpr MixInfo kMixes[kMixCount] = {
    {Mix::kF32, "F32", 0, Format::kF32},           {Mix::kF16, "F16", 1, Format::kF16},
    {Mix::kBF16, "BF16", 32, Format::kBF16},       {Mix::kQ8_0, "Q8_0", 7, Format::kQ8_0},
    {Mix::kQ4_0, "Q4_0", 2, Format::kQ4_0},        {Mix::kQ4_1, "Q4_1", 3, Format::kQ4_1},
    {Mix::kQ5_0, "Q5_0", 8, Format::kQ5_0},        {Mix::kQ5_1, "Q5_1", 9, Format::kQ5_1},
    {Mix::kQ2_K, "Q2_K", 10, Format::kQ2_K},       {Mix::kQ3_K_S, "Q3_K_S", 11, Format::kQ3_K},
    {Mix::kQ3_K_M, "Q3_K_M", 12, Format::kQ3_K},   {Mix::kQ3_K_L, "Q3_K_L", 13, Format::kQ3_K},
    {Mix::kQ4_K_S, "Q4_K_S", 14, Format::kQ4_K},   {Mix::kQ4_K_M, "Q4_K_M", 15, Format::kQ4_K},
    {Mix::kQ5_K_S, "Q5_K_S", 16, Format::kQ5_K},   {Mix::kQ5_K_M, "Q5_K_M", 17, Format::kQ5_K},
    {Mix::kQ6_K, "Q6_K", 18, Format::kQ6_K},       {Mix::kIQ4_NL, "IQ4_NL", 25, Format::kIQ4_NL},
    {Mix::kIQ4_XS, "IQ4_XS", 30, Format::kIQ4_XS}, {Mix::kQ2_K_S, "Q2_K_S", 21, Format::kQ2_K},
};

constexpr bool rows_follow_the_enum() {
  for (int i = 0; i < kMixCount; ++i) {
    if (kMixes[i].mix != static_cast<Mix>(i)) return false;
  }
  return true;
}
static_assert(rows_follow_the_enum());

enum class Role { kHead, kEmbedding, kValue, kKey, kAttentionOutput, kDown, kOther };

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Role role_of(std::string_view name) {
  if (name == "output.weight") return Role::kHead;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") {
    return Role::kEmbedding;
  }
  // A fused projection holds the values too, and so counts as one.
  for (const char* part : {"attn_qkv.weight", "attn_kv_b.weight", "attn_v.weight"}) {
    if (contains(name, part)) return Role::kValue;
  }
  if (contains(name, "attn_k.weight")) return Role::kKey;
  if (contains(name, "attn_output.weight")) return Role::kAttentionOutput;
  if (contains(name, "ffn_down")) return Role::kDown;
  return Role::kOther;
}

// Small or sensitive tensors stay in full precision.
bool is_kept(const MixTensor& tensor) {
  if (tensor.dims < 2 || !tensor.name.ends_with("weight")) return true;
  constexpr const char* kKept[] = {
      "_norm.weight",   "ffn_gate_inp.weight", "position_embd", "token_types.weight", "ssm_conv1d",
      "shortconv.conv", "attn_rel_b",          ".rel_pos",      ".patch_embd",
  };
  return std::any_of(std::begin(kKept), std::end(kKept),
                     [&](const char* part) { return contains(tensor.name, part); });
}

// N of "blk.N.…"; -1 elsewhere.
int layer_of(std::string_view name) {
  int layer = -1;
  if (name.starts_with("blk.")) {
    std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  }
  return layer;
}

// The first and the last eighth of the layers, and every third between.
bool deserves_more_bits(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

class Chooser {
 public:
  Chooser(Mix mix, std::span<const MixTensor> tensors, const MixModel& model)
      : mix_(mix), base_(mix_info(mix).format), model_(model) {
    for (const MixTensor& tensor : tensors) {
      const Role role = role_of(tensor.name);
      values_ += role == Role::kValue ? 1 : 0;
      tied_ = tied_ && role != Role::kHead;
    }
  }

  // To be called layer after layer: some rules count the tensors of a role.
  Format choose(const MixTensor& tensor) {
    if (is_kept(tensor)) return Format::kF32;
    if (format_info(base_).block == 1) return base_;
    return fit_row(wanted(tensor), tensor.cols);
  }

 private:
  bool is_one_of(std::initializer_list<Mix> mixes) const {
    return std::find(mixes.begin(), mixes.end(), mix_) != mixes.end();
  }

  Format wanted(const MixTensor& tensor) {
    switch (role_of(tensor.name)) {
      case Role::kHead:
        return head(tensor.cols);
      case Role::kEmbedding:
        return tied_ ? head(tensor.cols) : base_;
      case Role::kValue:
        return value(seen_values_++);
      case Role::kKey:
        return model_.experts == 8 ? Format::kQ8_0 : base_;
      case Role::kAttentionOutput:
        return attention_output();
      case Role::kDown: {
        const int seen = seen_downs_++;
        return down(model_.experts > 1 ? layer_of(tensor.name) : seen);
      }
      case Role::kOther:
        break;
    }
    return base_;
  }

  Format head(int64_t cols) const {
    const bool fits = cols % format_info(base_).block == 0;
    return fits && base_ != Format::kQ8_0 ? Format::kQ6_K : Format::kQ8_0;
  }

  Format value(int index) const {
    // Few value heads are shared by many query heads: small tensors that matter.
    const bool shared_by_four = model_.kv_heads > 0 && model_.heads / model_.kv_heads >= 4;
    Format format = base_;
    if (mix_ == Mix::kQ2_K) {
      format = shared_by_four ? Format::kQ4_K : Format::kQ3_K;
    } else if (mix_ == Mix::kQ2_K_S && shared_by_four) {
      format = Format::kQ4_K;
    } else if (mix_ == Mix::kQ3_K_M) {
      format = index < 2 ? Format::kQ5_K : Format::kQ4_K;
    } else if (mix_ == Mix::kQ3_K_L) {
      format = Format::kQ5_K;
    } else if (is_one_of({Mix::kIQ4_NL, Mix::kIQ4_XS}) && shared_by_four) {
      format = Format::kQ5_K;
    } else if (is_one_of({Mix::kQ4_K_M, Mix::kQ5_K_M}) && deserves_more_bits(index, values_)) {
      format = Format::kQ6_K;
    } else if (mix_ == Mix::kQ4_K_S && index < 4) {
      format = Format::kQ5_K;
    }
    const bool is_70b = model_.layers == 80 && model_.heads != model_.kv_heads;
    if (is_70b && (format == Format::kQ3_K || format == Format::kQ4_K)) format = Format::kQ5_K;
    return model_.experts == 8 ? Format::kQ8_0 : format;
  }

  Format attention_output() const {
    if (model_.experts == 8) {
      return is_one_of({Mix::kQ2_K, Mix::kQ3_K_S, Mix::kQ3_K_M, Mix::kQ4_K_S, Mix::kQ4_K_M,
                        Mix::kIQ4_NL, Mix::kIQ4_XS})
                 ? Format::kQ5_K
                 : base_;
    }
    switch (mix_) {
      case Mix::kQ2_K:
        return Format::kQ3_K;
      case Mix::kQ3_K_M:
        return Format::kQ4_K;
      case Mix::kQ3_K_L:
        return Format::kQ5_K;
      default:
        return base_;
    }
  }

  Format down(int layer) const {
    const int layers = model_.layers;
    const bool early = layer < layers / 8;
    const bool more = deserves_more_bits(layer, layers);
    switch (mix_) {
      case Mix::kQ2_K:
        return Format::kQ3_K;
      case Mix::kQ3_K_M:
        return layer < layers / 16 ? Format::kQ5_K : Format::kQ4_K;
      case Mix::kQ3_K_L:
        return Format::kQ5_K;
      case Mix::kQ2_K_S:
        return early ? Format::kQ4_K : base_;
      case Mix::kQ4_K_S:
        return early ? Format::kQ5_K : base_;
      case Mix::kQ4_K_M:
      case Mix::kQ5_K_M:
        return more ? Format::kQ6_K : base_;
      case Mix::kIQ4_NL:
      case Mix::kIQ4_XS:
        return early && !model_.has_importance ? Format::kQ5_K : base_;
      // Importance can drive the first layers' few large weights astray without a min.
      case Mix::kQ4_0:
        return early && model_.has_importance ? Format::kQ4_1 : base_;
      case Mix::kQ5_0:
        return early && model_.has_importance ? Format::kQ5_1 : base_;
      default:
        return base_;
    }
  }

  static Format fit_row(Format format, int64_t cols) {
    if (cols % format_info(format).block == 0) return format;
    switch (format) {
      case Format::kIQ4_XS:
        format = Format::kIQ4_NL;
        break;
      case Format::kQ2_K:
      case Format::kQ3_K:
        format = Format::kQ4_0;
        break;
      case Format::kQ4_K:
        format = Format::kQ5_0;
        break;
      case Format::kQ5_K:
        format = Format::kQ5_1;
        break;
      case Format::kQ6_K:
        format = Format::kQ8_0;
        break;
      default:
        break;
    }
    return cols % format_info(format).block == 0 ? format : Format::kF16;
  }

  Mix mix_;
  Format base_;
  MixModel model_;
  bool tied_ = true;
  int values_ = 0, seen_values_ = 0, seen_downs_ = 0;
};

}  // namespace

std::span<const MixInfo> all_mixes() { return kMixes; }

const MixInfo& mix_info(Mix mix) { return kMixes[static_cast<size_t>(mix)]; }

const MixInfo* find_mix(std::string_view name) {
  for (const auto& [alias, mix] :
       {std::pair{"Q3_K", Mix::kQ3_K_M}, {"Q4_K", Mix::kQ4_K_M}, {"Q5_K", Mix::kQ5_K_M}}) {
    if (same_name(alias, name)) return &mix_info(mix);
  }
  for (const MixInfo& info : kMixes) {
    if (same_name(info.name, name)) return &info;
  }
  return nullptr;
}

const MixInfo* find_mix(uint32_t file_type) {
  for (const MixInfo& info : kMixes) {
    if (info.file_type == file_type) return &info;
  }
  return nullptr;
}

const MixInfo* mix_instead_of(std::string_view name) {
  static constexpr std::pair<const char*, Mix> kOthers[] = {
      {"IQ1_S", Mix::kQ2_K_S},  {"IQ1_M", Mix::kQ2_K_S},    {"IQ2_XXS", Mix::kQ2_K_S},
      {"IQ2_XS", Mix::kQ2_K_S}, {"IQ2_S", Mix::kQ2_K_S},    {"IQ2_M", Mix::kQ2_K},
      {"IQ3_XXS", Mix::kQ2_K},  {"IQ3_XS", Mix::kQ3_K_S},   {"IQ3_S", Mix::kQ3_K_S},
      {"IQ3_M", Mix::kQ3_K_M},  {"TQ1_0", Mix::kQ2_K_S},    {"TQ2_0", Mix::kQ2_K_S},
      {"MXFP4", Mix::kIQ4_NL},  {"MXFP4_MOE", Mix::kIQ4_NL}};
  for (const auto& [other, mix] : kOthers) {
    if (same_name(other, name)) return &mix_info(mix);
  }
  return nullptr;
}

std::vector<Format> choose_mix(Mix mix, std::span<const MixTensor> tensors, const MixModel& model) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int layer_a = layer_of(tensors[a].name), layer_b = layer_of(tensors[b].name);
    return layer_a != layer_b ? layer_a < layer_b : tensors[a].name < tensors[b].name;
  });
  Chooser chooser(mix, tensors, model);
  std::vector<Format> formats(tensors.size());
  for (const size_t i : order) formats[i] = chooser.choose(tensors[i]);
  return formats;
}

}  // namespace zhiyin
