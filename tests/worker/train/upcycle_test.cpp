// Upcycling: a mixture made from a dense model computes what that did, noise is as large as asked, and what does not fit is refused.
#include "worker/train/upcycle.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "core/config_check.h"
#include "core/error.h"
#include "tests/worker/train/small_run.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"
#include "worker/train/initial_weights.h"

namespace moelab::worker {
namespace {

using test::TemporaryDirectory;

// A dense model in <dir>/dense, and runs that start from it.
struct DenseModel {
  TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);

  DenseModel() {
    config.model.initializer_range = 0.3;  // far from the linear start
    save(LanguageModel(config), config, "dense");
  }
  void save(const LanguageModel& model, const core::RunConfig& run, const std::string& name) const {
    TrainingState state;
    state.step = 1;
    CheckpointStore(dir.path() / name, run.checkpoint).save(run, model_tensors(model), state, "");
  }
  core::RunConfig upcycled(const std::function<void(core::RunConfig&)>& change = [](core::RunConfig&) {}) const {
    core::RunConfig run = config;
    run.seed = 8;
    run.moe.num_experts = 4;
    run.moe.num_active_experts = 2;
    run.train.init_from = (dir.path() / "dense").string();
    run.train.upcycle = true;
    run.train.upcycle_noise = 0;
    change(run);
    CHECK(core::check_config(run).empty());
    return run;
  }
};

std::shared_ptr<LanguageModel> started(const core::RunConfig& run) {
  auto model = std::make_shared<LanguageModel>(run);
  load_initial_weights(*model, run);
  model->eval();
  return model;
}

torch::Tensor logits(LanguageModel& model) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  return model.logits(torch::randint(test::kVocab, {3, 16}, torch::kInt64));
}

double error_against(const DenseModel& dense, const core::RunConfig& run) {
  LanguageModel original(dense.config);
  const torch::Tensor expected = logits(original);
  return ((logits(*started(run)) - expected).abs().max() / expected.abs().max()).item<double>();
}

TEST_CASE("without noise the mixture computes what the dense model did, for every combine weight that sums to 1") {
  const DenseModel dense;
  const std::vector<std::function<void(core::RunConfig&)>> changes{
      [](auto&) {},
      [](auto& c) { c.moe.num_active_experts = 4; },
      [](auto& c) { c.moe.moe_layers = std::vector<std::int64_t>{1}; },  // layer 0 stays dense
      [](auto& c) { c.moe.lb_gamma = 0.01; },                            // sigmoid scores
      [](auto& c) { c.moe.num_active_experts = 1, c.moe.top1_gate = core::Top1Gate::one; },
      [](auto& c) { c.moe.num_active_experts = 1, c.moe.top1_gate = core::Top1Gate::ste; },
      [](auto& c) { c.moe.num_active_experts = 1, c.moe.norm_topk_prob = core::NormTopk::yes; }};
  for (const auto& change : changes) CHECK(error_against(dense, dense.upcycled(change)) <= 1e-5);
}

TEST_CASE("with the default noise the error is small, and every expert is a copy of its own") {
  const DenseModel dense;
  const core::RunConfig run = dense.upcycled([](auto& c) { c.train.upcycle_noise = core::TrainConfig{}.upcycle_noise; });
  const double error = error_against(dense, run);
  CHECK(error > 1e-6);
  CHECK(error < 0.01);

  const TensorMap before = model_tensors(LanguageModel(dense.config)), drawn = model_tensors(LanguageModel(run));
  const auto model = started(run);
  const TensorMap after = model_tensors(*model);
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    const std::int64_t width = 24;
    const auto& gate_up_EDX = after.at(layer + "moe.experts.gate_up");
    const std::vector<std::pair<torch::Tensor, torch::Tensor>> parts{
        {gate_up_EDX.slice(2, 0, width), before.at(layer + "mlp.gate.weight").t()},
        {gate_up_EDX.slice(2, width), before.at(layer + "mlp.up.weight").t()},
        {after.at(layer + "moe.experts.down"), before.at(layer + "mlp.down.weight").t()}};
    for (const auto& [experts_EXY, matrix_XY] : parts) {
      for (std::int64_t e = 0; e < 4; ++e) {
        const double ratio = ((experts_EXY[e] - matrix_XY).std() / matrix_XY.std()).item<double>();
        CHECK(ratio > 0.85e-3);  // 384 draws
        CHECK(ratio < 1.15e-3);
        if (e > 0) CHECK_FALSE(torch::equal(experts_EXY[e], experts_EXY[0]));
      }
    }
    CHECK(torch::equal(after.at(layer + "moe.router.weight"), drawn.at(layer + "moe.router.weight")));
    CHECK(std::abs(after.at(layer + "moe.router.weight").std().item<double>() - 0.3) < 0.1);  // 64 draws
  }
  for (const char* name : {"embed_tokens.weight", "layers.1.attn.q.weight", "layers.0.norm_mlp.weight", "lm_head.weight"}) {
    CHECK(torch::equal(after.at(name), before.at(name)));
  }
}

TEST_CASE("the seed decides noise and routers") {
  const DenseModel dense;
  const auto weights = [&](std::int64_t seed) {
    const auto model = started(dense.upcycled([&](auto& c) { c.seed = seed, c.train.upcycle_noise = 1e-3; }));
    return std::pair(model_tensors(*model).at("layers.1.moe.experts.down"), model_tensors(*model).at("layers.1.moe.router.weight"));
  };
  const auto first = weights(8), same = weights(8), other = weights(9);
  CHECK(torch::equal(first.first, same.first));
  CHECK(torch::equal(first.second, same.second));
  CHECK_FALSE(torch::equal(first.first, other.first));
  CHECK_FALSE(torch::equal(first.second, other.second));
}

TEST_CASE("what is no dense model of this shape is refused by name") {
  const DenseModel dense;
  const auto message = [](const core::RunConfig& run) { return test::error_of([&] { started(run); }); };
  const core::RunConfig mixture = dense.upcycled();
  dense.save(LanguageModel(mixture), mixture, "mixture");
  const std::string experts = message(dense.upcycled([&](auto& c) { c.train.init_from = (dense.dir.path() / "mixture").string(); }));
  CHECK(experts.find("train.upcycle: ") == 0);
  CHECK(experts.find("has experts already") != std::string::npos);
  const auto refused = [&](const std::function<void(core::RunConfig&)>& change, const std::string& part) {
    CAPTURE(part);
    CHECK(message(dense.upcycled(change)).find(part) != std::string::npos);
  };
  refused([](auto& c) { c.model.intermediate_size = 32; }, "model.intermediate_size: is 32 here but 24 in ");
  refused([](auto& c) { c.model.rope_theta = 5e5; }, "model.rope_theta");
  refused([](auto& c) { c.model.num_hidden_layers = 3; }, "has no layers.2.mlp.gate.weight");
  refused([](auto& c) { c.model.num_hidden_layers = 1; }, "layers.1.");
  refused([](auto& c) { c.train.upcycle = false, c.train.upcycle_noise = 1e-3; }, "moe.num_experts");
}

}  // namespace
}  // namespace moelab::worker
