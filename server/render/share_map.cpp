#include "server/render/share_map.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace moelab::server::render {

namespace {

// Palette: indices 0..kShareRamp-1 run from pale yellow to dark red, then the colours of labels.
constexpr int kShareRamp = 240;
constexpr std::uint8_t kSharePaper = 240, kShareInk = 241, kShareFaint = 242, kShareWhite = 243;

constexpr int kShareMargin = 16;
constexpr int kMaxShareValues = 16;  // columns with room for numbers
constexpr std::size_t kMostLayers = 64, kMostRows = 64, kMostExperts = 2048;
constexpr int kLongestShareSide = 2048;  // pixels of cells in one table

std::string share_label(const char* format, auto... values) {
  char text[160];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string share_title(const SharePicture& picture) {
  return share_label("%.80s   step %lld", picture.title.c_str(), static_cast<long long>(picture.step));
}

std::string share_legend(const SharePicture& picture) {
  return share_label("cells: share of a row, 0 pale to >=%.2f dark, even = 1/E = %.3f", kShareLimit, 1.0 / picture.experts);
}

// The font has an E of its own and draws other capitals as small letters: KEYWORD would be half of each.
std::string small_letters(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

void draw_table(Canvas& canvas, const SharePicture& picture, const ShareLayout& layout, int table) {
  const int scale = layout.values ? 2 : 1;
  const int x0 = layout.cell_x(table, 0), y0 = layout.cell_y(table, 0);
  const auto layer = static_cast<std::size_t>(table);
  canvas.text(x0, y0 - text_height(2) - 6, share_label("layer %lld", static_cast<long long>(picture.layers[layer])), kShareInk, 2);
  const int rows = static_cast<int>(picture.rows.size());
  for (int row = 0; row < rows; ++row) {
    const std::string name = small_letters(picture.rows[static_cast<std::size_t>(row)]);
    const int y = layout.cell_y(table, row);
    canvas.text(x0 - 8 - text_width(name, 1), y + (layout.cell_height - text_height(1)) / 2, name, kShareInk, 1);
    for (int expert = 0; expert < picture.experts; ++expert) {
      const std::size_t index = (layer * picture.rows.size() + static_cast<std::size_t>(row)) * static_cast<std::size_t>(picture.experts) +
                                static_cast<std::size_t>(expert);
      const double share = picture.share[index];
      const int x = layout.cell_x(table, expert);
      canvas.fill(x, y, layout.cell_width, layout.cell_height, share_colour(share));
      if (!layout.values) continue;
      const std::string value = share_label("%.2f", share);
      const std::uint8_t ink = share > 0.6 * kShareLimit ? kShareWhite : kShareInk;
      canvas.text(x + (layout.cell_width - text_width(value, 1)) / 2, y + (layout.cell_height - text_height(1)) / 2, value, ink, 1);
    }
  }
  int stride = 1;
  while (stride * (layout.cell_width + layout.gap) < text_width(std::to_string(picture.experts - 1), scale) + 4) stride *= 2;
  const int y = layout.cell_y(table, rows) + 4;
  for (int expert = 0; expert < picture.experts; expert += stride) {
    const std::string name = std::to_string(expert);
    canvas.text(layout.cell_x(table, expert) + (layout.cell_width - text_width(name, scale)) / 2, y, name, kShareFaint, scale);
  }
}

}  // namespace

const Palette& share_palette() {
  static const Palette palette = [] {
    // From pale yellow over orange to dark red, evenly darker.
    constexpr std::array<Rgb, 6> anchors = {Rgb{255, 255, 210}, {254, 224, 130}, {253, 175, 75},
                                            {250, 105, 50},     {215, 25, 32},   {120, 0, 35}};
    Palette colours{};
    for (int i = 0; i < kShareRamp; ++i) {
      const double place = static_cast<double>(i) / (kShareRamp - 1) * (anchors.size() - 1);
      const auto lower = std::min(static_cast<std::size_t>(place), anchors.size() - 2);
      const double part = place - static_cast<double>(lower);
      const auto mix = [part](int a, int b) { return static_cast<std::uint8_t>(std::lround(a + part * (b - a))); };
      const Rgb &a = anchors[lower], &b = anchors[lower + 1];
      colours[static_cast<std::size_t>(i)] = {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
    }
    colours[kSharePaper] = {255, 255, 255};
    colours[kShareInk] = {33, 37, 41};
    colours[kShareFaint] = {110, 116, 123};
    colours[kShareWhite] = {255, 255, 255};
    return colours;
  }();
  return palette;
}

std::uint8_t share_colour(double share) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(share / kShareLimit, 0.0, 1.0) * (kShareRamp - 1)));
}

ShareLayout share_layout(const SharePicture& picture) {
  const auto experts = static_cast<std::size_t>(std::max(picture.experts, 0));
  if (picture.layers.size() > kMostLayers || picture.rows.size() > kMostRows || experts > kMostExperts) {
    throw core::Error(core::ErrorKind::usage,
                      "Too large for a picture: it shows at most 64 layers, 64 rows and 2048 experts. Use format=file.");
  }
  if (picture.share.empty() || picture.share.size() != picture.layers.size() * picture.rows.size() * experts) {
    throw core::Error(core::ErrorKind::storage, "The table '" + picture.title + "' is damaged; train the run again to make it anew.");
  }
  ShareLayout layout;
  layout.values = picture.experts <= kMaxShareValues;
  layout.cell_width = layout.values ? 40 : std::clamp(kLongestShareSide / picture.experts, 1, 16);
  layout.cell_height = 24;
  layout.gap = layout.cell_width >= 6 ? 1 : 0;
  int widest = 0;
  for (const std::string& row : picture.rows) widest = std::max(widest, text_width(row, 1));
  const int head = text_height(2) + 8 + text_height(1) + 20;  // title and legend
  layout.left = kShareMargin + widest + 8;
  layout.top = kShareMargin + head + text_height(2) + 6;
  layout.tables_wide = picture.layers.size() > 1 ? 2 : 1;
  layout.table_width = widest + 8 + picture.experts * (layout.cell_width + layout.gap) + 2 * kShareMargin;
  const int cells = static_cast<int>(picture.rows.size()) * (layout.cell_height + layout.gap);
  layout.table_height = text_height(2) + 6 + cells + 4 + text_height(2) + 20;
  const int tables_high = (static_cast<int>(picture.layers.size()) + layout.tables_wide - 1) / layout.tables_wide;
  const int words = std::max(text_width(share_title(picture), 2), text_width(share_legend(picture), 1)) + 2 * kShareMargin;
  layout.width = std::max(words, kShareMargin + layout.tables_wide * layout.table_width);
  layout.height = kShareMargin + head + tables_high * layout.table_height + kShareMargin;
  return layout;
}

Canvas draw_shares(const SharePicture& picture) {
  const ShareLayout layout = share_layout(picture);
  Canvas canvas(layout.width, layout.height, kSharePaper);
  canvas.text(kShareMargin, kShareMargin, share_title(picture), kShareInk, 2);
  canvas.text(kShareMargin, kShareMargin + text_height(2) + 8, share_legend(picture), kShareFaint, 1);
  for (int table = 0; table < static_cast<int>(picture.layers.size()); ++table) draw_table(canvas, picture, layout, table);
  return canvas;
}

}  // namespace moelab::server::render
