// Owns the expert-load heat map: what is drawn where. Called by http/expert_load_api.cpp; png.cpp and gif.cpp encode the result.
//
// A cell is |100 load - 100/E| percentage points, white at 0 to dark red at 50 and above: an even load is a white picture
// whatever E is. Rows are (layer, k-slot), slot 0 the first choice of the router; columns are experts.
#pragma once

#include <cstdint>
#include <vector>

#include "server/render/canvas.h"

namespace moelab::server::render {

// The expert load of one step. `load` holds fractions, row-major [layer][slot][expert]; each (layer, slot) row sums to 1.
struct LoadPicture {
  std::int64_t step = 0;
  std::vector<std::int64_t> layers;  // ids of the MoE layers
  int slots = 0;                     // K
  int experts = 0;                   // E
  std::vector<float> load;
};

// Where the parts of a heat map are, in pixels; it depends on the shape only, so every frame of a GIF has the same size.
struct HeatmapLayout {
  int rows = 0, columns = 0;
  int cell_width = 0, cell_height = 0;
  int gap = 0;            // between cells
  int left = 0, top = 0;  // of cell (0, 0)
  int width = 0, height = 0;
  bool values = false;  // printed into the cells, when E <= 32

  int cell_x(int column) const { return left + column * (cell_width + gap); }
  int cell_y(int row) const { return top + row * (cell_height + gap); }
};

inline constexpr double kColourLimit = 50;  // percentage points; larger values share the darkest red

const Palette& heatmap_palette();
// Palette index of a cell of `points` percentage points (>= 0).
std::uint8_t heatmap_colour(double points);

// Both throw Error(storage) when `load` does not have layers x slots x experts values: such a record is damaged.
HeatmapLayout heatmap_layout(const LoadPicture& picture);
Canvas draw_heatmap(const LoadPicture& picture);

}  // namespace moelab::server::render
