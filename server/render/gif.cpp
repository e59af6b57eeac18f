#include "server/render/gif.h"

#include <gif_lib.h>

#include <cassert>
#include <memory>

#include "core/error.h"

namespace moelab::server::render {

namespace {

int append(GifFileType* gif, const GifByteType* data, int size) {
  static_cast<std::string*>(gif->UserData)->append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  return size;
}

core::Error refused(int code) {
  const char* reason = GifErrorString(code);
  return core::Error(core::ErrorKind::internal, std::string("giflib: ") + (reason ? reason : "unknown error"));
}

void check(GifFileType* gif, int result) {
  if (result == GIF_ERROR) throw refused(gif->Error);
}

// The extension every browser reads as "repeat for ever".
void put_loop(GifFileType* gif) {
  check(gif, EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE));
  check(gif, EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0"));
  const GifByteType endless[3] = {1, 0, 0};
  check(gif, EGifPutExtensionBlock(gif, sizeof endless, endless));
  check(gif, EGifPutExtensionTrailer(gif));
}

void put_frame(GifFileType* gif, const Canvas& canvas) {
  GraphicsControlBlock control{};
  control.DisposalMode = DISPOSE_DO_NOT;
  control.DelayTime = kFrameMs / 10;  // in 1/100 s
  control.TransparentColor = NO_TRANSPARENT_COLOR;
  GifByteType extension[4];
  EGifGCBToExtension(&control, extension);
  check(gif, EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, sizeof extension, extension));
  check(gif, EGifPutImageDesc(gif, 0, 0, canvas.width(), canvas.height(), false, nullptr));
  std::vector<GifPixelType> line(static_cast<std::size_t>(canvas.width()));
  for (int y = 0; y < canvas.height(); ++y) {
    line.assign(canvas.row(y), canvas.row(y) + canvas.width());
    check(gif, EGifPutLine(gif, line.data(), canvas.width()));
  }
}

}  // namespace

std::vector<std::size_t> kept_frames(std::size_t count) {
  const std::size_t stride = (count + kMaxFrames - 1) / kMaxFrames;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < count; i += stride) kept.push_back(i);
  return kept;
}

std::string encode_gif(std::size_t count, const std::function<Canvas(std::size_t)>& frame, const Palette& palette) {
  assert(count > 0);
  std::string bytes;
  int error = 0;
  GifFileType* gif = EGifOpen(&bytes, append, &error);
  if (!gif) throw refused(error);
  std::unique_ptr<GifFileType, void (*)(GifFileType*)> close(gif, [](GifFileType* open) { EGifCloseFile(open, nullptr); });
  EGifSetGifVersion(gif, true);

  std::vector<GifColorType> colours;
  for (const Rgb& colour : palette) colours.push_back({colour.r, colour.g, colour.b});
  const std::unique_ptr<ColorMapObject, void (*)(ColorMapObject*)> map(GifMakeMapObject(static_cast<int>(colours.size()), colours.data()),
                                                                       GifFreeMapObject);
  if (!map) throw core::Error(core::ErrorKind::internal, "giflib: out of memory");

  const Canvas first = frame(0);
  check(gif, EGifPutScreenDesc(gif, first.width(), first.height(), 8, 0, map.get()));
  put_loop(gif);
  put_frame(gif, first);
  for (std::size_t i = 1; i < count; ++i) put_frame(gif, frame(i));

  close.release();
  if (EGifCloseFile(gif, &error) == GIF_ERROR) throw refused(error);
  return bytes;
}

}  // namespace moelab::server::render
