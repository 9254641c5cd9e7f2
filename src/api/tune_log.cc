#include "api/tune_log.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/stopwatch.h"
#include "image/line_chart.h"

namespace zhiyin {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kLog = "/trainer_log.jsonl";

// "0:01:05", as Python writes a duration of whole seconds.
std::string time_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  char text[48];
  std::snprintf(text, sizeof text, "%lld:%02d:%02d", static_cast<long long>(whole / 3600),
                static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  return text;
}

double two_decimals(double value) { return std::round(value * 100) / 100; }

// LLaMA-Factory's smoothing: an average that forgets, slower the more points there are.
std::vector<ChartPoint> smoothed(const std::vector<ChartPoint>& points) {
  std::vector<ChartPoint> out;
  const double n = static_cast<double>(points.size());
  const double weight = 1.8 * (1 / (1 + std::exp(-0.05 * n)) - 0.5);
  for (const ChartPoint& point : points) {
    const double before = out.empty() ? point.y : out.back().y;
    out.push_back({point.x, weight * before + (1 - weight) * point.y});
  }
  return out;
}

}  // namespace

TuneLog::TuneLog(const std::string& folder, int64_t step)
    : folder_(folder), start_(std::chrono::steady_clock::now()) {
  if (step > 0 && file_exists(folder + kLog)) {
    std::istringstream in(read_file(folder + kLog));
    for (std::string line; std::getline(in, line);) {
      const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (json.is_object() && json.value("current_steps", step + 1) <= step) lines_ += line + "\n";
    }
  }
  write_file(folder + kLog, lines_);
}

double TuneLog::seconds() const { return seconds_since(start_); }

Json TuneLog::with_position(Json line, const RunPosition& at) const {
  const double done = static_cast<double>(at.step), total = static_cast<double>(at.total);
  const double here = std::max(1.0, done - static_cast<double>(at.first));
  line["epoch"] = two_decimals(at.epoch);
  line["percentage"] = two_decimals(100 * done / total);
  line["elapsed_time"] = time_text(seconds());
  line["remaining_time"] = time_text(seconds() / here * (total - done));
  line["throughput"] =
      two_decimals(static_cast<double>(at.total_tokens - at.tokens_before) / seconds());
  line["total_tokens"] = at.total_tokens;
  return line;
}

void TuneLog::append(const Json& line) {
  const std::string text = line.dump() + "\n";
  lines_ += text;
  // A kill leaves at most a part of the last line, which the next start drops.
  std::ofstream out(folder_ + kLog, std::ios::app | std::ios::binary);
  out << text << std::flush;
  check(out.good(), ErrorCode::kFailed, folder_, kLog, ": cannot be written; is the disk full?");
}

void TuneLog::add_loss(const RunPosition& at, double loss, double rate) {
  append(with_position({{"current_steps", at.step},
                        {"total_steps", at.total},
                        {"loss", std::round(loss * 1e4) / 1e4},
                        {"lr", rate}},
                       at));
}

void TuneLog::add_eval_loss(const RunPosition& at, double loss) {
  append(with_position({{"current_steps", at.step}, {"total_steps", at.total}, {"eval_loss", loss}},
                       at));
}

void TuneLog::plot() const {
  std::vector<ChartPoint> losses, eval_losses;
  std::istringstream in(lines_);
  for (std::string text; std::getline(in, text);) {
    const Json line = Json::parse(text);
    const auto step = line.at("current_steps").get<double>();
    if (line.contains("loss")) losses.push_back({step, line["loss"].get<double>()});
    if (line.contains("eval_loss")) eval_losses.push_back({step, line["eval_loss"].get<double>()});
  }
  LineChart chart{.title = "training loss", .x_name = "updates", .y_name = "loss", .lines = {}};
  constexpr Color kPale{160, 196, 232}, kBlue{24, 90, 168}, kOrange{222, 110, 20};
  chart.lines.push_back({.name = "training", .points = losses, .color = kPale});
  chart.lines.push_back(
      {.name = "training, smoothed", .points = smoothed(losses), .color = kBlue, .thickness = 3});
  if (!eval_losses.empty()) {
    chart.lines.push_back({.name = "held out",
                           .points = eval_losses,
                           .color = kOrange,
                           .thickness = 3,
                           .dots = true});
  }
  write_file(folder_ + "/training_loss.png", chart_png(chart));
  write_file(folder_ + "/training_loss.svg", chart_svg(chart));
}

}  // namespace zhiyin
