#include "core/micro_batch.h"

#include "core/error.h"

namespace moelab::core {
namespace {

bool divides(const TrainConfig& train, std::int64_t divisor) {
  return divisor > 0 && divisor <= train.batch_size / train.grad_accum && train.batch_size % (train.grad_accum * divisor) == 0;
}

}  // namespace

std::optional<std::int64_t> next_micro_batch_divisor(const RunConfig& config, std::int64_t present) {
  const std::int64_t next = 2 * present;
  return divides(config.train, next) ? std::optional(next) : std::nullopt;
}

std::int64_t micro_batch_divisor(const nlohmann::json& run, const RunConfig& config, const std::string& source) {
  const auto found = run.find("micro_batch_divisor");
  if (found == run.end()) return 1;
  const std::int64_t divisor = found->is_number_integer() ? found->get<std::int64_t>() : 0;
  if (divisor < 1 || (divisor & (divisor - 1)) != 0) {
    throw Error(ErrorKind::config, source + ": micro_batch_divisor: " + found->dump() + " is no power of two; remove it or set it to 1");
  }
  if (!divides(config.train, divisor)) {
    throw Error(ErrorKind::config, source + ": micro_batch_divisor: train.batch_size " + std::to_string(config.train.batch_size) +
                                       " cannot be cut into train.grad_accum * " + std::to_string(divisor) + " = " +
                                       std::to_string(config.train.grad_accum * divisor) + " equal micro-batches; lower it");
  }
  return divisor;
}

std::vector<std::string> knobs_by_micro_batch(const RunConfig& config) {
  const MoeConfig& moe = config.moe;
  std::vector<std::string> knobs;
  const auto add = [&](bool acts, const char* knob) {
    if (acts) knobs.emplace_back(knob);
  };
  add(config.model.attention_dropout > 0, "model.attention_dropout");
  if (moe.num_experts <= 1) return knobs;
  add(moe.routing == Routing::base || moe.routing == Routing::sinkhorn || moe.routing == Routing::reinforce, "moe.routing");
  add(moe.routing == Routing::random && moe.random_mode == RandomMode::fresh, "moe.random_mode");
  add(moe.routing == Routing::expert_choice && moe.ec_scope == ChoiceScope::batch, "moe.ec_scope");
  add(moe.router_noise != RouterNoise::none, "moe.router_noise");
  add(moe.lb_coeff > 0, "moe.lb_coeff");
  add(moe.device_coeff > 0, "moe.device_coeff");
  add(moe.comm_coeff > 0, "moe.comm_coeff");
  add(moe.cv_importance_coeff > 0, "moe.cv_importance_coeff");
  add(moe.cv_load_coeff > 0, "moe.cv_load_coeff");
  add(moe.capacity_factor > 0, "moe.capacity_factor");
  add(moe.eval_capacity_factor > 0, "moe.eval_capacity_factor");
  return knobs;
}

}  // namespace moelab::core
