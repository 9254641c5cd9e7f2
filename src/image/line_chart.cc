#include "image/line_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/cat.h"
#include "image/png.h"

namespace zhiyin {
namespace {

constexpr int kWidth = 1200, kHeight = 700;
constexpr double kLeft = 100, kRight = 1170, kTop = 70, kBottom = 620;
constexpr Color kWhite{255, 255, 255}, kInk{50, 50, 50}, kGrid{228, 228, 228};

enum class Anchor { kStart, kMiddle, kEnd };

// What a chart is drawn with: pixels or SVG.
class Painter {
 public:
  virtual ~Painter() = default;
  virtual void polyline(const std::vector<ChartPoint>& points, double thickness, Color color) = 0;
  virtual void disc(ChartPoint at, double radius, Color color) = 0;
  // at: on the baseline.
  virtual void text(ChartPoint at, Anchor anchor, const std::string& text) = 0;
};

class PngPainter : public Painter {
 public:
  PngPainter() : canvas_(kWidth, kHeight, kWhite) {}
  void polyline(const std::vector<ChartPoint>& points, double thickness, Color color) override {
    for (size_t i = 1; i < points.size(); ++i) {
      canvas_.line(points[i - 1].x, points[i - 1].y, points[i].x, points[i].y, thickness, color);
    }
  }
  void disc(ChartPoint at, double radius, Color color) override {
    canvas_.disc(at.x, at.y, radius, color);
  }
  void text(ChartPoint at, Anchor anchor, const std::string& text) override {
    const int width = Canvas::text_width(text);
    const int shift = anchor == Anchor::kStart ? 0 : anchor == Anchor::kMiddle ? width / 2 : width;
    canvas_.text(static_cast<int>(at.x) - shift, static_cast<int>(at.y), text, kInk);
  }
  std::string bytes() const { return png_of(canvas_); }

 private:
  Canvas canvas_;
};

class SvgPainter : public Painter {
 public:
  void polyline(const std::vector<ChartPoint>& points, double thickness, Color color) override {
    std::string list;
    for (const ChartPoint& point : points)
      list += position(point.x) + "," + position(point.y) + " ";
    out_ += cat("<polyline points=\"", list, "\" fill=\"none\" stroke=\"", hex(color),
                "\" stroke-width=\"", thickness, "\" stroke-linejoin=\"round\"/>\n");
  }
  void disc(ChartPoint at, double radius, Color color) override {
    out_ += cat("<circle cx=\"", position(at.x), "\" cy=\"", position(at.y), "\" r=\"", radius,
                "\" fill=\"", hex(color), "\"/>\n");
  }
  void text(ChartPoint at, Anchor anchor, const std::string& text) override {
    const char* names[] = {"start", "middle", "end"};
    out_ += cat("<text x=\"", position(at.x), "\" y=\"", position(at.y), "\" text-anchor=\"",
                names[static_cast<int>(anchor)], "\" fill=\"", hex(kInk), "\">", escaped(text),
                "</text>\n");
  }
  std::string bytes() const {
    return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", kWidth, " ", kHeight,
               "\" font-family=\"sans-serif\" font-size=\"20\">\n<rect width=\"", kWidth,
               "\" height=\"", kHeight, "\" fill=\"", hex(kWhite), "\"/>\n", out_, "</svg>\n");
  }

 private:
  static std::string position(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
  }
  static std::string hex(Color c) {
    char text[8];
    std::snprintf(text, sizeof text, "#%02x%02x%02x", c.red, c.green, c.blue);
    return text;
  }
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '&') {
        out += "&amp;";
      } else if (c == '<') {
        out += "&lt;";
      } else {
        out += c;
      }
    }
    return out;
  }

  std::string out_;
};

struct Axis {
  std::vector<double> ticks;
  double from, to;  // pixels of the first and the last tick

  double at(double value) const {
    return from + (value - ticks.front()) / (ticks.back() - ticks.front()) * (to - from);
  }
  // With as many decimals as the distance of two ticks needs.
  std::string label(double tick) const {
    const double step = ticks[1] - ticks[0];
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", decimals, tick == 0 ? 0.0 : tick);
    return text;
  }
};

bool finite(const ChartPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

Axis axis_over(const LineChart& chart, double ChartPoint::* value, double from, double to) {
  double low = INFINITY, high = -INFINITY;
  for (const ChartLine& line : chart.lines) {
    for (const ChartPoint& point : line.points) {
      if (!finite(point)) continue;
      low = std::min(low, point.*value);
      high = std::max(high, point.*value);
    }
  }
  if (low > high) low = 0, high = 1;
  if (low == high) low -= 0.5, high += 0.5;
  return {axis_ticks(low, high, 6), from, to};
}

void paint(const LineChart& chart, Painter& painter) {
  const Axis x = axis_over(chart, &ChartPoint::x, kLeft, kRight);
  const Axis y = axis_over(chart, &ChartPoint::y, kBottom, kTop);
  for (const double tick : x.ticks) {
    painter.polyline({{x.at(tick), kTop}, {x.at(tick), kBottom}}, 1, kGrid);
    painter.text({x.at(tick), kBottom + 28}, Anchor::kMiddle, x.label(tick));
  }
  for (const double tick : y.ticks) {
    painter.polyline({{kLeft, y.at(tick)}, {kRight, y.at(tick)}}, 1, kGrid);
    painter.text({kLeft - 12, y.at(tick) + 7}, Anchor::kEnd, y.label(tick));
  }
  painter.polyline({{kLeft, kTop}, {kLeft, kBottom}, {kRight, kBottom}}, 2, kInk);
  painter.text({(kLeft + kRight) / 2, 30}, Anchor::kMiddle, chart.title);
  painter.text({(kLeft + kRight) / 2, kBottom + 60}, Anchor::kMiddle, chart.x_name);
  painter.text({kLeft, kTop - 18}, Anchor::kMiddle, chart.y_name);

  double legend = kTop + 24;
  for (const ChartLine& line : chart.lines) {
    std::vector<ChartPoint> points;
    for (const ChartPoint& point : line.points) {
      if (finite(point)) points.push_back({x.at(point.x), y.at(point.y)});
    }
    const double radius = line.thickness + 2;
    painter.polyline(points, line.thickness, line.color);
    if (line.dots) {
      for (const ChartPoint& point : points) painter.disc(point, radius, line.color);
    }
    const double middle = legend - 7;
    painter.polyline({{kRight - 290, middle}, {kRight - 245, middle}}, line.thickness, line.color);
    if (line.dots) painter.disc({kRight - 267, middle}, radius, line.color);
    painter.text({kRight - 230, legend}, Anchor::kStart, line.name);
    legend += 30;
  }
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int wanted) {
  const double rough = (high - low) / std::max(1, wanted);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough * (1 - 1e-9)) step = factor * power;
  }
  std::vector<double> ticks;
  const auto first = static_cast<int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<int64_t>(std::ceil(high / step - 1e-9));
  for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string chart_png(const LineChart& chart) {
  PngPainter painter;
  paint(chart, painter);
  return painter.bytes();
}

std::string chart_svg(const LineChart& chart) {
  SvgPainter painter;
  paint(chart, painter);
  return painter.bytes();
}

}  // namespace zhiyin
