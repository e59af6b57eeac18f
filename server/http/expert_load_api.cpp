// GET /api/v1/runs/{id}/expert-load: the load of every expert over the steps, as numbers or as a picture.
#include <algorithm>

#include "core/error.h"
#include "server/http/api.h"
#include "server/http/expert_load_json.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/render/gif.h"
#include "server/render/png.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr std::int64_t kMaxFrames = 10'000;

core::Error no_frames() {
  return core::Error(core::ErrorKind::not_found, "This run has no expert load there: it is a dense model, or has not logged a step yet.");
}

// Keeps one layer of a frame that was asked for by step.
void keep_layer(ExpertLoadView& view, std::int64_t layer) {
  const auto found = std::find(view.layers.begin(), view.layers.end(), layer);
  if (found == view.layers.end()) throw core::Error(core::ErrorKind::not_found, "Layer " + std::to_string(layer) + " has no router.");
  const std::int64_t row = view.slots * view.experts;
  const std::int64_t begin = (found - view.layers.begin()) * row;
  for (auto& frame : view.frames) frame.counts = {frame.counts.begin() + begin, frame.counts.begin() + begin + row};
  view.layers = {layer};
}

void reply_gif(httplib::Response& response, const ExpertLoadView& view) {
  if (view.frames.empty()) throw no_frames();
  const std::vector<std::size_t> kept = render::kept_frames(view.frames.size());
  const auto draw = [&](std::size_t i) { return render::draw_heatmap(picture_of(view, kept[i])); };
  response.set_content(render::encode_gif(kept.size(), draw, render::heatmap_palette()), "image/gif");
}

}  // namespace

void get_expert_load(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"from_step", "max_frames", "layer", "format", "step"});
  const RunId id = parse_id(std::string(call.id), "run");
  const std::string format = query.choice("format", {"json", "png", "gif"});
  const std::optional<std::int64_t> layer = query.optional_integer("layer", 0, 100'000);
  const std::optional<std::int64_t> step = query.optional_integer("step", 0, INT64_MAX);
  const std::int64_t from_step = query.integer("from_step", 0, 0, INT64_MAX);
  const std::int64_t max_frames = query.integer("max_frames", 200, 0, kMaxFrames);

  response.set_header("Cache-Control", "no-store");
  if (format == "gif") return reply_gif(response, api.service.expert_load(id, from_step, 0, layer));
  if (format == "json" && !step) return reply_json(response, to_json(api.service.expert_load(id, from_step, max_frames, layer)));

  ExpertLoadView frame = api.service.expert_load_frame(id, step);
  if (frame.frames.empty()) throw no_frames();
  if (layer) keep_layer(frame, *layer);
  if (format == "json") return reply_json(response, to_json(frame));
  response.set_content(render::encode_png(render::draw_heatmap(picture_of(frame, 0)), render::heatmap_palette()), "image/png");
}

}  // namespace moelab::server::http
