// Shapes: T tokens, L MoE layers, K choices, E experts.
#include "worker/balance/load_meter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace moelab::worker {
namespace {

constexpr std::int64_t kDeadWindow = 100;  // periods without an assignment after which an expert counts as dead

std::string expert_load_name(std::int64_t expert) {
  char name[48];
  std::snprintf(name, sizeof name, "train/moe/load/e%03lld", static_cast<long long>(expert));
  return name;
}

double entropy(const double* p, std::int64_t n) {
  double nats = 0;
  for (std::int64_t i = 0; i < n; ++i) nats -= p[i] > 0 ? p[i] * std::log(p[i]) : 0;
  return nats;
}

double sum_of_squared_deviations(const double* x, std::int64_t n, double mean) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += (x[i] - mean) * (x[i] - mean);
  return sum;
}

}  // namespace

struct LoadMeter::Impl {
  explicit Impl(const core::ModelShape& model_shape) : shape(model_shape) {
    for (std::size_t i = 0; i < shape.moe_layer.size(); ++i) {
      if (shape.moe_layer[i]) layer_ids.push_back(static_cast<std::int64_t>(i));
    }
    idle_LE = torch::zeros({layers(), shape.experts}, torch::kInt64);
  }
  std::int64_t layers() const { return static_cast<std::int64_t>(layer_ids.size()); }

  // The idle counters as they would be if the current period ended now.
  torch::Tensor idle_after_LE() const {
    return torch::where(count_LKE.sum(1) > 0, torch::zeros_like(idle_LE), idle_LE.to(count_LKE.device()) + 1);
  }

  core::ModelShape shape;
  std::vector<std::int64_t> layer_ids;  // indices of transformer blocks

  // The current period, summed on the routes' device so that add() never waits for it.
  std::int64_t tokens = 0;
  torch::Tensor count_LKE, dropped_L;                  // int64
  torch::Tensor probability_LE;                        // sum over tokens of softmax(logits)
  torch::Tensor entropy_L, square_L, z_loss_L, max_L;  // sums over tokens; square_L over experts too; max_L a maximum

  // Over periods: how long each expert has had no assignment, and how many periods there were, up to the window.
  torch::Tensor idle_LE;
  std::int64_t periods = 0;
};

LoadMeter::LoadMeter(const core::ModelShape& shape) : impl_(std::make_shared<Impl>(shape)) {}

bool LoadMeter::empty() const {
  return impl_->tokens == 0;
}

void LoadMeter::add(const std::vector<Route>& routes) {
  auto& m = *impl_;
  if (routes.empty()) return;
  TORCH_CHECK(static_cast<std::int64_t>(routes.size()) == m.layers(), "LoadMeter: one route per MoE layer");
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> count, dropped, probability, entropy_sum, square, z_loss, max;
  for (const auto& route : routes) {
    count.push_back(route.count_KE);
    dropped.push_back(route.dropped.defined() ? route.dropped : torch::zeros({}, route.count_KE.options()));
    if (!route.logit_TE.defined()) continue;
    const auto z_TE = route.logit_TE.detach();
    const auto p_TE = route.clean_softmax ? route.score_TE.detach() : z_TE.softmax(1);
    const auto logsumexp_T = z_TE.logsumexp(1);
    const auto z = z_TE.reshape({-1}), p = p_TE.reshape({-1});
    probability.push_back(p_TE.sum(0));
    // H(softmax z) = logsumexp z - sum p z, so one pass over the logits serves entropy and z-loss.
    entropy_sum.push_back(logsumexp_T.sum() - torch::dot(p, z));
    square.push_back(torch::dot(z, z));
    z_loss.push_back(torch::dot(logsumexp_T, logsumexp_T));
    max.push_back(z.abs().max());
  }
  const auto sum_into = [&](torch::Tensor& total, const std::vector<torch::Tensor>& parts) {
    auto stacked = torch::stack(parts);
    if (stacked.is_floating_point()) stacked = stacked.to(torch::kFloat64);
    total = empty() ? stacked : total + stacked;
  };
  sum_into(m.count_LKE, count);
  sum_into(m.dropped_L, dropped);
  if (!max.empty()) {
    sum_into(m.probability_LE, probability);
    sum_into(m.entropy_L, entropy_sum);
    sum_into(m.square_L, square);
    sum_into(m.z_loss_L, z_loss);
    const auto max_L = torch::stack(max).to(torch::kFloat64);
    m.max_L = empty() ? max_L : torch::maximum(m.max_L, max_L);
  }
  m.tokens += routes.front().expert_TK.size(0);
}

void LoadMeter::reset() {
  auto& m = *impl_;
  if (empty()) return;
  torch::NoGradGuard no_grad;
  m.idle_LE = m.idle_after_LE();
  m.periods = std::min(m.periods + 1, kDeadWindow);
  m.tokens = 0;
}

torch::Tensor LoadMeter::counts_LKE() const {
  const auto& m = *impl_;
  if (empty()) return torch::zeros({m.layers(), m.shape.active, m.shape.experts}, torch::kInt64);
  return m.count_LKE.cpu();
}

std::map<std::string, double> LoadMeter::metrics() const {
  const auto& m = *impl_;
  std::map<std::string, double> out;
  if (empty()) return out;
  torch::NoGradGuard no_grad;
  const auto L = m.layers(), E = m.shape.experts;
  const auto tokens = static_cast<double>(m.tokens);
  const bool has_logits = m.max_L.defined();
  // Everything crosses to the host in one copy: a row per layer [counts E | idle E | dropped | probabilities E | scalars].
  const auto column = [](const torch::Tensor& t_L) { return t_L.to(torch::kFloat64).unsqueeze(1); };
  std::vector<torch::Tensor> parts{m.count_LKE.sum(1).to(torch::kFloat64), m.idle_after_LE().to(torch::kFloat64), column(m.dropped_L)};
  if (has_logits) {
    parts.insert(parts.end(), {m.probability_LE, column(m.entropy_L), column(m.square_L), column(m.z_loss_L), column(m.max_L)});
  }
  const auto packed = torch::cat(parts, 1).cpu().contiguous();
  const auto dead_after = static_cast<double>(std::min(m.periods + 1, kDeadWindow));

  std::vector<double> mean_load(static_cast<std::size_t>(E), 0.0);
  double dropped_total = 0, assignments_total = 0;
  std::map<std::string, double> layer_mean;
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const double* count = packed.const_data_ptr<double>() + layer * packed.size(1);
    const double* idle = count + E;
    const double* probabilities = idle + E + 1;
    const double* scalars = probabilities + E;
    std::vector<double> load(count, count + E);
    const double assignments = std::accumulate(load.begin(), load.end(), 0.0);
    for (auto& f : load) f /= assignments;
    assignments_total += assignments;
    for (std::int64_t e = 0; e < E; ++e) mean_load[e] += load[e] / static_cast<double>(L);
    dropped_total += idle[E];

    const double even = 1.0 / static_cast<double>(E);
    const double squared_deviations = sum_of_squared_deviations(load.data(), E, even);
    std::vector<std::pair<const char*, double>> values{
        {"util_std", std::sqrt(squared_deviations / static_cast<double>(E - 1))},
        {"maxvio", *std::max_element(load.begin(), load.end()) / even - 1},
        {"cv", std::sqrt(squared_deviations / static_cast<double>(E)) / even},
        {"dead", static_cast<double>(std::count_if(idle, idle + E, [&](double periods) { return periods >= dead_after; }))},
    };
    if (has_logits) {
      std::vector<double> probability(probabilities, probabilities + E);
      for (auto& p : probability) p /= tokens;
      values.insert(values.end(), {{"entropy_per_token", scalars[0] / tokens},
                                   {"entropy_distribution", entropy(probability.data(), E)},
                                   {"logit_rms", std::sqrt(scalars[1] / (tokens * static_cast<double>(E)))},
                                   {"logit_max", scalars[3]},
                                   {"zloss", scalars[2] / tokens}});
    }
    const auto prefix = "router/layer_" + std::to_string(m.layer_ids[layer]) + "_";
    for (const auto& [name, value] : values) {
      out[prefix + name] = value;
      layer_mean[name] += value / static_cast<double>(L);
    }
  }
  for (const auto& [name, value] : layer_mean) out["router/" + name] = value;
  if (has_logits) out["router/entropy_distribution_normalized"] = layer_mean["entropy_distribution"] / std::log(static_cast<double>(E));
  for (std::int64_t e = 0; e < E; ++e) out[expert_load_name(e)] = mean_load[e];
  out["train/token_drop_count"] = dropped_total;
  out["train/token_drop_ratio"] = dropped_total / assignments_total;
  return out;
}

std::map<std::string, torch::Tensor> LoadMeter::state() const {
  return {{"idle_LE", impl_->idle_LE.cpu()}, {"periods", torch::tensor({impl_->periods}, torch::kInt64)}};
}

void LoadMeter::restore(const std::map<std::string, torch::Tensor>& state) {
  auto& m = *impl_;
  const auto idle = state.find("idle_LE"), periods = state.find("periods");
  if (idle == state.end() || periods == state.end() || idle->second.sizes() != m.idle_LE.sizes() || periods->second.numel() != 1) {
    throw core::Error(core::ErrorKind::storage,
                      "the checkpoint's load-meter state does not fit this model; resume from another checkpoint");
  }
  m.idle_LE = idle->second.to(torch::kInt64).clone();
  m.periods = periods->second.item<std::int64_t>();
}

}  // namespace moelab::worker
