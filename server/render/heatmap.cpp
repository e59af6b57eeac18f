#include "server/render/heatmap.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "core/error.h"

namespace moelab::server::render {

namespace {

// Palette: indices 0..kRamp-1 run from white to dark red, then the colours of labels.
constexpr int kRamp = 240;
constexpr std::uint8_t kPaper = 240, kInk = 241, kFaintInk = 242, kGrid = 243, kWhite = 244;

constexpr int kScale = 2;       // of text
constexpr int kSmallScale = 1;  // of labels beside cells too small for text
constexpr int kMargin = 16;
constexpr int kMaxValueColumns = 32;
constexpr int kLongestSide = 4096;  // pixels of cells; smaller cells beyond
constexpr int kBarWidth = 16;
constexpr int kBarHeight = 150;

std::string label(const char* format, auto... values) {
  char text[96];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string row_label(const LoadPicture& picture, int row) {
  return label("l%lld,k%d", static_cast<long long>(picture.layers[static_cast<std::size_t>(row / picture.slots)]), row % picture.slots);
}

std::string title(const LoadPicture& picture) {
  return label("step %lld   even load 100/E = %.2f%%", static_cast<long long>(picture.step), 100.0 / picture.experts);
}

constexpr const char* kSubtitle = "cells: |100 load - 100/E| in percentage points";

// Every n-th column or row gets a label, n the least of 1, 2, 4, ... that leaves room.
int label_stride(int pitch, int needed) {
  int stride = 1;
  while (stride * pitch < needed) stride *= 2;
  return stride;
}

int label_scale(const HeatmapLayout& layout) {
  return layout.values ? kScale : kSmallScale;
}

int bar_x(const HeatmapLayout& layout) {
  return layout.cell_x(layout.columns) + kMargin;
}

void draw_labels(Canvas& canvas, const LoadPicture& picture, const HeatmapLayout& layout) {
  canvas.text(kMargin, kMargin, title(picture), kInk, kScale);
  canvas.text(kMargin, kMargin + text_height(kScale) + 8, kSubtitle, kFaintInk, kSmallScale);
  const int scale = label_scale(layout);
  const int row_stride = label_stride(layout.cell_height + layout.gap, text_height(scale) + 2);
  for (int row = 0; row < layout.rows; row += row_stride) {
    const std::string name = row_label(picture, row);
    const int y = layout.cell_y(row) + (layout.cell_height - text_height(scale)) / 2;
    canvas.text(layout.left - 8 - text_width(name, scale), y, name, kInk, scale);
  }
  const int widest = text_width(std::to_string(layout.columns - 1), scale) + 4 * scale;
  const int column_stride = label_stride(layout.cell_width + layout.gap, widest);
  const int y = layout.cell_y(layout.rows) + 6;
  for (int column = 0; column < layout.columns; column += column_stride) {
    const std::string name = std::to_string(column);
    canvas.text(layout.cell_x(column) + (layout.cell_width - text_width(name, scale)) / 2, y, name, kInk, scale);
  }
  const std::string axis = "expert";
  canvas.text(layout.left, y + text_height(scale) + 6, axis, kFaintInk, kSmallScale);
}

void draw_cells(Canvas& canvas, const LoadPicture& picture, const HeatmapLayout& layout) {
  const int grid_width = layout.cell_x(layout.columns) - layout.left + layout.gap;
  const int grid_height = layout.cell_y(layout.rows) - layout.top + layout.gap;
  canvas.fill(layout.left - layout.gap, layout.top - layout.gap, grid_width, grid_height, kGrid);
  for (int row = 0; row < layout.rows; ++row) {
    for (int column = 0; column < layout.columns; ++column) {
      const auto index = static_cast<std::size_t>(row) * static_cast<std::size_t>(layout.columns) + static_cast<std::size_t>(column);
      const double points = std::abs(100.0 * picture.load[index] - 100.0 / picture.experts);
      const int x = layout.cell_x(column), y = layout.cell_y(row);
      canvas.fill(x, y, layout.cell_width, layout.cell_height, heatmap_colour(points));
      if (!layout.values) continue;
      const std::string value = label("%.1f", points);
      const std::uint8_t ink = points > 0.55 * kColourLimit ? kWhite : kInk;
      canvas.text(x + (layout.cell_width - text_width(value, kScale)) / 2, y + (layout.cell_height - text_height(kScale)) / 2, value, ink,
                  kScale);
    }
  }
}

void draw_colour_bar(Canvas& canvas, const HeatmapLayout& layout) {
  const int x = bar_x(layout), y = layout.top;
  canvas.fill(x - 1, y - 1, kBarWidth + 2, kBarHeight + 2, kGrid);
  for (int line = 0; line < kBarHeight; ++line) {
    const double points = kColourLimit * (1 - static_cast<double>(line) / (kBarHeight - 1));
    canvas.fill(x, y + line, kBarWidth, 1, heatmap_colour(points));
  }
  for (int tick = 0; tick <= 5; ++tick) {
    const int line = y + (kBarHeight - 1) * (5 - tick) / 5;
    canvas.fill(x + kBarWidth + 1, line, 4, 1, kFaintInk);
    canvas.text(x + kBarWidth + 8, line - text_height(kSmallScale) / 2, tick == 5 ? ">=50" : label("%d", tick * 10), kFaintInk,
                kSmallScale);
  }
}

}  // namespace

const Palette& heatmap_palette() {
  static const Palette palette = [] {
    // A perceptually even walk from white over salmon and red to dark red.
    constexpr std::array<Rgb, 6> anchors = {Rgb{255, 255, 255}, {254, 219, 204}, {252, 159, 129},
                                            {244, 88, 65},      {200, 22, 29},   {96, 0, 13}};
    Palette colours{};
    for (int i = 0; i < kRamp; ++i) {
      const double place = static_cast<double>(i) / (kRamp - 1) * (anchors.size() - 1);
      const auto lower = std::min(static_cast<std::size_t>(place), anchors.size() - 2);
      const double share = place - static_cast<double>(lower);
      const auto mix = [share](int a, int b) { return static_cast<std::uint8_t>(std::lround(a + share * (b - a))); };
      const Rgb &a = anchors[lower], &b = anchors[lower + 1];
      colours[static_cast<std::size_t>(i)] = {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
    }
    colours[kPaper] = {255, 255, 255};
    colours[kInk] = {33, 37, 41};
    colours[kFaintInk] = {110, 116, 123};
    colours[kGrid] = {222, 226, 230};
    colours[kWhite] = {255, 255, 255};
    return colours;
  }();
  return palette;
}

std::uint8_t heatmap_colour(double points) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(points / kColourLimit, 0.0, 1.0) * (kRamp - 1)));
}

HeatmapLayout heatmap_layout(const LoadPicture& picture) {
  const std::size_t rows = picture.layers.size() * static_cast<std::size_t>(std::max(picture.slots, 0));
  const auto columns = static_cast<std::size_t>(std::max(picture.experts, 0));
  if (rows == 0 || columns == 0 || picture.load.size() != rows * columns) {
    throw core::Error(core::ErrorKind::storage, "The expert load of step " + std::to_string(picture.step) +
                                                    " is damaged: rebuild the database from the journals with `moelab db rebuild`.");
  }
  HeatmapLayout layout;
  layout.rows = static_cast<int>(rows);
  layout.columns = static_cast<int>(columns);
  layout.values = layout.columns <= kMaxValueColumns;
  if (layout.values) {
    layout.cell_width = 56;
    layout.cell_height = 30;
    layout.gap = 2;
  } else {
    const int side = std::clamp(kLongestSide / std::max(layout.rows, layout.columns), 1, 12);
    layout.cell_width = layout.cell_height = side;
    layout.gap = side >= 6 ? 1 : 0;
  }
  const int scale = label_scale(layout);
  int widest = 0;
  for (int row = 0; row < layout.rows; ++row) widest = std::max(widest, text_width(row_label(picture, row), scale));
  layout.left = kMargin + widest + 8;
  layout.top = kMargin + text_height(kScale) + 8 + text_height(kSmallScale) + 14;
  const int bar_right = bar_x(layout) + kBarWidth + 8 + text_width(">=50", kSmallScale);
  // A title of the widest step keeps every frame of a run the same size.
  LoadPicture widest_title;
  widest_title.step = 999'999'999;
  widest_title.experts = 1;
  layout.width = std::max(bar_right, kMargin + text_width(title(widest_title), kScale)) + kMargin;
  const int below_cells = layout.cell_y(layout.rows) + 6 + text_height(scale) + 6 + text_height(kSmallScale);
  layout.height = std::max(below_cells, layout.top + kBarHeight + text_height(kSmallScale)) + kMargin;
  return layout;
}

Canvas draw_heatmap(const LoadPicture& picture) {
  const HeatmapLayout layout = heatmap_layout(picture);
  Canvas canvas(layout.width, layout.height, kPaper);
  draw_labels(canvas, picture, layout);
  draw_cells(canvas, picture, layout);
  draw_colour_bar(canvas, layout);
  return canvas;
}

}  // namespace moelab::server::render
