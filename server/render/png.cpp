#include "server/render/png.h"

#include <png.h>

#include <memory>

#include "core/error.h"

namespace moelab::server::render {

// libpng reads the palette as bytes.
static_assert(sizeof(Rgb) == 3);

std::string encode_png(const Canvas& canvas, const Palette& palette) {
  // libpng's simplified interface reports errors by value, so no longjmp crosses our frames.
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(canvas.width());
  image.height = static_cast<png_uint_32>(canvas.height());
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.colormap_entries = static_cast<png_uint_32>(palette.size());
  const std::unique_ptr<png_image, void (*)(png_image*)> release(&image, png_image_free);
  const auto failed = [&image] { return core::Error(core::ErrorKind::internal, std::string("libpng: ") + image.message); };

  png_alloc_size_t bytes = 0;
  if (!png_image_write_to_memory(&image, nullptr, &bytes, 0, canvas.row(0), 0, palette.data())) throw failed();
  std::string encoded(bytes, '\0');
  if (!png_image_write_to_memory(&image, encoded.data(), &bytes, 0, canvas.row(0), 0, palette.data())) throw failed();
  encoded.resize(bytes);
  return encoded;
}

}  // namespace moelab::server::render
