#include "worker/interop/weights.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/worker/interop/temp_dir.h"

namespace moelab::worker::test {
namespace {

core::RunConfig tiny(double lb_gamma = 0.01) {
  core::RunConfig config;
  config.model.vocab_size = 12;
  config.model.hidden_size = 8;
  config.model.num_hidden_layers = 2;
  config.model.num_attention_heads = 2;
  config.model.intermediate_size = 10;
  config.moe.num_experts = 3;
  config.moe.num_active_experts = 2;
  config.moe.skip_first_n_moe = 1;
  config.moe.score_fn = core::ScoreFn::sigmoid;
  config.moe.lb_gamma = lb_gamma;
  config.data.block_size = 16;
  return config;
}

TensorMap copy_of(const LanguageModel& model) {
  TensorMap copies;
  for (const auto& [name, tensor] : model_tensors(model)) copies[name] = tensor.clone();
  return copies;
}

bool same(const TensorMap& a, const TensorMap& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const auto& x, const auto& y) { return x.first == y.first && x.second.equal(y.second); });
}

std::string refusal(LanguageModel& model, const TensorMap& tensors) {
  const auto before = copy_of(model);
  try {
    load_weights(model, tensors, "the file");
  } catch (const core::Error& error) {
    CHECK((error.kind() == core::ErrorKind::config));
    CHECK(same(copy_of(model), before));  // nothing half-loaded
    return error.what();
  }
  return "not refused";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("weights travel through a file to another model bit for bit") {
  TempDir dir;
  auto config = tiny();
  LanguageModel origin(config);
  origin.expert_biases().front().copy_(torch::tensor({0.1f, -0.2f, 0.3f}));
  write_safetensors(dir / "w.safetensors", model_tensors(origin));
  config.seed = 99;
  LanguageModel other(config);
  REQUIRE_FALSE(same(model_tensors(other), model_tensors(origin)));
  load_weights(other, read_safetensors(dir / "w.safetensors").tensors, "w.safetensors");
  CHECK(same(model_tensors(other), model_tensors(origin)));
}

TEST_CASE("floating types are converted") {
  LanguageModel model(tiny());
  auto tensors = copy_of(model);
  for (auto& [name, tensor] : tensors) tensor = torch::full_like(tensor, 0.5).to(torch::kBFloat16);
  load_weights(model, tensors, "the file");
  for (const auto& [name, tensor] : model_tensors(model)) {
    CHECK((tensor.scalar_type() == torch::kFloat32));
    CHECK(tensor.eq(0.5).all().item<bool>());
  }
}

TEST_CASE("every missing, unknown or wrongly shaped tensor is listed, and nothing is loaded") {
  LanguageModel model(tiny());
  auto tensors = copy_of(model);
  for (auto& [name, tensor] : tensors) tensor.fill_(7);
  tensors.erase("norm.weight");
  tensors["layers.0.mlp.up.weight"] = torch::ones({10, 9});
  tensors["extra.weight"] = torch::ones({1});
  tensors["embed_tokens.weight"] = torch::ones({12, 8}, torch::kInt64);
  const auto message = refusal(model, tensors);
  CHECK(contains(message, "the file: norm.weight: is missing; the model needs [8]"));
  CHECK(contains(message, "layers.0.mlp.up.weight: has shape [10, 9], the model needs [10, 8]"));
  CHECK(contains(message, "extra.weight: has no place"));
  CHECK(contains(message, "embed_tokens.weight: has type Long"));
}

TEST_CASE("an absent expert bias and an all-zero one are the same model; a non-zero one needs a place") {
  const std::string bias = "layers.1.moe.router.bias";
  LanguageModel with(tiny()), without(tiny(/*lb_gamma=*/0));
  auto tensors = copy_of(with);
  REQUIRE(tensors.contains(bias));
  REQUIRE_FALSE(model_tensors(without).contains(bias));
  CHECK_NOTHROW(load_weights(without, tensors, "the file"));
  tensors[bias].fill_(0.5);
  CHECK(contains(refusal(without, tensors), bias + ": is a non-zero expert bias, which needs moe.lb_gamma > 0"));
  load_weights(with, tensors, "the file");
  CHECK(model_tensors(with).at(bias).eq(0.5).all().item<bool>());
  tensors.erase(bias);
  load_weights(with, tensors, "the file");
  CHECK(model_tensors(with).at(bias).eq(0).all().item<bool>());
}

TEST_CASE("weights may start a run that computes the same function, and no other") {
  const auto origin = tiny();
  const auto between = [&](auto&& change_run, auto&& change_origin) {
    auto run = origin, other = origin;
    change_run(run);
    change_origin(other);
    try {
      check_same_function(run, other, "the file");
    } catch (const core::Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto differs = [&](auto&& change) { return between(change, [](auto&) {}); };
  CHECK(differs([](auto&) {}).empty());
  CHECK(differs([](auto& run) {
          run.seed = 5;
          run.train.lr = 1;
          run.moe.capacity_factor = 1.5;
          run.moe.lb_gamma = 0;
          run.moe.z_loss_coeff = 1;
          run.moe.norm_topk_prob = core::NormTopk::yes;  // what auto means for K = 2
        }).empty());
  CHECK(contains(differs([](auto& run) { run.model.rope_theta = 5e5; }), "model.rope_theta: is 500000.0 here but 10000.0 in the weights"));
  CHECK(contains(differs([](auto& run) { run.model.rms_norm_eps = 1e-5; }), "model.rms_norm_eps"));
  CHECK(contains(differs([](auto& run) { run.model.num_attention_heads = 1; }), "model.num_attention_heads"));
  CHECK(contains(differs([](auto& run) { run.moe.num_active_experts = 1; }), "moe.num_active_experts: is 1 here but 2"));
  CHECK(contains(differs([](auto& run) { run.moe.score_fn = core::ScoreFn::softmax; }), "moe.score_fn: is softmax here but sigmoid"));
  CHECK(contains(differs([](auto& run) { run.moe.norm_topk_prob = core::NormTopk::no; }), "moe.norm_topk_prob"));
  CHECK(contains(differs([](auto& run) { run.moe.routed_scaling_factor = 2; }), "moe.routed_scaling_factor"));
  CHECK(contains(differs([](auto& run) { run.model.qk_norm = core::QkNorm::head; }), "model.qk_norm: is head here but none"));
  CHECK(contains(differs([](auto& run) { run.moe.lb_bias_target = core::BiasTarget::logit; }), "lb_bias_target: is logit here but score"));
  const auto grouped = [](std::int64_t groups, std::int64_t kept, core::GroupScore score) {
    return [=](core::RunConfig& run) {
      run.moe.num_experts = 4;
      run.moe.n_group = groups;
      run.moe.topk_group = kept;
      run.moe.group_score = score;
    };
  };
  using enum core::GroupScore;
  CHECK(contains(between(grouped(2, 1, max), grouped(1, 1, max)), "moe.n_group: is 2 here but 1 in the weights"));
  CHECK(contains(between(grouped(4, 2, max), grouped(4, 3, max)), "moe.topk_group: is 2 here but 3"));
  CHECK(contains(between(grouped(2, 1, max), grouped(2, 1, top2sum)), "moe.group_score: is max here but top2sum"));
  CHECK(between(grouped(2, 2, max), grouped(4, 4, top2sum)).empty());  // nothing is limited
  const auto no_bias = [](core::RunConfig& run) { run.moe.lb_gamma = 0, run.moe.lb_bias_target = core::BiasTarget::logit; };
  CHECK(differs(no_bias).empty());
  const auto two = differs([](auto& run) {
    run.model.rope_theta = 1;
    run.model.rms_norm_eps = 1;
  });
  CHECK(contains(two, "rope_theta"));
  CHECK(contains(two, "rms_norm_eps"));
}

}  // namespace moelab::worker::test
