// Owns the 5x7 bitmap font of the pictures: digits, letters and the punctuation that labels use. Read by canvas.cpp.
#pragma once

#include <array>
#include <cstdint>

namespace moelab::server::render {

inline constexpr int kGlyphWidth = 5;
inline constexpr int kGlyphHeight = 7;

// One byte a line, top first; bit 4 is the left column.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

// Capital letters but E (the number of experts) are drawn as small ones; an unknown character is drawn as a box.
const Glyph& glyph_of(char character);

}  // namespace moelab::server::render
