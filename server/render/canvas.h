// Owns a picture with at most 256 colours: a palette and one byte a pixel, which PNG and GIF both store as it is.
// Drawn by heatmap.cpp and share_map.cpp, encoded by png.cpp and gif.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace moelab::server::render {

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

using Palette = std::array<Rgb, 256>;

class Canvas {
 public:
  // Filled with colour index `background`. Sizes in pixels, at least 1.
  Canvas(int width, int height, std::uint8_t background);

  int width() const { return width_; }
  int height() const { return height_; }
  const std::uint8_t* row(int y) const { return pixels_.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width_); }

  // Parts outside the picture are cut off.
  void fill(int x, int y, int width, int height, std::uint8_t colour);
  // Top left corner of the first glyph at (x, y); each font pixel becomes a square of `scale` pixels.
  void text(int x, int y, std::string_view text, std::uint8_t colour, int scale);

 private:
  int width_;
  int height_;
  std::vector<std::uint8_t> pixels_;
};

// Pixels that Canvas::text covers.
int text_width(std::string_view text, int scale);
int text_height(int scale);

}  // namespace moelab::server::render
