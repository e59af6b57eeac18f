// The picture of routing shares, looked at pixel by pixel.
#include <doctest/doctest.h>

#include "core/error.h"
#include "server/render/share_map.h"

using namespace moelab::server::render;

namespace {

SharePicture shares() {
  SharePicture picture;
  picture.title = "experts by domain";
  picture.step = 40;
  picture.rows = {"code", "math", "prose"};
  picture.layers = {8, 9, 11};
  picture.experts = 2;
  picture.share = {1, 0, 0.5, 0.5, 0.85F, 0.15F, 0.7F, 0.3F, 0, 1, 0.5, 0.5, 0.9F, 0.1F, 0.2F, 0.8F, 0.95F, 0.05F};
  return picture;
}

// Of the corner of a cell, where no number is written.
std::uint8_t colour_at(const Canvas& canvas, const ShareLayout& layout, int table, int row, int expert) {
  return canvas.row(layout.cell_y(table, row) + 1)[layout.cell_x(table, expert) + 1];
}

}  // namespace

TEST_CASE("the scale is from 0 to 0.30, darker with the share") {
  CHECK(share_colour(0) == 0);
  CHECK(share_colour(0.15) == 120);
  CHECK(share_colour(0.30) == 239);
  CHECK(share_colour(0.31) == 239);
  CHECK(share_colour(1) == 239);
  const auto light = [](double share) {
    const Rgb& c = share_palette()[share_colour(share)];
    return c.r + c.g + c.b;
  };
  for (double share = 0.03; share <= 0.30; share += 0.03) CHECK(light(share) < light(share - 0.03));
}

TEST_CASE("every cell has the colour of its share, in the table of its layer, two tables side by side") {
  const SharePicture picture = shares();
  const ShareLayout layout = share_layout(picture);
  const Canvas canvas = draw_shares(picture);
  CHECK(canvas.width() == layout.width);
  CHECK(canvas.height() == layout.height);
  for (int table = 0; table < 3; ++table) {
    for (int row = 0; row < 3; ++row) {
      for (int expert = 0; expert < 2; ++expert) {
        CAPTURE(table);
        CAPTURE(row);
        CAPTURE(expert);
        const float share = picture.share[static_cast<std::size_t>((table * 3 + row) * 2 + expert)];
        CHECK(colour_at(canvas, layout, table, row, expert) == share_colour(share));
      }
    }
  }
  CHECK(layout.cell_y(1, 0) == layout.cell_y(0, 0));
  CHECK(layout.cell_x(1, 0) > layout.cell_x(0, 1) + layout.cell_width);
  CHECK(layout.cell_y(2, 0) > layout.cell_y(0, 2) + layout.cell_height);
  CHECK(layout.cell_x(2, 0) == layout.cell_x(0, 0));
  CHECK(layout.cell_x(1, 1) + layout.cell_width < layout.width);
  CHECK(layout.cell_y(2, 2) + layout.cell_height < layout.height);
}

TEST_CASE("pictures of many experts and layers keep to a size; larger ones and damaged ones are refused") {
  SharePicture picture = shares();
  picture.experts = 2048;
  picture.share.assign(3 * 3 * 2048, 1.0F / 2048);
  CHECK(share_layout(picture).width < 6000);
  CHECK_FALSE(share_layout(picture).values);
  CHECK(draw_shares(picture).width() == share_layout(picture).width);
  picture.experts = 2049;
  CHECK_THROWS_AS(draw_shares(picture), moelab::core::Error);
  picture = shares();
  picture.layers.assign(65, 0);
  CHECK_THROWS_AS(draw_shares(picture), moelab::core::Error);
  picture = shares();
  picture.share.pop_back();
  CHECK_THROWS_AS(draw_shares(picture), moelab::core::Error);
  picture.rows.clear();
  picture.share.clear();
  CHECK_THROWS_AS(draw_shares(picture), moelab::core::Error);
}
