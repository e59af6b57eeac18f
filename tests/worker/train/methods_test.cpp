// Every method of routing, balancing and placement in a real training run: it learns, or shows the failure it is known for; and
// stopped at any point it ends with the same bits as when left alone.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>

#include "core/config_check.h"
#include "tests/worker/train/train_here.h"

namespace moelab::worker {
namespace {

using core::EventType;
using test::events_of;
using test::Outcome;
using test::TemporaryDirectory;
using test::train;

using Change = std::function<void(core::MoeConfig&)>;

std::map<std::string, Change> methods() {
  using core::Routing;
  const auto routing = [](Routing strategy, std::int64_t active) {
    return [=](core::MoeConfig& m) {
      m.routing = strategy;
      m.num_active_experts = active;
    };
  };
  return {
      {"softmax", [](auto&) {}},
      {"K=1 prob", [](auto& m) { m.num_active_experts = 1; }},
      {"K=1 ste", [](auto& m) { m.num_active_experts = 1, m.top1_gate = core::Top1Gate::ste; }},
      {"K=1 one", [](auto& m) { m.num_active_experts = 1, m.top1_gate = core::Top1Gate::one; }},
      {"penalty per layer", [](auto& m) { m.lb_coeff = 0.01; }},
      {"penalty pooled", [](auto& m) { m.lb_coeff = 0.01, m.lb_pool = core::LbPool::all_layers; }},
      {"bias, proportional", [](auto& m) { m.lb_gamma = 0.01, m.lb_bias_interval = 3; }},
      {"bias, sign, with sequence loss",
       [](auto& m) { m.lb_gamma = 0.001, m.lb_bias_rule = core::BiasRule::sign, m.seq_aux_coeff = 1e-4; }},
      {"bias on logits", [](auto& m) { m.lb_gamma = 0.01, m.lb_bias_target = core::BiasTarget::logit; }},
      {"groups with device and communication loss",
       [](auto& m) { m.n_group = 2, m.topk_group = 1, m.device_coeff = 0.05, m.comm_coeff = 0.02; }},
      {"annealed noise", [](auto& m) { m.router_noise = core::RouterNoise::annealed, m.noise_anneal_frac = 0.5; }},
      {"learned noise with CV losses",
       [](auto& m) { m.router_noise = core::RouterNoise::learned, m.cv_importance_coeff = 0.1, m.cv_load_coeff = 0.1; }},
      {"jitter with z-loss", [](auto& m) { m.router_noise = core::RouterNoise::jitter, m.z_loss_coeff = 1e-3; }},
      {"SimBal", [](auto& m) { m.orth_coeff = 0.1 / 16, m.router_init = core::RouterInit::orthogonal; }},
      {"capacity by position", [](auto& m) { m.capacity_factor = 1.25, m.drop_policy = core::DropPolicy::position, m.lb_coeff = 0.01; }},
      {"multi-token prediction", [](auto& m) { m.mtp_depth = 2; }},
      {"expert choice", routing(Routing::expert_choice, 2)},
      {"expert choice within sequences", [](auto& m) { m.routing = Routing::expert_choice, m.ec_scope = core::ChoiceScope::sequence; }},
      {"hash, random", routing(Routing::hash, 1)},
      {"hash, balanced", [](auto& m) { m.routing = Routing::hash, m.hash_mode = core::HashMode::balanced; }},
      {"random, fresh", routing(Routing::random, 2)},
      {"random, frozen", [](auto& m) { m.routing = Routing::random, m.random_mode = core::RandomMode::frozen; }},
      {"BASE", routing(Routing::base, 1)},
      {"Sinkhorn", routing(Routing::sinkhorn, 2)},
      {"Sinkhorn K=1", routing(Routing::sinkhorn, 1)},
      {"REINFORCE", [](auto& m) { m.routing = Routing::reinforce, m.num_active_experts = 1, m.lb_coeff = 0.01; }},
  };
}

core::RunConfig config_of(const TemporaryDirectory& dir, const Change& change) {
  auto config = test::small_config(dir);
  config.moe.num_experts = 4;
  config.moe.num_active_experts = 2;
  config.moe.num_shared_experts = 1;
  config.moe.moe_intermediate_size = 8;
  config.train.grad_accum = 2;
  change(config.moe);
  core::require_valid(config, "methods_test");
  return config;
}

double last(const TemporaryDirectory& dir, const std::string& run, const std::string& metric) {
  return events_of(dir.path() / run, EventType::metrics).back().payload["values"][metric].get<double>();
}

}  // namespace

TEST_CASE("every strategy of the registry is among the methods tried here") {
  for (const auto& [strategy, name] : core::EnumNames<core::Routing>::values) {
    bool tried = false;
    for (const auto& [method, change] : methods()) {
      core::MoeConfig moe;
      change(moe);
      tried = tried || moe.routing == strategy;
    }
    CHECK_MESSAGE(tried, name);
  }
}

TEST_CASE("60 steps of every method beat its initial loss by a third") {
  const TemporaryDirectory dir;
  int n = 0;
  for (const auto& [method, change] : methods()) {
    CAPTURE(method);
    auto config = config_of(dir, change);
    config.train.max_steps = 60;
    config.train.lr = 1e-2;
    config.train.eval_interval = 60;
    config.train.save_interval = 60;
    const Outcome outcome = train(config, dir, "learn_" + std::to_string(n++));
    CHECK(outcome.end == TrainingEnd::completed);
    CHECK(outcome.losses.front() > 3.9);  // ln 61 = 4.1
    CHECK(outcome.losses.back() < 0.67 * outcome.losses.front());
    CHECK(outcome.values.at("eval/loss") < 0.75 * outcome.losses.front());
  }
}

TEST_CASE("known failures show in the metrics: without balancing loads drift apart, random routing stays even and learns no router") {
  const TemporaryDirectory dir;
  const auto run = [&](const std::string& name, const Change& change) {
    auto config = config_of(dir, change);
    config.moe.num_active_experts = 1;
    config.moe.num_experts = 8;
    config.train.batch_size = 40;  // every block: loads are those of the whole corpus
    config.train.max_steps = 150;
    config.train.lr = 1e-2;
    config.train.log_interval = 10;
    train(config, dir, name);
  };
  run("none", [](auto&) {});
  run("penalty", [](auto& m) { m.lb_coeff = 0.1; });
  run("bias", [](auto& m) { m.lb_gamma = 0.02; });
  run("fresh", [](auto& m) { m.routing = core::Routing::random; });
  run("frozen", [](auto& m) { m.routing = core::Routing::random, m.random_mode = core::RandomMode::frozen; });
  const double unbalanced = last(dir, "none", "router/maxvio");
  CHECK(unbalanced > 0.5);
  CHECK(unbalanced > 4 * last(dir, "penalty", "router/maxvio"));
  CHECK(unbalanced > 4 * last(dir, "bias", "router/maxvio"));
  CHECK(unbalanced > 2 * last(dir, "fresh", "router/maxvio"));
  const auto frozen = events_of(dir.path() / "frozen", EventType::metrics);
  CHECK(frozen.front().payload["values"]["router/wr_norm"] == frozen.back().payload["values"]["router/wr_norm"]);
  const auto fresh = events_of(dir.path() / "fresh", EventType::metrics).back().payload["values"];
  CHECK_FALSE(fresh.contains("router/wr_norm"));
  CHECK_FALSE(fresh.contains("train/z_loss"));
  CHECK(fresh.contains("train/moe/load/e000"));
}

TEST_CASE("every auxiliary loss is logged unscaled under its own name, with balance at its stated value") {
  const TemporaryDirectory dir;
  auto config = config_of(dir, [](auto& m) {
    m.n_group = 2, m.topk_group = 1;
    m.lb_coeff = 0.5, m.z_loss_coeff = 0.25, m.seq_aux_coeff = 0.1, m.device_coeff = 0.1, m.comm_coeff = 0.1, m.orth_coeff = 0.1;
    m.cv_importance_coeff = 0.1, m.mtp_depth = 1;
  });
  config.train.max_steps = 1;
  train(config, dir, "run");
  const auto at = [&](const char* name) { return last(dir, "run", name); };
  // A fresh router is nearly uniform: losses that are 1 at balance are near 1, z is near (ln E)^2, W W^T is near 0.
  for (const char* name : {"train/lb_loss", "train/seq_aux_loss", "train/device_loss", "train/comm_loss"}) {
    CAPTURE(name);
    CHECK(at(name) == doctest::Approx(1).epsilon(0.05));
  }
  CHECK(at("train/z_loss") == doctest::Approx(std::pow(std::log(4), 2)).epsilon(0.05));
  CHECK(at("train/orth_loss") == doctest::Approx(4).epsilon(0.05));
  CHECK(at("train/mtp_loss") == doctest::Approx(std::log(61)).epsilon(0.05));
  CHECK(at("train/cv_importance_loss") < 0.2);
  auto noisy = config_of(dir, [](auto& m) { m.router_noise = core::RouterNoise::learned, m.cv_load_coeff = 0.1; });
  noisy.train.max_steps = 1;
  train(noisy, dir, "noisy");
  CHECK(last(dir, "noisy", "train/cv_load_loss") < 0.2);
}

TEST_CASE("stopped and resumed, every method ends with the bits of an uninterrupted run") {
  const TemporaryDirectory dir;
  int n = 0;
  for (const auto& [method, change] : methods()) {
    CAPTURE(method);
    auto config = config_of(dir, change);
    config.train.max_steps = 7;
    config.train.eval_interval = 4;
    config.train.log_interval = 1;
    const std::string whole_name = "whole_" + std::to_string(n), parts_name = "parts_" + std::to_string(n);
    ++n;
    const Outcome whole = train(config, dir, whole_name);
    int attempt = 1;
    Outcome parts = train(config, dir, parts_name, attempt, 5);
    REQUIRE(parts.end == TrainingEnd::preempted);
    while (parts.end == TrainingEnd::preempted) parts = train(config, dir, parts_name, ++attempt, 7);
    CHECK(attempt > 2);
    CHECK(parts.losses == whole.losses);
    const auto bytes = [&](const std::string& name) {
      return test::read_file(dir.path() / name / "checkpoints/step_00000007/model.safetensors");
    };
    const bool same_bytes = !bytes(whole_name).empty() && bytes(whole_name) == bytes(parts_name);
    CHECK(same_bytes);
  }
}

TEST_CASE("a collapsed run warns at every look and ends as pruned with a checkpoint and an evaluation; a healthy one goes on") {
  const TemporaryDirectory dir;
  auto config = config_of(dir, [](auto& m) { m.num_active_experts = 1; });
  config.train.max_steps = 30;
  config.early_stop.collapse = true;
  config.early_stop.collapse_interval = 4;
  config.early_stop.collapse_patience = 3;
  config.early_stop.collapse_load = 0.2;  // below an even share of 1/4: every look is collapsed
  const Outcome pruned = train(config, dir, "pruned");
  CHECK(pruned.end == TrainingEnd::pruned);
  CHECK(pruned.losses.size() == 12);
  std::vector<std::int64_t> looks;
  for (const auto& event : events_of(dir.path() / "pruned", EventType::alert)) {
    if (event.payload["code"] == "collapse") looks.push_back(event.step);
  }
  CHECK(looks == std::vector<std::int64_t>{4, 8, 12});
  CHECK(events_of(dir.path() / "pruned", EventType::eval).back().step == 12);
  CHECK(events_of(dir.path() / "pruned", EventType::checkpoint).back().step == 12);
  // Stopped between two looks, the count goes on; resumed after its end, it trains no further step.
  Outcome parts = train(config, dir, "parts", 1, 13);
  REQUIRE(parts.end == TrainingEnd::preempted);
  parts = train(config, dir, "parts", 2);
  CHECK(parts.end == TrainingEnd::pruned);
  CHECK(parts.losses == pruned.losses);
  CHECK(train(config, dir, "parts", 3).losses.size() == 12);

  config.early_stop.collapse_load = 0.95;
  CHECK(train(config, dir, "healthy").end == TrainingEnd::completed);
}

}  // namespace moelab::worker
