// Owns what is derived from expert-load counts: fractions, CV, MaxVio, entropy, dead share; and their JSON and picture forms.
// Called by expert_load_api.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "server/render/heatmap.h"
#include "server/views.h"

namespace moelab::server::http {

// Statistics of the load of one layer, `counts` [expert] >= 0. All are 0 for a layer without a single assignment, except dead = 1.
struct LoadStats {
  double cv = 0;       // population standard deviation / mean
  double maxvio = 0;   // max / mean - 1 (Wang et al. 2024, "Auxiliary-loss-free load balancing strategy for MoE")
  double entropy = 0;  // of the load shares / ln E, in [0, 1]; 1 = even, and for E = 1
  double dead = 0;     // share of experts without an assignment
};
LoadStats load_stats(std::span<const std::int64_t> counts);

// [layer][slot][expert] counts to fractions: each (layer, slot) row sums to 1, or is 0 when nothing was assigned.
std::vector<double> load_fractions(const std::vector<std::int64_t>& counts, std::int64_t experts);

// Component ExpertLoad of openapi.yaml.
nlohmann::json to_json(const ExpertLoadView& view);

// The heat map of frame `index`.
render::LoadPicture picture_of(const ExpertLoadView& view, std::size_t index);

}  // namespace moelab::server::http
