// Owns turning a Moedl model into a Transformers one: which architecture represents it exactly, its config.json and its
// tensors. Called by the export command. The inverse of hf_import.
//   LlamaForCausalLM     dense
//   MixtralForCausalLM   softmax scores, weights that sum to 1 (K = 1: any gate that is 1), every layer MoE
//   Qwen2MoeForCausalLM  softmax scores, any weights, any layers MoE
//   OlmoeForCausalLM     softmax scores, any weights, every layer MoE, qk_norm full
//   Qwen3MoeForCausalLM  softmax scores, any weights, any layers MoE, qk_norm head; or dense with qk_norm head
//   Glm4MoeForCausalLM   sigmoid scores with an expert bias, shared experts, groups; the first layers may be dense
// It is the model as it computes outside training (inference_form.h): REINFORCE, BASE, Sinkhorn and the causal form of expert choice are
// token choice there, router noise and multi-token prediction are dropped. A model that none of them can represent is refused: a silently
// different model is the worst outcome.
#pragma once

#include <string>

#include "core/config.h"
#include "worker/interop/hf_layout.h"
#include "worker/interop/safetensors.h"

namespace moelab::worker {

struct ExportedModel {
  HfArchitecture architecture = HfArchitecture::llama;
  std::string config;  // text of config.json
  TensorMap tensors;   // views of the weights where the layouts allow
};

// `weights` under the names of worker/model/language_model.h. With softmax scores moe.routed_scaling_factor is multiplied
// into the experts' down projections, the only weights that change. Throws Error(config) with the reason when no
// architecture fits, and Error(storage) when the weights are not those of `config`; `source` names the model in both.
ExportedModel export_transformers(const core::RunConfig& config, const TensorMap& weights, const std::string& source);

}  // namespace moelab::worker
