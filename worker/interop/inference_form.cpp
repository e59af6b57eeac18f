#include "worker/interop/inference_form.h"

namespace moelab::worker {

core::RunConfig inference_form(core::RunConfig run) {
  auto& moe = run.moe;
  const auto token_choice = [&](core::ScoreFn score, core::Top1Gate gate) {
    moe.routing = core::Routing::token_choice;
    moe.score_fn = score;
    moe.norm_topk_prob = core::NormTopk::no;
    moe.top1_gate = gate;
  };
  const bool single = moe.num_active_experts == 1;
  switch (moe.routing) {
    case core::Routing::reinforce:
      token_choice(core::ScoreFn::softmax, core::Top1Gate::one);
      break;
    case core::Routing::base:
      token_choice(core::ScoreFn::sigmoid, core::Top1Gate::prob);
      break;
    case core::Routing::sinkhorn:
      token_choice(single ? core::ScoreFn::sigmoid : core::ScoreFn::softmax, core::Top1Gate::prob);
      break;
    case core::Routing::expert_choice:
      token_choice(core::ScoreFn::softmax, core::Top1Gate::prob);
      break;
    case core::Routing::token_choice:
    case core::Routing::hash:
    case core::Routing::random:
      break;
  }
  moe.router_noise = core::RouterNoise::none;
  moe.mtp_depth = 0;
  return run;
}

TensorMap inference_weights(TensorMap weights) {
  std::erase_if(weights, [](const auto& entry) { return entry.first.starts_with("mtp.") || entry.first.ends_with(".moe.router.noise"); });
  return weights;
}

}  // namespace moelab::worker
