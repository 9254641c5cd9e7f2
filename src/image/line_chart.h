// A chart of lines over two axes, such as a loss over updates, as PNG and as SVG.
#pragma once

#include <string>
#include <vector>

#include "image/canvas.h"

namespace zhiyin {

struct ChartPoint {
  double x = 0, y = 0;
};

struct ChartLine {
  std::string name;  // in the legend
  std::vector<ChartPoint> points;
  Color color;
  double thickness = 2;
  bool dots = false;  // a disc at each point
};

// Names and titles: letters, digits, ". , - ( )"; the PNG draws others as boxes.
struct LineChart {
  std::string title, x_name, y_name;
  std::vector<ChartLine> lines;
};

// Bytes of a PNG and the text of an SVG, 1200 x 700. Points that are not finite are left out; a
// chart without points has axes alone.
std::string chart_png(const LineChart& chart);
std::string chart_svg(const LineChart& chart);

// Round numbers (1, 2 or 5 times a power of ten apart), about `wanted` of them, around [low, high];
// the first is at most low, the last at least high.
std::vector<double> axis_ticks(double low, double high, int wanted);

}  // namespace zhiyin
