// Initial weights: each scheme's deviation by kind of matrix, the cut-off of the truncated normal, orthogonal routers.
// Ratios are compared with 1, because doctest compares small numbers absolutely.
#include "worker/model/initial_draw.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/model/model_case.h"

namespace moelab::worker::test {
namespace {

core::RunConfig large_config() {
  auto config = moe_config(4, 2);
  config.model.vocab_size = 500;
  config.model.hidden_size = 96;
  config.model.intermediate_size = 160;
  config.model.initializer_range = 0.02;
  config.moe.moe_intermediate_size = 120;
  config.moe.num_shared_experts = 1;
  config.moe.skip_first_n_moe = 1;
  return config;
}

double deviation(const LanguageModel& model, const std::string& name) {
  return model.named_parameters()[name].std().item<double>();
}

}  // namespace

TEST_CASE("resid_scaled draws what writes to the residual stream with range / sqrt(2 layers), the rest with range") {
  auto config = large_config();
  config.model.init_scheme = core::InitScheme::resid_scaled;
  const LanguageModel model(config);
  for (const char* name :
       {"layers.0.attn.o.weight", "layers.0.mlp.down.weight", "layers.1.moe.experts.down", "layers.1.moe.shared.down.weight"}) {
    CAPTURE(name);
    CHECK(deviation(model, name) / (0.02 / std::sqrt(4.0)) == doctest::Approx(1).epsilon(0.03));
  }
  for (const char* name :
       {"embed_tokens.weight", "lm_head.weight", "layers.0.attn.q.weight", "layers.0.mlp.up.weight", "layers.1.moe.experts.gate_up"}) {
    CAPTURE(name);
    CHECK(deviation(model, name) / 0.02 == doctest::Approx(1).epsilon(0.03));
  }
}

TEST_CASE("switch draws a normal of variance scale / fan_in cut at two deviations; the embedding keeps the range") {
  auto config = large_config();
  config.model.init_scheme = core::InitScheme::switch_scaled;
  config.model.init_scale = 0.1;
  const LanguageModel model(config);
  const double cut = 0.8796;  // deviation of a standard normal cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))
  const std::pair<const char*, double> fan_in[] = {{"layers.0.attn.q.weight", 96},
                                                   {"layers.0.mlp.down.weight", 160},
                                                   {"layers.1.moe.experts.gate_up", 96},
                                                   {"layers.1.moe.experts.down", 120},
                                                   {"lm_head.weight", 96}};
  for (const auto& [name, width] : fan_in) {
    CAPTURE(name);
    const double sigma = std::sqrt(0.1 / width);
    CHECK(deviation(model, name) / (cut * sigma) == doctest::Approx(1).epsilon(0.03));
    const double largest = model.named_parameters()[name].abs().max().item<double>();
    CHECK(largest <= 2 * sigma * (1 + 1e-6));
    CHECK(largest > 1.9 * sigma);
  }
  CHECK(deviation(model, "embed_tokens.weight") / 0.02 == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("orthogonal routers have orthonormal rows, and BASE starts from orthogonal centroids of length 0.1") {
  const auto gram = [](const LanguageModel& model) {
    const auto w = model.named_parameters()["layers.1.moe.router.weight"].detach().to(torch::kFloat64);
    return torch::mm(w, w.t());
  };
  auto config = large_config();
  config.moe.router_init = core::RouterInit::orthogonal;
  CHECK(torch::allclose(gram(LanguageModel(config)), torch::eye(4, torch::kFloat64), 0, 1e-6));
  config = large_config();
  config.moe.routing = core::Routing::base;
  config.moe.num_active_experts = 1;
  CHECK(torch::allclose(gram(LanguageModel(config)), 0.01 * torch::eye(4, torch::kFloat64), 0, 1e-8));
}

TEST_CASE("prediction modules change no weight of the rest, and count as the cost model says") {
  auto config = large_config();
  const LanguageModel plain(config);
  config.moe.mtp_depth = 2;
  const LanguageModel deep(config);
  for (const auto& item : plain.named_parameters()) {
    CAPTURE(item.key());
    CHECK(item.value().equal(deep.named_parameters()[item.key()]));
  }
}

}  // namespace moelab::worker::test
