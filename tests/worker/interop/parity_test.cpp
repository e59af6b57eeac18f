// Moedl against Transformers from the same weights: logits, losses, every gradient, twenty AdamW steps. The golden files hold
// what Transformers computed (tests/golden/make_golden.py). Tolerances are fp32 rounding at these sizes.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/config_check.h"
#include "worker/balance/bias_controller.h"
#include "worker/interop/hf_import.h"
#include "worker/interop/weights.h"
#include "worker/model/language_model.h"
#include "worker/optim/adamw.h"

namespace moelab::worker {
namespace {

struct Golden {
  std::string name;
  ImportedModel model;
  TensorMap gradients;  // under Moedl's names
  Safetensors values;

  const torch::Tensor& at(const std::string& key) const { return values.tensors.at(key); }
  double setting(const std::string& key) const { return std::stod(values.metadata.at(key)); }
};

Golden golden(const std::string& name) {
  const auto root = std::filesystem::path(MOELAB_SOURCE_DIR) / "tests" / "golden";
  Golden g{.name = name, .model = import_transformers(root / (name == "mixtral_aux" ? "mixtral" : name)), .gradients = {}, .values = {}};
  g.gradients = import_transformers(root / name / "gradients").tensors;
  g.values = read_safetensors(root / name / "golden.safetensors");
  auto& moe = g.model.config.moe;
  if (name == "mixtral_aux") {
    // Transformers counts an assignment once per slot: its penalty is K times ours, over the pooled tokens of all layers.
    moe.lb_coeff = g.setting("aux_coefficient") * static_cast<double>(moe.num_active_experts);
    moe.lb_pool = core::LbPool::all_layers;
  }
  if (name.starts_with("glm4_moe")) {
    REQUIRE(moe.lb_gamma > 0);  // its biases are not zero
    moe.lb_gamma = g.setting("bias_gamma");
  }
  g.model.config.data.tokens = "golden.safetensors";  // the checker wants to know what a run trains on
  core::require_valid(g.model.config, name);
  return g;
}

std::unique_ptr<LanguageModel> model_of(const Golden& g) {
  auto model = std::make_unique<LanguageModel>(g.model.config);
  load_weights(*model, g.model.tensors, g.name);
  return model;
}

torch::Tensor targets_of(const torch::Tensor& ids_BL) {
  auto targets_BL = torch::full_like(ids_BL, kIgnoredTarget);
  const auto length = ids_BL.size(1);
  targets_BL.narrow(1, 0, length - 1).copy_(ids_BL.narrow(1, 1, length - 1));
  return targets_BL;
}

double worst_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

const std::string kTrained[] = {"llama", "mixtral", "mixtral_aux", "glm4_moe"};
const std::string kCases[] = {"llama",           "llama_tied",     "mixtral",        "mixtral_aux",     "mixtral_k1", "mixtral_k4",
                              "olmoe",           "olmoe_norm",     "qwen2_moe",      "qwen2_moe_k1",    "qwen3_moe",  "qwen3_moe_k4",
                              "qwen3_moe_dense", "glm4_moe_plain", "glm4_moe_norms", "glm4_moe_groups", "glm4_moe"};

}  // namespace

TEST_CASE("logits equal Transformers to 1e-5, the mean NLL to 1e-6") {
  for (const auto& name : kCases) {
    CAPTURE(name);
    const auto g = golden(name);
    const auto model = model_of(g);
    torch::NoGradGuard no_grad;
    model->eval();
    const auto logits = model->logits(g.at("ids"));
    CHECK(worst_difference(logits, g.at("logits")) < 1e-5);
    const auto loss = model->loss(g.at("ids"), targets_of(g.at("ids")), {});
    CHECK(loss.targets == g.at("ids").size(0) * (g.at("ids").size(1) - 1));
    const double mean_nll = loss.ce_sum.item<double>() / static_cast<double>(loss.targets);
    CHECK(std::abs(mean_nll - g.at("nll").item<double>()) < 1e-6);
  }
}

TEST_CASE("the whole training loss and every gradient equal Transformers to 1e-5") {
  for (const auto& name : kCases) {
    CAPTURE(name);
    const auto g = golden(name);
    const auto model = model_of(g);
    model->train();
    const auto loss = model->loss(g.at("ids"), targets_of(g.at("ids")), {});
    CHECK(std::abs(loss.total.item<double>() - g.at("loss").item<double>()) < 1e-5);
    loss.total.backward();
    for (const auto& parameter : model->named_parameters()) {
      CAPTURE(parameter.key());
      REQUIRE(parameter.value().grad().defined());
      CHECK(worst_difference(parameter.value().grad(), g.gradients.at(parameter.key())) < 1e-5);
    }
  }
}

TEST_CASE("twenty AdamW steps give Transformers' losses to 1e-5") {
  for (const auto& name : kTrained) {
    CAPTURE(name);
    const auto g = golden(name);
    const auto model = model_of(g);
    model->train();
    core::TrainConfig train;
    train.lr = g.setting("lr");
    train.grad_clip = g.setting("grad_clip");
    REQUIRE(g.at("train_ids").size(0) == 20);
    AdamW optimizer(*model, train);
    BiasController biases(g.model.config.moe, model->expert_biases());
    for (std::int64_t step = 0; step < g.at("train_ids").size(0); ++step) {
      CAPTURE(step);
      const auto ids = g.at("train_ids")[step];
      const auto loss = model->loss(ids, targets_of(ids), {});
      const double total = loss.total.item<double>(), mean_nll = loss.ce_sum.item<double>() / static_cast<double>(loss.targets);
      CHECK(total == doctest::Approx(g.at("train_losses")[step].item<double>()).epsilon(1e-5));
      CHECK(mean_nll == doctest::Approx(g.at("train_nll")[step].item<double>()).epsilon(1e-5));
      loss.total.backward();
      optimizer.step(train.lr, optimizer.gradient_norm());
      optimizer.zero_grad();
      biases.add(loss.routes);
      biases.step();
    }
    if (name == "glm4_moe") {
      REQUIRE(model->expert_biases().size() == 2);
      CHECK(worst_difference(torch::stack(model->expert_biases()), g.at("train_biases")) < 1e-6);
    }
  }
}

TEST_CASE("the golden models are not a trivial test: a small change shows") {
  const auto logits_with = [](const char* name, auto&& change) {
    auto g = golden(name);
    change(g);
    torch::NoGradGuard no_grad;
    return worst_difference(model_of(g)->logits(g.at("ids")), g.at("logits"));
  };
  CHECK(logits_with("llama", [](Golden& g) { g.model.config.model.rope_theta *= 2; }) > 1e-3);
  CHECK(logits_with("llama", [](Golden& g) { g.model.config.model.rms_norm_eps *= 100; }) > 2e-5);
  CHECK(logits_with("glm4_moe_groups", [](Golden& g) { g.model.config.moe.topk_group = g.model.config.moe.n_group; }) > 1e-3);
  CHECK(logits_with("glm4_moe_groups", [](Golden& g) { g.model.config.moe.group_score = core::GroupScore::max; }) > 1e-3);
  CHECK(logits_with("mixtral", [](Golden& g) { g.model.config.moe.num_active_experts = 1; }) > 1e-3);
  CHECK(logits_with("mixtral", [](Golden& g) { g.model.config.moe.norm_topk_prob = core::NormTopk::no; }) > 1e-3);
  CHECK(logits_with("glm4_moe", [](Golden& g) { g.model.config.moe.routed_scaling_factor = 1; }) > 1e-3);
  const auto no_norms = [](Golden& g) {
    g.model.config.model.qk_norm = core::QkNorm::none;
    std::erase_if(g.model.tensors, [](const auto& entry) { return entry.first.ends_with("_norm.weight"); });
  };
  for (const char* name : {"olmoe", "qwen3_moe", "qwen3_moe_dense", "glm4_moe_norms"}) CHECK(logits_with(name, no_norms) > 1e-3);
  const auto other_weights = [](Golden& g) {
    const bool sums = g.model.config.moe.norm_topk_prob == core::NormTopk::yes;
    g.model.config.moe.norm_topk_prob = sums ? core::NormTopk::no : core::NormTopk::yes;
  };
  for (const char* name : {"mixtral_k1", "mixtral_k4", "olmoe", "olmoe_norm", "qwen2_moe", "qwen2_moe_k1", "qwen3_moe", "qwen3_moe_k4",
                           "glm4_moe_plain", "glm4_moe_norms"}) {
    CAPTURE(name);
    CHECK(logits_with(name, other_weights) > 1e-3);
  }
  CHECK(logits_with("glm4_moe", [](Golden& g) {
          for (auto& [key, tensor] : g.model.tensors) {
            if (key.ends_with("router.bias")) tensor = torch::zeros_like(tensor);
          }
        }) > 1e-3);
}

}  // namespace moelab::worker
