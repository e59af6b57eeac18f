// Owns animated GIFs of canvases. Called by http/expert_load_api.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "server/render/canvas.h"

namespace moelab::server::render {

inline constexpr int kFrameMs = 100;
inline constexpr std::size_t kMaxFrames = 150;  // 15 seconds

// Which of `count` frames a GIF keeps: every ceil(count / 150)-th, starting with the first.
std::vector<std::size_t> kept_frames(std::size_t count);

// The bytes of a GIF that repeats for ever, 100 ms a frame. `frame(i)` draws frame i of `count` (>= 1); all must have one size.
// Throws Error(internal) when giflib refuses.
std::string encode_gif(std::size_t count, const std::function<Canvas(std::size_t)>& frame, const Palette& palette);

}  // namespace moelab::server::render
