#include "server/http/expert_load_json.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace moelab::server::http {

namespace {

// Load of each layer over all slots, [layer][expert]: what balance is about.
std::vector<std::vector<std::int64_t>> by_layer(const ExpertLoadView& view, const std::vector<std::int64_t>& counts) {
  const auto experts = static_cast<std::size_t>(view.experts), slots = static_cast<std::size_t>(view.slots);
  std::vector<std::vector<std::int64_t>> layers(view.layers.size(), std::vector<std::int64_t>(experts));
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    for (std::size_t i = 0; i < slots * experts; ++i) layers[layer][i % experts] += counts[layer * slots * experts + i];
  }
  return layers;
}

void check_shape(const ExpertLoadView& view, const ExpertLoadView::Frame& frame) {
  const auto wanted = static_cast<std::int64_t>(view.layers.size()) * view.slots * view.experts;
  if (static_cast<std::int64_t>(frame.counts.size()) == wanted) return;
  throw core::Error(core::ErrorKind::storage, "The expert load of step " + std::to_string(frame.step) +
                                                  " is damaged: rebuild the database from the journals with `moelab db rebuild`.");
}

}  // namespace

LoadStats load_stats(std::span<const std::int64_t> counts) {
  const double total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  const double experts = static_cast<double>(counts.size());
  if (total <= 0) return {.cv = 0, .maxvio = 0, .entropy = 0, .dead = 1};
  const double mean = total / experts;
  double squares = 0, entropy = 0, largest = 0, dead = 0;
  for (const std::int64_t count : counts) {
    const double load = static_cast<double>(count);
    squares += (load - mean) * (load - mean);
    largest = std::max(largest, load);
    if (count == 0) {
      dead += 1;
    } else {
      entropy -= load / total * std::log(load / total);
    }
  }
  return {.cv = std::sqrt(squares / experts) / mean,
          .maxvio = largest / mean - 1,
          .entropy = counts.size() > 1 ? entropy / std::log(experts) : 1,
          .dead = dead / experts};
}

std::vector<double> load_fractions(const std::vector<std::int64_t>& counts, std::int64_t experts) {
  std::vector<double> fractions(counts.size());
  const auto width = static_cast<std::size_t>(experts);
  for (std::size_t row = 0; row + width <= counts.size(); row += width) {
    const auto begin = counts.begin() + static_cast<std::ptrdiff_t>(row);
    const auto total = static_cast<double>(std::accumulate(begin, begin + experts, std::int64_t{0}));
    if (total <= 0) continue;
    for (std::size_t expert = 0; expert < width; ++expert) fractions[row + expert] = static_cast<double>(counts[row + expert]) / total;
  }
  return fractions;
}

nlohmann::json to_json(const ExpertLoadView& view) {
  using nlohmann::json;
  json frames = json::array();
  json cv = json::array(), maxvio = json::array(), entropy = json::array(), dead = json::array();
  for (const ExpertLoadView::Frame& frame : view.frames) {
    check_shape(view, frame);
    frames.push_back({{"step", frame.step}, {"load", load_fractions(frame.counts, view.experts)}});
    json frame_cv = json::array(), frame_maxvio = json::array(), frame_entropy = json::array(), frame_dead = json::array();
    for (const auto& layer : by_layer(view, frame.counts)) {
      const LoadStats stats = load_stats(layer);
      frame_cv.push_back(stats.cv);
      frame_maxvio.push_back(stats.maxvio);
      frame_entropy.push_back(stats.entropy);
      frame_dead.push_back(stats.dead);
    }
    cv.push_back(std::move(frame_cv));
    maxvio.push_back(std::move(frame_maxvio));
    entropy.push_back(std::move(frame_entropy));
    dead.push_back(std::move(frame_dead));
  }
  return {{"layers", view.layers},
          {"slots", view.slots},
          {"experts", view.experts},
          {"frames", std::move(frames)},
          {"total_frames", view.total_frames},
          {"derived", {{"cv", cv}, {"maxvio", maxvio}, {"entropy", entropy}, {"dead", dead}}}};
}

render::LoadPicture picture_of(const ExpertLoadView& view, std::size_t index) {
  const ExpertLoadView::Frame& frame = view.frames.at(index);
  check_shape(view, frame);
  render::LoadPicture picture;
  picture.step = frame.step;
  picture.layers = view.layers;
  picture.slots = static_cast<int>(view.slots);
  picture.experts = static_cast<int>(view.experts);
  for (const double fraction : load_fractions(frame.counts, view.experts)) picture.load.push_back(static_cast<float>(fraction));
  return picture;
}

}  // namespace moelab::server::http
