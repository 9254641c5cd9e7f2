// Pictures: the PNG that another reader decodes, what is drawn where, charts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <set>

#include "image/line_chart.h"
#include "image/png.h"

namespace zhiyin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Color kWhite{255, 255, 255}, kRed{200, 0, 0};

struct Decoded {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> pixels;
};

Decoded decode(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), 0)
      << image.message;
  image.format = PNG_FORMAT_RGB;
  Decoded decoded{image.width, image.height, std::vector<uint8_t>(PNG_IMAGE_SIZE(image))};
  EXPECT_NE(png_image_finish_read(&image, nullptr, decoded.pixels.data(), 0, nullptr), 0)
      << image.message;
  return decoded;
}

int64_t pixels_of(const std::vector<uint8_t>& pixels, Color color) {
  int64_t count = 0;
  for (size_t i = 0; i < pixels.size(); i += 3) {
    if (pixels[i] == color.red && pixels[i + 1] == color.green && pixels[i + 2] == color.blue) {
      ++count;
    }
  }
  return count;
}

TEST(Png, HoldsThePixelsThatWereDrawn) {
  Canvas canvas(40, 30, kWhite);
  canvas.line(5, 10.5, 35, 10.5, 1, kRed);
  const Decoded decoded = decode(png_of(canvas));
  EXPECT_EQ(decoded.width, 40u);
  EXPECT_EQ(decoded.height, 30u);
  EXPECT_EQ(decoded.pixels, canvas.pixels());
  EXPECT_EQ(pixels_of(decoded.pixels, kRed), 30);
}

TEST(Canvas, DrawsNothingOutside) {
  Canvas canvas(10, 10, kWhite);
  canvas.line(-100, -50, 200, 90, 3, kRed);
  canvas.disc(-20, 5, 4, kRed);
  canvas.text(-30, 500, "loss", kRed);
  canvas.text(4, 8, "8", kRed);
  EXPECT_GT(pixels_of(canvas.pixels(), kRed), 10);
}

TEST(Canvas, EveryLetterAndDigitHasAShapeOfItsOwn) {
  const std::string known = "0123456789abcdefghijklmnopqrstuvwxyz.,-()";
  std::set<std::string> shapes;
  for (const char c : known + "?") {
    Canvas canvas(12, 20, kWhite);
    canvas.text(0, 14, std::string(1, c), kRed);
    shapes.emplace(canvas.pixels().begin(), canvas.pixels().end());
  }
  EXPECT_EQ(shapes.size(), known.size() + 1);
}

TEST(LineChart, TicksAreRoundAndCoverTheValues) {
  EXPECT_THAT(axis_ticks(0.13, 0.87, 4),
              ElementsAre(0, 0.2, 0.4, ::testing::DoubleEq(0.6), 0.8, 1));
  EXPECT_THAT(axis_ticks(1, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(axis_ticks(-3, 4, 3), ElementsAre(-5, 0, 5));
}

TEST(LineChart, IsDrawnInBothFormats) {
  const LineChart chart{.title = "training loss",
                        .x_name = "updates",
                        .y_name = "loss",
                        .lines = {{.name = "a < b",
                                   .points = {{1, 3.25}, {2, NAN}, {3, 1.5}},
                                   .color = kRed,
                                   .dots = true}}};
  const std::string svg = chart_svg(chart);
  EXPECT_THAT(svg, HasSubstr(">training loss</text>"));
  EXPECT_THAT(svg, HasSubstr(">a &lt; b</text>"));
  EXPECT_THAT(svg, HasSubstr(">1.5</text>"));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("nan")));
  const Decoded decoded = decode(chart_png(chart));
  EXPECT_EQ(decoded.width, 1200u);
  EXPECT_GT(pixels_of(decoded.pixels, kRed), 500);
}

TEST(LineChart, WithoutPointsHasAxesAlone) {
  EXPECT_THAT(chart_svg({.title = "empty", .x_name = "x", .y_name = "y", .lines = {}}),
              HasSubstr(">empty</text>"));
  EXPECT_GT(chart_png({}).size(), 100u);
}

}  // namespace
}  // namespace zhiyin::testing
