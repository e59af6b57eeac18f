// Owns the PNG form of a canvas. Called by http/expert_load_api.cpp and http/artifact_api.cpp.
#pragma once

#include <string>

#include "server/render/canvas.h"

namespace moelab::server::render {

// The bytes of a palette PNG. Throws Error(internal) when libpng refuses.
std::string encode_png(const Canvas& canvas, const Palette& palette);

}  // namespace moelab::server::render
