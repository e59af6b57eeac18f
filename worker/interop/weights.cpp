#include "worker/interop/weights.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/field_io.h"
#include "core/model_shape.h"

namespace moelab::worker {
namespace {

constexpr std::string_view kBiasSuffix = ".moe.router.bias";

bool is_expert_bias(const std::string& name) {
  return name.ends_with(kBiasSuffix);
}

std::string shape_text(const torch::Tensor& tensor) {
  std::string text = "[";
  for (std::int64_t i = 0; i < tensor.dim(); ++i) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]";
}

// Values of two configurations as messages show them: numbers as JSON, names without quotes.
std::string value_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

TensorMap model_tensors(const LanguageModel& model) {
  TensorMap tensors;
  for (const auto& parameter : model.named_parameters()) tensors.emplace(parameter.key(), parameter.value().detach());
  for (const auto& buffer : model.named_buffers()) tensors.emplace(buffer.key(), buffer.value());
  return tensors;
}

void load_weights(LanguageModel& model, const TensorMap& tensors, const std::string& source) {
  torch::NoGradGuard no_grad;
  const auto own = model_tensors(model);
  std::vector<core::Problem> problems;
  for (const auto& [name, target] : own) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!is_expert_bias(name)) problems.push_back({name, 0, "is missing; the model needs " + shape_text(target)});
    } else if (found->second.sizes() != target.sizes()) {
      problems.push_back({name, 0, "has shape " + shape_text(found->second) + ", the model needs " + shape_text(target)});
    } else if (found->second.is_floating_point() != target.is_floating_point()) {
      problems.push_back({name, 0, std::string("has type ") + torch::toString(found->second.scalar_type()) + ", which are not weights"});
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (own.contains(name)) continue;
    if (!is_expert_bias(name)) {
      problems.push_back({name, 0, "has no place in the model; check that the model section of the run describes this file"});
    } else if (tensor.ne(0).any().item<bool>()) {
      problems.push_back({name, 0, "is a non-zero expert bias, which needs moe.lb_gamma > 0"});
    }
  }
  if (!problems.empty()) throw core::Error(core::ErrorKind::config, source, std::move(problems));
  for (auto& [name, target] : own) {
    const auto found = tensors.find(name);
    auto destination = target;  // same storage
    if (found == tensors.end()) {
      destination.zero_();
    } else {
      destination.copy_(found->second);
    }
  }
}

void check_same_function(const core::RunConfig& run, const core::RunConfig& origin, const std::string& source) {
  std::vector<core::Problem> problems;
  const auto same = [&](const char* key, const nlohmann::json& run_value, const nlohmann::json& origin_value) {
    if (run_value == origin_value) return;
    problems.push_back(
        {key, 0, "is " + value_text(run_value) + " here but " + value_text(origin_value) + " in the weights; set it to that"});
  };
  const auto same_field = [&](const char* key) { same(key, core::field_json(run, key), core::field_json(origin, key)); };
  const auto a = core::model_shape(run), b = core::model_shape(origin);
  same_field("model.rms_norm_eps");
  same_field("model.rope_theta");
  same("model.num_attention_heads", a.heads, b.heads);
  same("model.num_key_value_heads", a.kv_heads, b.kv_heads);
  same_field("model.qk_norm");
  same("moe.num_experts", a.experts, b.experts);
  if (a.experts > 1 && b.experts > 1) {
    same("moe.num_active_experts", a.active, b.active);
    same("moe.num_shared_experts", a.shared, b.shared);
    same_field("moe.routing");
    same_field("moe.routed_scaling_factor");
    const auto score = [](bool sigmoid) { return sigmoid ? "sigmoid" : "softmax"; };
    same("moe.score_fn", score(a.sigmoid_scores), score(b.sigmoid_scores));
    const bool constant_gate_a = a.active == 1 && run.moe.top1_gate != core::Top1Gate::prob;
    const bool constant_gate_b = b.active == 1 && origin.moe.top1_gate != core::Top1Gate::prob;
    // For K = 1 a normalised weight and the gates "one" and "ste" all are 1 in evaluation.
    same("moe.norm_topk_prob", a.normalize_topk || constant_gate_a, b.normalize_topk || constant_gate_b);
    // Groups of which every one is kept limit nothing.
    const bool limited_a = run.moe.topk_group < run.moe.n_group, limited_b = origin.moe.topk_group < origin.moe.n_group;
    if (limited_a || limited_b) {
      same_field("moe.n_group");
      same_field("moe.topk_group");
    }
    if (limited_a && limited_b) same_field("moe.group_score");
    // Without a controller on both sides there is no bias yet, or load_weights refuses it.
    if (a.bias_control && b.bias_control) same_field("moe.lb_bias_target");
  }
  if (!problems.empty()) throw core::Error(core::ErrorKind::config, source, std::move(problems));
}

}  // namespace moelab::worker
