// Owns the picture of routing shares: per MoE layer a table with kinds of tokens as rows and experts as columns. Called by
// http/artifact_api.cpp; png.cpp encodes the result.
//
// A cell is the share of its row's assignments, pale yellow at 0 to dark red at 0.30 and above, the scale of
// sumitdotml/moe-emergence, so that pictures of several runs compare. 1/E would be no specialisation at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/render/canvas.h"

namespace moelab::server::render {

// `share` is row-major [layer][row][expert]; each row of a layer sums to 1.
struct SharePicture {
  std::string title;
  std::int64_t step = 0;
  std::vector<std::string> rows;
  std::vector<std::int64_t> layers;  // ids of the MoE layers
  int experts = 0;
  std::vector<float> share;
};

// Where the tables of the layers are, in pixels: two side by side, in the order of the layers.
struct ShareLayout {
  int cell_width = 0, cell_height = 0;
  int gap = 0;                            // between cells
  int left = 0, top = 0;                  // of cell (0, 0) in the first table
  int table_width = 0, table_height = 0;  // with labels and space: the distance between tables
  int tables_wide = 0;
  int width = 0, height = 0;
  bool values = false;  // printed into the cells, when E <= 16

  int cell_x(int table, int expert) const { return left + table % tables_wide * table_width + expert * (cell_width + gap); }
  int cell_y(int table, int row) const { return top + table / tables_wide * table_height + row * (cell_height + gap); }
};

inline constexpr double kShareLimit = 0.30;  // larger shares have the same colour

const Palette& share_palette();
// Palette index of a share (>= 0).
std::uint8_t share_colour(double share);

// Both throw Error(storage) when `share` does not have layers x rows x experts values, and Error(usage) when the picture would
// be too large to look at (more than 64 layers, 64 rows or 2048 experts).
ShareLayout share_layout(const SharePicture& picture);
Canvas draw_shares(const SharePicture& picture);

}  // namespace moelab::server::render
