#include "cli/sampling_flags.h"

namespace zhiyin::cli {
namespace {

template <typename T>
void add(CLI::App& verb, const char* flag, std::optional<T>& target, const std::string& help) {
  verb.add_option_function<T>(
          flag, [&target](const T& value) { target = value; }, help)
      ->group("Sampling");
}

}  // namespace

void add_sampling_flags(CLI::App& verb, SamplingOptions& s) {
  add(verb, "--temp", s.temperature,
      tr("Temperature; 0: the most likely token", "温度；0：取最可能的词元"));
  add(verb, "--top-k", s.top_k,
      tr("The k most likely tokens; 0: all", "最可能的 k 个词元；0：全部"));
  add(verb, "--top-p", s.top_p,
      tr("Smallest set with this probability", "概率和达到该值的最小集合"));
  add(verb, "--min-p", s.min_p, tr("At least this share of the best", "不低于最佳概率的这一比例"));
  add(verb, "--typical-p", s.typical_p, tr("Locally typical sampling", "局部典型采样"));
  add(verb, "--top-n-sigma", s.top_n_sigma,
      tr("Logits within n deviations of the best", "最佳值 n 个标准差以内"));
  add(verb, "--xtc-probability", s.xtc_probability,
      tr("Chance to exclude top choices", "排除首选的概率"));
  add(verb, "--xtc-threshold", s.xtc_threshold,
      tr("Probability of a top choice", "首选的概率阈值"));
  add(verb, "--repeat-last-n", s.repeat_last_n,
      tr("Tokens penalties look back on; -1: all", "惩罚回看的词元数；-1：全部"));
  add(verb, "--repeat-penalty", s.repeat_penalty,
      tr("Divides logits of repeated tokens", "重复词元的惩罚"));
  add(verb, "--presence-penalty", s.presence_penalty,
      tr("Taken off a token that occurred", "出现惩罚"));
  add(verb, "--frequency-penalty", s.frequency_penalty,
      tr("Taken off for each occurrence", "频率惩罚"));
  add(verb, "--dry-multiplier", s.dry_multiplier,
      tr("Strength of DRY; 0: off", "DRY 强度；0：关闭"));
  add(verb, "--dry-base", s.dry_base, tr("Base of DRY", "DRY 底数"));
  add(verb, "--dry-allowed-length", s.dry_allowed_length,
      tr("Repetition that DRY allows", "DRY 允许的重复长度"));
  add(verb, "--dry-penalty-last-n", s.dry_penalty_last_n,
      tr("Tokens DRY looks back on", "DRY 回看的词元数"));
  add(verb, "--dynatemp-range", s.dynatemp_range, tr("Dynamic temperature range", "动态温度范围"));
  add(verb, "--dynatemp-exp", s.dynatemp_exponent,
      tr("Dynamic temperature exponent", "动态温度指数"));
  add(verb, "--mirostat", s.mirostat, tr("Mirostat 1 or 2; 0: off", "Mirostat 1 或 2；0：关闭"));
  add(verb, "--mirostat-tau", s.mirostat_tau, tr("Target surprise", "目标惊讶度"));
  add(verb, "--mirostat-eta", s.mirostat_eta, tr("Learning rate of mirostat", "Mirostat 学习率"));
  add(verb, "--seed", s.seed, tr("Seed; the same seed gives the same answer", "随机种子"));
  verb.add_option_function<std::vector<std::string>>(
          "--logit-bias",
          [&s](const std::vector<std::string>& entries) {
            for (const std::string& entry : entries) {
              const size_t at = entry.find('=');
              if (at == std::string::npos) throw CLI::ValidationError("--logit-bias", "ID=BIAS");
              s.logit_bias[std::stoi(entry.substr(0, at))] = std::stof(entry.substr(at + 1));
            }
          },
          tr("ID=BIAS, added to a token's logit (may be repeated)", "编号=偏置（可重复）"))
      ->group("Sampling");
}

}  // namespace zhiyin::cli
