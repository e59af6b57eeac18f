// Loss, logits and every gradient of the model against the slow reference model.
#include <doctest/doctest.h>

#include "tests/worker/model/model_case.h"
#include "tests/worker/model/reference_model.h"

using namespace moelab;
using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

void check_against_reference(const core::RunConfig& config, bool expect_drops = false) {
  LanguageModel model(config);
  {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(23);
    for (const auto& item : model.named_parameters()) {
      auto parameter = item.value();
      if (parameter.dim() == 1) parameter.add_(0.1 * torch::randn_like(parameter));  // norm weights of 1 would hide mistakes
    }
    for (auto& bias : model.expert_biases()) bias.copy_(0.2 * torch::randn_like(bias));
  }
  const auto weights = double_weights(model);
  const auto batch = small_batch(config.model.vocab_size);
  const auto expected = ReferenceModel(config, weights).loss(batch.ids_BL, batch.targets_BL, true);
  expected.total.backward();
  CHECK((expected.dropped > 0) == expect_drops);

  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    CAPTURE(std::string(torch::toString(type)));
    const double tolerance = type == torch::kFloat64 ? 1e-9 : 1e-5;
    model.to(type);
    model.train();
    model.zero_grad();
    const auto loss = model.loss(batch.ids_BL, batch.targets_BL, {});
    loss.total.backward();
    CHECK(relative_difference(loss.total, expected.total) <= tolerance);
    CHECK(loss.targets == batch.targets_BL.numel() - 1);
    CHECK(loss.ce_sum.item<double>() / static_cast<double>(loss.targets) == doctest::Approx(expected.ce.item<double>()).epsilon(tolerance));
    if (expected.lb.defined()) {
      CHECK(relative_difference(loss.aux.at("lb_loss"), expected.lb) <= tolerance);
      CHECK(relative_difference(loss.aux.at("z_loss"), expected.z) <= tolerance);
    }
    if (expected.mtp.defined()) CHECK(relative_difference(loss.aux.at("mtp_loss"), expected.mtp) <= tolerance);
    for (const auto& item : model.named_parameters()) {
      CAPTURE(item.key());
      REQUIRE(item.value().grad().defined());
      const auto& gradient = weights.at(item.key()).grad();
      if (!gradient.defined()) {
        CHECK(item.value().grad().abs().max().item<double>() == 0);
      } else if (gradient.abs().max().item<double>() < 1e-12) {
        CHECK(item.value().grad().abs().max().item<double>() < 1e-6);  // K = 1, normalised: the weight is constantly 1
      } else {
        CHECK(relative_difference(item.value().grad(), gradient) <= tolerance);
      }
    }
    if (!expect_drops) CHECK(relative_difference(model.logits(batch.ids_BL), expected.logits_BLV) <= tolerance);
  }
}

}  // namespace

TEST_CASE("dense") {
  check_against_reference(small_config());
}

TEST_CASE("dense with grouped keys, wide heads and tied embeddings") {
  auto config = small_config();
  config.model.num_key_value_heads = 2;
  config.model.head_dim = 10;
  config.model.tie_word_embeddings = true;
  check_against_reference(config);
}

TEST_CASE("norms of queries and keys, by head and over all heads") {
  auto config = small_config();
  config.model.num_key_value_heads = 2;
  config.model.qk_norm = core::QkNorm::head;
  check_against_reference(config);
  config.model.qk_norm = core::QkNorm::full;
  check_against_reference(config);
}

TEST_CASE("multi-token prediction, two modules deep, where a target is missing in the middle") {
  auto config = moe_config(4, 2);
  config.moe.mtp_depth = 2;
  config.moe.mtp_coeff = 0.3;
  check_against_reference(config);
}

TEST_CASE("one active expert, probability gate") {
  check_against_reference(moe_config(4, 1));
}

TEST_CASE("one active expert, normalised to weight one") {
  auto config = moe_config(4, 1);
  config.moe.norm_topk_prob = core::NormTopk::yes;
  check_against_reference(config);
}

TEST_CASE("two active experts with balance and z losses") {
  auto config = moe_config(6, 2);
  config.moe.lb_coeff = 0.05;
  config.moe.z_loss_coeff = 0.02;
  check_against_reference(config);
}

TEST_CASE("four active experts, not normalised, scaled, second layer only") {
  auto config = moe_config(8, 4);
  config.moe.norm_topk_prob = core::NormTopk::no;
  config.moe.routed_scaling_factor = 2.5;
  config.moe.skip_first_n_moe = 1;
  check_against_reference(config);
}

TEST_CASE("sigmoid scores with expert biases and shared experts") {
  auto config = moe_config(6, 2);
  config.moe.lb_gamma = 0.01;
  config.moe.num_shared_experts = 2;
  config.moe.shared_intermediate_size = 7;
  check_against_reference(config);
}

TEST_CASE("capacity drops the lowest scores of an over-full expert") {
  auto config = moe_config(4, 2);
  config.moe.capacity_factor = 0.7;
  config.moe.num_shared_experts = 1;
  config.moe.lb_coeff = 0.01;
  check_against_reference(config, true);
}
