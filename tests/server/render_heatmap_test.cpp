// The pictures, decoded again with the libraries' readers.
#include <doctest/doctest.h>
#include <gif_lib.h>
#include <png.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "server/render/gif.h"
#include "server/render/heatmap.h"
#include "server/render/png.h"

using namespace moelab::server::render;

namespace {

// Two layers (ids 1 and 3), two slots, four experts. Row 0 sends everything to expert 2; row 3 is even.
LoadPicture sample() {
  LoadPicture picture;
  picture.step = 120;
  picture.layers = {1, 3};
  picture.slots = 2;
  picture.experts = 4;
  picture.load = {0, 0, 1, 0, 0.5, 0.5, 0, 0, 0.25, 0.35, 0.15, 0.25, 0.25, 0.25, 0.25, 0.25};
  return picture;
}

struct Picture {
  int width = 0, height = 0;
  std::vector<unsigned char> rgb;
  Rgb at(int x, int y) const {
    const auto* pixel = rgb.data() + 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x));
    return {pixel[0], pixel[1], pixel[2]};
  }
};

Picture decode_png(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) != 0);
  image.format = PNG_FORMAT_RGB;
  Picture picture{static_cast<int>(image.width), static_cast<int>(image.height), std::vector<unsigned char>(PNG_IMAGE_SIZE(image))};
  REQUIRE(png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr) != 0);
  return picture;
}

struct Gif {
  int frames = 0;
  std::set<int> delays;  // 1/100 s
  bool endless = false;
  int width = 0, height = 0;
};

Gif decode_gif(const std::string& bytes) {
  struct Reader {
    const std::string* bytes;
    std::size_t offset;
  } reader{&bytes, 0};
  int error = 0;
  GifFileType* file = DGifOpen(
      &reader,
      [](GifFileType* gif, GifByteType* to, int count) {
        auto* from = static_cast<Reader*>(gif->UserData);
        const std::size_t taken = std::min(static_cast<std::size_t>(count), from->bytes->size() - from->offset);
        std::memcpy(to, from->bytes->data() + from->offset, taken);
        from->offset += taken;
        return static_cast<int>(taken);
      },
      &error);
  REQUIRE(file != nullptr);
  REQUIRE(DGifSlurp(file) == GIF_OK);
  Gif gif{file->ImageCount, {}, false, file->SWidth, file->SHeight};
  for (int i = 0; i < file->ImageCount; ++i) {
    GraphicsControlBlock control{};
    REQUIRE(DGifSavedExtensionToGCB(file, i, &control) == GIF_OK);
    gif.delays.insert(control.DelayTime);
  }
  const SavedImage& first = file->SavedImages[0];
  for (int i = 0; i + 1 < first.ExtensionBlockCount; ++i) {
    const ExtensionBlock &leader = first.ExtensionBlocks[i], &data = first.ExtensionBlocks[i + 1];
    const bool loop =
        leader.Function == APPLICATION_EXT_FUNC_CODE && leader.ByteCount == 11 && std::memcmp(leader.Bytes, "NETSCAPE2.0", 11) == 0;
    if (loop && data.ByteCount == 3 && data.Bytes[0] == 1 && data.Bytes[1] == 0 && data.Bytes[2] == 0) gif.endless = true;
  }
  DGifCloseFile(file, &error);
  return gif;
}

}  // namespace

TEST_CASE("a cell is coloured by its distance from an even load, whatever its sign") {
  const LoadPicture picture = sample();
  const HeatmapLayout layout = heatmap_layout(picture);
  const Picture png = decode_png(encode_png(draw_heatmap(picture), heatmap_palette()));
  CHECK(png.width == layout.width);
  CHECK(png.height == layout.height);
  CHECK(layout.rows == 4);
  CHECK(layout.columns == 4);
  const auto corner = [&](int row, int column) { return png.at(layout.cell_x(column) + 1, layout.cell_y(row) + 1); };
  const auto colour = [](double points) { return heatmap_palette()[heatmap_colour(points)]; };
  CHECK(corner(0, 2) == colour(75));  // |100 - 25|, beyond the limit
  CHECK(corner(0, 0) == colour(25));  // |0 - 25|
  CHECK(corner(1, 0) == colour(25));  // |50 - 25|
  CHECK(corner(2, 1) == colour(10));  // |35 - 25|
  CHECK(corner(2, 2) == colour(10));  // |15 - 25|
  CHECK(corner(3, 3) == Rgb{255, 255, 255});
}

TEST_CASE("the palette runs from white to dark red and stops at 50 points") {
  CHECK(heatmap_palette()[heatmap_colour(0)] == Rgb{255, 255, 255});
  CHECK(heatmap_colour(50) == heatmap_colour(500));
  CHECK(heatmap_colour(49) < heatmap_colour(50));
  int last = 256;
  for (double points = 0; points <= 50; points += 5) {
    const Rgb colour = heatmap_palette()[heatmap_colour(points)];
    CHECK(colour.g < last);
    CHECK(colour.r >= colour.g);
    last = colour.g;
  }
}

TEST_CASE("values are printed up to 32 experts, and the picture does not depend on the step's width") {
  LoadPicture picture = sample();
  CHECK(heatmap_layout(picture).values);
  const HeatmapLayout small = heatmap_layout(picture);
  picture.step = 123'456'789;
  CHECK(heatmap_layout(picture).width == small.width);

  LoadPicture wide;
  wide.layers = {0};
  wide.slots = 1;
  wide.experts = 33;
  wide.load.assign(33, 1.0F / 33);
  CHECK_FALSE(heatmap_layout(wide).values);
}

TEST_CASE("a value leaves ink in its cell") {
  const LoadPicture picture = sample();
  const HeatmapLayout layout = heatmap_layout(picture);
  const Picture png = decode_png(encode_png(draw_heatmap(picture), heatmap_palette()));
  std::set<int> reds;
  for (int y = 0; y < layout.cell_height; ++y) {
    for (int x = 0; x < layout.cell_width; ++x) reds.insert(png.at(layout.cell_x(3) + x, layout.cell_y(3) + y).r);
  }
  CHECK(reds.size() == 2);  // paper and ink of "0.0"
}

TEST_CASE("a load of the wrong size is refused") {
  LoadPicture picture = sample();
  picture.load.pop_back();
  CHECK_THROWS_AS(draw_heatmap(picture), moelab::core::Error);
}

TEST_CASE("a GIF repeats for ever at 100 ms and keeps at most 150 frames") {
  CHECK(kept_frames(1) == std::vector<std::size_t>{0});
  CHECK(kept_frames(150).size() == 150);
  CHECK(kept_frames(151).size() == 76);   // every second
  CHECK(kept_frames(301).size() == 101);  // every third
  CHECK(kept_frames(301)[1] == 3);

  LoadPicture picture = sample();
  const auto frame = [&](std::size_t i) {
    picture.step = static_cast<std::int64_t>(i);
    return draw_heatmap(picture);
  };
  const Gif gif = decode_gif(encode_gif(5, frame, heatmap_palette()));
  CHECK(gif.frames == 5);
  CHECK(gif.delays == std::set<int>{10});
  CHECK(gif.endless);
  CHECK(gif.width == heatmap_layout(picture).width);
  CHECK(gif.height == heatmap_layout(picture).height);
}
