#include "server/render/canvas.h"

#include <algorithm>
#include <cassert>

#include "server/render/font.h"

namespace moelab::server::render {

Canvas::Canvas(int width, int height, std::uint8_t background) : width_(width), height_(height) {
  assert(width > 0 && height > 0);
  pixels_.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), background);
}

void Canvas::fill(int x, int y, int width, int height, std::uint8_t colour) {
  const int left = std::clamp(x, 0, width_), right = std::clamp(x + width, left, width_);
  const int top = std::clamp(y, 0, height_), bottom = std::clamp(y + height, top, height_);
  for (int line = top; line < bottom; ++line) {
    const auto begin = pixels_.begin() + static_cast<std::ptrdiff_t>(line) * width_;
    std::fill(begin + left, begin + right, colour);
  }
}

void Canvas::text(int x, int y, std::string_view text, std::uint8_t colour, int scale) {
  for (const char character : text) {
    const Glyph& glyph = glyph_of(character);
    for (int line = 0; line < kGlyphHeight; ++line) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        if ((glyph[static_cast<std::size_t>(line)] >> (kGlyphWidth - 1 - column)) & 1) {
          fill(x + column * scale, y + line * scale, scale, scale, colour);
        }
      }
    }
    x += (kGlyphWidth + 1) * scale;
  }
}

int text_width(std::string_view text, int scale) {
  return text.empty() ? 0 : (static_cast<int>(text.size()) * (kGlyphWidth + 1) - 1) * scale;
}

int text_height(int scale) {
  return kGlyphHeight * scale;
}

}  // namespace moelab::server::render
