// A small picture in memory to draw on: smooth lines, discs, rectangles, and text in one tiny font.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace zhiyin {

struct Color {
  uint8_t red = 0, green = 0, blue = 0;
};

// Coordinates are in pixels from the upper left corner; what lies outside is not drawn.
class Canvas {
 public:
  Canvas(int width, int height, Color background);

  int width() const { return width_; }
  int height() const { return height_; }
  // Rows of red, green, blue.
  const std::vector<uint8_t>& pixels() const { return pixels_; }

  void line(double x0, double y0, double x1, double y1, double thickness, Color color);
  void disc(double x, double y, double radius, Color color);
  // x, y: the left end of the baseline. Letters are drawn small; a character that the font does not
  // have is a box.
  void text(int x, int y, std::string_view text, Color color);
  static int text_width(std::string_view text);
  static int text_height();  // of a capital or digit

 private:
  void blend(int x, int y, double coverage, Color color);

  int width_, height_;
  std::vector<uint8_t> pixels_;
};

}  // namespace zhiyin
