// Names, counts, determinism, modes and precision of the model.
#include "worker/model/language_model.h"

#include <doctest/doctest.h>

#include "core/cost_model.h"
#include "core/error.h"
#include "tests/worker/model/model_case.h"

using namespace moelab;
using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

core::RunConfig shared_config() {
  auto config = moe_config(6, 2);
  config.moe.num_shared_experts = 2;
  config.moe.lb_gamma = 0.01;
  config.moe.skip_first_n_moe = 1;
  return config;
}

bool same_weights(const LanguageModel& a, const LanguageModel& b) {
  const auto left = a.parameters(), right = b.parameters();
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!torch::equal(left[i], right[i])) return false;
  }
  return true;
}

torch::Tensor gradients(LanguageModel& model, const Batch& batch) {
  model.train();
  model.zero_grad();
  model.loss(batch.ids_BL, batch.targets_BL, {}).total.backward();
  std::vector<torch::Tensor> flat;
  for (const auto& parameter : model.parameters()) flat.push_back(parameter.grad().flatten());
  return torch::cat(flat);
}

}  // namespace

TEST_CASE("parameters and buffers carry the documented names and shapes in the documented order") {
  const LanguageModel model(shared_config());
  std::vector<std::string> names;
  for (const auto& item : model.named_parameters()) names.push_back(item.key());
  const std::vector<std::string> expected{"embed_tokens.weight",
                                          "layers.0.norm_attn.weight",
                                          "layers.0.attn.q.weight",
                                          "layers.0.attn.k.weight",
                                          "layers.0.attn.v.weight",
                                          "layers.0.attn.o.weight",
                                          "layers.0.norm_mlp.weight",
                                          "layers.0.mlp.gate.weight",
                                          "layers.0.mlp.up.weight",
                                          "layers.0.mlp.down.weight",
                                          "layers.1.norm_attn.weight",
                                          "layers.1.attn.q.weight",
                                          "layers.1.attn.k.weight",
                                          "layers.1.attn.v.weight",
                                          "layers.1.attn.o.weight",
                                          "layers.1.norm_mlp.weight",
                                          "layers.1.moe.router.weight",
                                          "layers.1.moe.experts.gate_up",
                                          "layers.1.moe.experts.down",
                                          "layers.1.moe.shared.gate.weight",
                                          "layers.1.moe.shared.up.weight",
                                          "layers.1.moe.shared.down.weight",
                                          "norm.weight",
                                          "lm_head.weight"};
  CHECK((names == expected));
  const auto parameters = model.named_parameters();
  CHECK((parameters["layers.1.moe.experts.gate_up"].sizes() == torch::IntArrayRef({6, 24, 24})));
  CHECK((parameters["layers.1.moe.experts.down"].sizes() == torch::IntArrayRef({6, 12, 24})));
  CHECK((parameters["layers.1.moe.shared.down.weight"].sizes() == torch::IntArrayRef({24, 24})));
  const auto buffers = model.named_buffers();
  REQUIRE(buffers.size() == 1);
  CHECK(buffers.contains("layers.1.moe.router.bias"));
}

TEST_CASE("the parameter count is the cost model's") {
  auto tied = small_config();
  tied.model.tie_word_embeddings = true;
  tied.model.num_key_value_heads = 2;
  tied.model.head_dim = 8;
  auto normed = tied;
  normed.model.qk_norm = core::QkNorm::head;
  auto noisy = shared_config();
  noisy.moe.router_noise = core::RouterNoise::learned;
  noisy.moe.mtp_depth = 2;
  auto hashed = moe_config(4, 2);
  hashed.moe.routing = core::Routing::hash;
  for (const auto& config : {small_config(), tied, normed, moe_config(4, 1), shared_config(), noisy, hashed}) {
    std::int64_t count = 0;
    for (const auto& parameter : LanguageModel(config).parameters()) count += parameter.numel();
    CHECK(count == core::estimate_cost(config).total_parameters);
  }
}

TEST_CASE("the seed alone decides the weights") {
  const auto config = shared_config();
  auto other = config;
  other.seed = 4;
  torch::manual_seed(1);
  const LanguageModel first(config);
  torch::manual_seed(2);
  at::set_num_threads(1);
  const LanguageModel second(config);
  at::set_num_threads(2);
  CHECK(same_weights(first, second));
  CHECK_FALSE(same_weights(first, LanguageModel(other)));
}

TEST_CASE("matrices are drawn with the configured deviation, experts included, and norms are one") {
  auto config = moe_config(8, 2);
  config.model.hidden_size = 64;
  config.moe.moe_intermediate_size = 64;
  config.model.initializer_range = 0.02;
  const LanguageModel model(config);
  for (const auto& item : model.named_parameters()) {
    CAPTURE(item.key());
    if (item.value().dim() == 1) {
      CHECK(torch::equal(item.value(), torch::ones_like(item.value())));
    } else {
      CHECK(item.value().std().item<double>() == doctest::Approx(0.02).epsilon(0.1));
    }
  }
}

TEST_CASE("two forward and backward passes give the same bits") {
  LanguageModel model(shared_config());
  const auto batch = small_batch(61, 4, 16);
  const auto first = gradients(model, batch), second = gradients(model, batch);
  CHECK(torch::equal(first, second));
}

TEST_CASE("evaluation needs no gradient, applies its own capacity, and logits drop nothing") {
  auto config = moe_config(4, 2);
  config.moe.capacity_factor = 0.5;
  config.moe.eval_capacity_factor = 0;
  LanguageModel model(config);
  const auto batch = small_batch(61);
  model.train();
  CHECK(model.loss(batch.ids_BL, batch.targets_BL, {}).routes[0].keep_TK.defined());
  model.eval();
  const auto loss = model.loss(batch.ids_BL, batch.targets_BL, {});
  CHECK_FALSE(loss.total.requires_grad());
  CHECK_FALSE(loss.routes[0].keep_TK.defined());
  model.train();
  const auto logits = model.logits(batch.ids_BL);
  namespace F = torch::nn::functional;
  const auto expected = F::cross_entropy(logits.flatten(0, 1), batch.targets_BL.flatten(),
                                         F::CrossEntropyFuncOptions().ignore_index(kIgnoredTarget).reduction(torch::kSum));
  CHECK(loss.ce_sum.item<double>() == doctest::Approx(expected.item<double>()).epsilon(1e-5));
}

TEST_CASE("loss options scale cross-entropy and auxiliary losses") {
  auto config = moe_config(4, 2);
  config.moe.lb_coeff = 0.5;
  LanguageModel model(config);
  model.train();
  const auto batch = small_batch(61);
  const auto loss = model.loss(batch.ids_BL, batch.targets_BL, {.ce_scale = 0.25, .aux_scale = 0.125});
  const double expected = 0.25 * loss.ce_sum.item<double>() + 0.125 * 0.5 * loss.aux.at("lb_loss").item<double>();
  CHECK(loss.total.item<double>() == doctest::Approx(expected).epsilon(1e-6));
  CHECK(loss.routes.size() == 2);
  CHECK_FALSE(loss.routes[0].weight_TK.requires_grad());
}

TEST_CASE("bf16 stays close to fp32 and keeps fp32 weights, gradients and routing") {
  auto config = shared_config();
  config.model.initializer_range = 0.05;
  config.moe.num_active_experts = 6;  // all experts: rounding cannot change a choice, so the runs stay comparable
  auto low = config;
  low.train.precision = core::Precision::bf16;
  LanguageModel wide(config), narrow(low);
  REQUIRE(same_weights(wide, narrow));
  const auto batch = small_batch(61);
  CHECK(relative_difference(narrow.logits(batch.ids_BL), wide.logits(batch.ids_BL)) <= 0.03);
  CHECK((narrow.logits(batch.ids_BL).scalar_type() == torch::kFloat32));
  const auto expected = gradients(wide, batch), ours = gradients(narrow, batch);
  CHECK((ours.scalar_type() == torch::kFloat32));
  CHECK(((ours - expected).norm() / expected.norm()).item<double>() <= 0.03);
  CHECK_FALSE(torch::equal(ours, expected));  // otherwise nothing ran in bf16
  CHECK((narrow.loss(batch.ids_BL, batch.targets_BL, {}).routes[0].logit_TE.scalar_type() == torch::kFloat32));
}

TEST_CASE("an input longer than the model's positions is refused by name") {
  LanguageModel model(small_config());
  const auto batch = small_batch(61, 1, 17);
  CHECK_THROWS_WITH_AS(model.logits(batch.ids_BL), doctest::Contains("model.max_position_embeddings"), core::Error);
}

TEST_CASE("a small model learns one batch by heart") {
  auto config = moe_config(4, 2);
  LanguageModel model(config);
  model.train();
  const auto batch = small_batch(61);
  double loss_value = 0;
  for (int step = 0; step < 150; ++step) {
    model.zero_grad();
    const auto loss = model.loss(batch.ids_BL, batch.targets_BL, {});
    loss.total.backward();
    loss_value = loss.total.item<double>();
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model.parameters()) parameter.sub_(parameter.grad(), 0.3);
  }
  CHECK(loss_value < 0.1);
}
