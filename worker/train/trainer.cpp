#include "worker/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "worker/interop/weights.h"
#include "worker/optim/freeze.h"
#include "worker/train/evaluation.h"
#include "worker/train/log.h"
#include "worker/train/provenance.h"

namespace moelab::worker {
namespace {

static_assert(kNoTarget == kIgnoredTarget, "the batcher and the model must agree on the mark of a missing target");

using core::EventType;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

nlohmann::json to_values(const std::map<std::string, double>& values) {
  return {{"values", values}};
}

constexpr const char* kBiasCalls = "bias_controller.calls";
constexpr const char* kBiasCounts = "bias_controller.counts_LE";
constexpr const char* kRewardBaseline = "reward_baseline";
constexpr const char* kCollapse = "collapse_watch.in_a_row";
constexpr const char* kHealth = "health_watch.";
constexpr const char* kMeter = "load_meter.";
constexpr const char* kRng = "rng.";

// Generators of every kind of device that computes here.
std::vector<std::pair<std::string, at::Generator>> generators(const torch::Device& device) {
  std::vector<std::pair<std::string, at::Generator>> found{{"cpu", at::globalContext().defaultGenerator(at::kCPU)}};
  if (!device.is_cpu()) found.emplace_back("device", at::globalContext().defaultGenerator(device));
  return found;
}

std::vector<std::int64_t> moe_layers_of(const core::ModelShape& shape) {
  std::vector<std::int64_t> layers;
  for (std::size_t i = 0; i < shape.moe_layer.size(); ++i) {
    if (shape.moe_layer[i]) layers.push_back(static_cast<std::int64_t>(i));
  }
  return layers;
}

const torch::Tensor& required(const TensorMap& tensors, const std::string& name) {
  const auto it = tensors.find(name);
  if (it == tensors.end()) throw core::Error(core::ErrorKind::storage, "the checkpoint has no " + name + "; resume from another one");
  return it->second;
}

// The optimiser takes the parameters that are left.
TrainerParts with_frozen(TrainerParts parts) {
  freeze(parts.model, parts.config.train);
  return parts;
}

}  // namespace

std::int64_t planned_steps(const core::TrainConfig& train, std::int64_t blocks) {
  if (train.max_steps) return *train.max_steps;
  const double steps = train.epochs * static_cast<double>(blocks) / static_cast<double>(train.batch_size);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(steps)));
}

Trainer::Trainer(TrainerParts parts)
    : parts_(with_frozen(std::move(parts))),
      train_(parts_.config.train),
      device_(parts_.model.parameters().front().device()),
      max_steps_(planned_steps(train_, parts_.train.size())),
      micro_batches_(train_.grad_accum * parts_.micro_batch_divisor),
      optimizer_(parts_.model, train_),
      schedule_(train_, max_steps_),
      bias_controller_(parts_.config.moe, parts_.model.expert_biases()),
      collapse_(parts_.config.early_stop, moe_layers_of(parts_.model.shape())),
      health_(parts_.config.moe, moe_layers_of(parts_.model.shape())),
      meter_(parts_.model.shape()),
      domain_losses_(parts_.train.domains()),
      step_meter_(parts_.model.shape()),
      batcher_(parts_.train, parts_.config.data.shuffle, static_cast<std::uint64_t>(parts_.config.data.seed)),
      validation_(parts_.val, false, 0),
      moe_layers_(moe_layers_of(parts_.model.shape())) {
  const auto parameters = parts_.model.named_parameters();
  for (const std::int64_t number : moe_layers_) {
    if (const auto* router = parameters.find("layers." + std::to_string(number) + ".moe.router.weight"))
      routers_.emplace_back(number, *router);
  }
}

std::int64_t Trainer::tokens_per_step() const {
  return train_.batch_size * parts_.config.data.block_size;
}

std::map<std::string, double> Trainer::last_values() const {
  std::map<std::string, double> values = metrics_;
  values.insert(eval_.begin(), eval_.end());
  return values;
}

bool Trainer::logs_now(std::int64_t step) const {
  return step == 1 || step % train_.log_interval == 0 || step == max_steps_;
}

bool Trainer::records_load_now(std::int64_t step) const {
  return !moe_layers_.empty() && (step == 1 || step % train_.expert_load_interval == 0 || step == max_steps_);
}

TrainingEnd Trainer::run() {
  parts_.model.train();
  // A run stopped during an evaluation was saved before it: the evaluation comes first.
  bool going = step_ == 0 || evaluate_if_due();
  while (going && step_ < max_steps_ && pruned_by_.empty() && !asked_to_stop()) {
    if (!train_step()) break;
    if (non_finite_steps_ >= kNonFiniteSteps) return TrainingEnd::diverged;
    going = evaluate_if_due();
    if (going && step_ % train_.save_interval == 0 && step_ < max_steps_ && pruned_by_.empty()) save(/*must=*/false);
  }
  // Nothing done since the last checkpoint may be lost: neither steps nor an evaluation made up for after a resume.
  if (saved_step_ < step_ || (evaluated_step_ == step_ && !saved_evaluated_)) save(/*must=*/true);
  if (going && !pruned_by_.empty()) return TrainingEnd::pruned;
  if (!going || step_ < max_steps_) return TrainingEnd::preempted;
  // A run may diverge in its very last steps: a result that is not a number is a failure, not a result.
  const auto final_loss = eval_.find("eval/loss");
  const bool finite = non_finite_steps_ == 0 && (final_loss == eval_.end() || std::isfinite(final_loss->second));
  return finite ? TrainingEnd::completed : TrainingEnd::diverged;
}

bool Trainer::train_step() {
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t position = batcher_.position();
  const std::int64_t sequences = train_.batch_size / micro_batches_;
  LossOptions options{.ce_scale = 1.0 / static_cast<double>(train_.batch_size * batcher_.blocks().targets_per_block()),
                      .aux_scale = 1.0 / static_cast<double>(micro_batches_),
                      .position = {.step = step_, .max_steps = max_steps_},
                      .reward_baseline = reward_baseline_.value()};
  const bool logs = logs_now(step_ + 1), records_load = records_load_now(step_ + 1), looks = collapse_.looks_after(step_ + 1);
  const torch::Tensor counts_LE = bias_controller_.counts_LE().defined() ? bias_controller_.counts_LE().clone() : torch::Tensor();

  domain_losses_.reset();
  torch::Tensor ce_sum, reward;
  std::map<std::string, torch::Tensor> aux;
  const auto add = [](torch::Tensor& sum, const torch::Tensor& term) {
    if (term.defined()) sum = sum.defined() ? sum + term : term;
  };
  for (std::int64_t micro = 0; micro < micro_batches_; ++micro) {
    if (micro > 0 && asked_to_stop()) {
      optimizer_.zero_grad();
      batcher_.seek(position);
      bias_controller_.restore(counts_LE, bias_controller_.calls());
      return false;
    }
    const Batch batch = batcher_.next(sequences);
    options.position.micro_batch = micro;
    const BatchLoss loss = parts_.model.loss(batch.ids_BL.to(device_), batch.targets_BL.to(device_), options);
    loss.total.backward();
    add(ce_sum, loss.ce_sum);
    add(reward, loss.mean_reward);
    for (const auto& [name, value] : loss.aux) add(aux[name], value);
    if (!train_.freeze_router) bias_controller_.add(loss.routes);
    if (logs) meter_.add(loss.routes);
    if (logs) domain_losses_.add(batch, loss.nll_T);
    if (records_load || looks) step_meter_.add(loss.routes);
  }

  StepResult result;
  result.lr = schedule_.lr(step_);
  result.grad_norm = optimizer_.gradient_norm();
  optimizer_.step(result.lr, result.grad_norm);
  optimizer_.zero_grad();
  if (!train_.freeze_router) bias_controller_.step();
  result.loss = ce_sum.item<double>() * options.ce_scale;
  ++step_;
  ++steps_since_log_;
  seconds_since_log_ += seconds_since(start);

  const auto mean = [&](const torch::Tensor& sum) { return sum.item<double>() / static_cast<double>(micro_batches_); };
  if (reward.defined()) reward_baseline_.add(mean(reward));
  if (logs) {
    for (const auto& [name, sum] : aux) result.aux[name] = mean(sum);
  }
  watch_for_divergence(result);
  if (logs) record_step(result);
  if (looks) watch_for_collapse(step_meter_.counts_LKE().sum(1));
  if (records_load) record_expert_load();
  step_meter_.reset();
  return true;
}

void Trainer::watch_for_divergence(const StepResult& result) {
  if (std::isfinite(result.loss) && std::isfinite(result.grad_norm)) {
    non_finite_steps_ = 0;
    return;
  }
  ++non_finite_steps_;
  const std::string message = "step " + std::to_string(step_) + ": loss " + std::to_string(result.loss) + ", gradient norm " +
                              std::to_string(result.grad_norm) + "; lower train.lr or raise train.warmup_steps if it goes on";
  log_warning("%s", message.c_str());
  if (non_finite_steps_ == 1) parts_.events.emit(EventType::alert, step_, {{"code", "non_finite_loss"}, {"message", message}});
}

void Trainer::prune(const std::string& rule, const std::string& message) {
  pruned_by_ = rule;
  pruned_because_ = message;
}

void Trainer::watch_for_collapse(const torch::Tensor& counts_LE) {
  const auto look = collapse_.look(counts_LE);
  if (look.in_a_row == 0) return;
  char message[256];
  std::snprintf(message, sizeof message, "step %lld: layer %lld sends %.1f%% of its assignments to expert %lld, look %lld of %lld",
                static_cast<long long>(step_), static_cast<long long>(look.layer), 100 * look.share, static_cast<long long>(look.expert),
                static_cast<long long>(look.in_a_row), static_cast<long long>(parts_.config.early_stop.collapse_patience));
  log_warning("%s", message);
  parts_.events.emit(EventType::alert, step_, {{"code", "collapse"}, {"message", message}});
  if (look.stop) prune("collapse", message);
}

void Trainer::watch_health(const std::map<std::string, double>& values) {
  const auto alerts = health_.observe(step_, values, moe_layers_.empty() ? torch::Tensor() : meter_.counts_LKE().sum(1));
  for (const auto& [code, message] : alerts) {
    log_warning("%s", message.c_str());
    parts_.events.emit(EventType::alert, step_, {{"code", code}, {"message", message}});
    if (parts_.config.early_stop.alerts && pruned_by_.empty()) prune("alert", code + ": " + message);
  }
}

std::map<std::string, double> Trainer::step_metrics(const StepResult& result) const {
  const core::MoeConfig& moe = parts_.config.moe;
  std::map<std::string, double> values = meter_.metrics();
  values["train/loss"] = result.loss;
  for (const auto& [domain, loss] : domain_losses_.means()) values["train/loss_" + domain] = loss;
  values["train/lr"] = result.lr;
  values["train/grad_norm"] = result.grad_norm;
  values["train/epoch"] = batcher_.epoch();
  values["num_input_tokens_seen"] = static_cast<double>(step_ * tokens_per_step());
  values["perf/tokens_per_sec"] = static_cast<double>(steps_since_log_ * tokens_per_step()) / seconds_since_log_;
  values["perf/step_ms"] = seconds_since_log_ / static_cast<double>(steps_since_log_) * 1e3;
  values["perf/peak_memory_mb"] = peak_memory_mb(device_);
  for (const auto& [name, value] : result.aux) values["train/" + name] = value;
  if (records_load_now(step_)) add_expert_metrics(values);
  if (routers_.empty()) return values;
  if (moe.lb_gamma > 0) values["train/lb_bias_dbg"] = bias_controller_.bias_abs_sum();
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (const auto& [layer, weight_ED] : routers_) {
    const double norm = weight_ED.norm().item<double>();
    values["router/layer_" + std::to_string(layer) + "_wr_norm"] = norm;
    sum += norm;
  }
  values["router/wr_norm"] = sum / static_cast<double>(routers_.size());
  return values;
}

// A value for every expert of every layer: too many for each logged step.
void Trainer::add_expert_metrics(std::map<std::string, double>& values) const {
  const torch::Tensor counts_LE = meter_.counts_LKE().sum(1);
  const torch::Tensor share_LE = (counts_LE.to(torch::kFloat64) / counts_LE.sum(1, /*keepdim=*/true)).contiguous();
  const auto biases = parts_.model.expert_biases();  // empty, or one of every MoE layer
  for (std::size_t i = 0; i < moe_layers_.size(); ++i) {
    const std::string prefix = "router/layer_" + std::to_string(moe_layers_[i]);
    const double* share = share_LE.const_data_ptr<double>() + static_cast<std::int64_t>(i) * share_LE.size(1);
    const torch::Tensor bias_E = biases.empty() ? torch::Tensor() : biases[i].to(torch::kCPU, torch::kFloat64).contiguous();
    for (std::int64_t e = 0; e < share_LE.size(1); ++e) {
      values[prefix + "_expert_" + std::to_string(e) + "_frac"] = share[e];
      if (!bias_E.defined()) continue;
      char number[40];
      std::snprintf(number, sizeof number, "_bias_e%03lld", static_cast<long long>(e));
      values[prefix + number] = bias_E.const_data_ptr<double>()[e];
    }
  }
}

void Trainer::record_step(const StepResult& result) {
  metrics_ = step_metrics(result);
  watch_health(metrics_);
  meter_.reset();
  seconds_since_log_ = 0;
  steps_since_log_ = 0;
  parts_.events.emit(EventType::metrics, step_, to_values(metrics_));
  if (seconds_since(last_line_) < 1 && step_ != max_steps_) return;
  last_line_ = std::chrono::steady_clock::now();
  log_info("step %lld/%lld  loss %.4f  lr %.2e  grad norm %.3f  %.0f tokens/s", static_cast<long long>(step_),
           static_cast<long long>(max_steps_), result.loss, result.lr, result.grad_norm, metrics_.at("perf/tokens_per_sec"));
}

void Trainer::record_expert_load() {
  const torch::Tensor counts_LKE = step_meter_.counts_LKE().contiguous();
  const auto* data = counts_LKE.const_data_ptr<std::int64_t>();
  parts_.events.emit(EventType::expert_load, step_,
                     {{"layers", moe_layers_},
                      {"slots", counts_LKE.size(1)},
                      {"experts", counts_LKE.size(2)},
                      {"counts", std::vector<std::int64_t>(data, data + counts_LKE.numel())}});
}

bool Trainer::evaluate_if_due() {
  if (evaluated_step_ == step_ || !every(train_.eval_interval)) return true;
  const auto evaluation = evaluate(parts_.model, validation_, train_.batch_size / micro_batches_, [this] { return asked_to_stop(); });
  if (!evaluation) return false;
  eval_ = evaluation->values;
  evaluated_step_ = step_;
  parts_.events.emit(EventType::eval, step_, to_values(eval_));
  if (step_ == max_steps_ && parts_.last_evaluation) parts_.last_evaluation(step_, evaluation->domains);
  log_info("step %lld/%lld  eval loss %.4f  perplexity %.2f", static_cast<long long>(step_), static_cast<long long>(max_steps_),
           eval_.at("eval/loss"), eval_.at("eval/perplexity"));
  return true;
}

TrainingState Trainer::state() const {
  TrainingState state;
  state.step = step_;
  state.data_position = batcher_.position();
  state.evaluated_step = evaluated_step_;
  state.non_finite_steps = non_finite_steps_;
  state.pruned_by = pruned_by_;
  state.pruned_because = pruned_because_;
  state.metrics = metrics_;
  state.eval = eval_;
  for (const auto& [name, tensor] : optimizer_.state()) state.tensors[name] = tensor;
  state.counters[kBiasCalls] = bias_controller_.calls();
  state.counters[kCollapse] = collapse_.in_a_row();
  for (const auto& [name, tensor] : health_.state()) state.tensors[kHealth + name] = tensor;
  if (bias_controller_.counts_LE().defined()) state.tensors[kBiasCounts] = bias_controller_.counts_LE();
  if (reward_baseline_.value()) state.tensors[kRewardBaseline] = torch::tensor({*reward_baseline_.value()}, torch::kFloat64);
  for (const auto& [name, tensor] : meter_.state()) state.tensors[kMeter + name] = tensor;
  for (const auto& [name, generator] : generators(device_)) state.tensors[kRng + name] = generator.get_state();
  return state;
}

bool Trainer::asked_to_stop() const {
  if (parts_.work_done) parts_.work_done();
  return parts_.stop_requested();
}

// The disk may have room again at the next interval: what was trained since the last checkpoint is worth more than this one.
// A cause is said once until one succeeds: a disk that stays full must not fill the journal and the log of a fast run.
void Trainer::leave_out_checkpoint(const char* code, const std::string& message) {
  if (std::exchange(left_out_because_, code) == code) return;
  const std::string text = "step " + std::to_string(step_) + ": no checkpoint: " + message + "; training goes on";
  log_warning("%s", text.c_str());
  parts_.events.emit(EventType::alert, step_, {{"code", code}, {"message", text}});
}

void Trainer::save(bool must) {
  if (step_ == 0 || non_finite_steps_ > 0) return;  // weights that hold NaN are nothing to go on from
  parts_.events.sync();                             // the journal never knows less than a checkpoint
  const TensorMap weights = model_tensors(parts_.model);
  const TrainingState reached = state();
  if (const std::string shortage = parts_.checkpoints.why_no_room(weights, reached, parts_.tokenizer); !shortage.empty()) {
    if (must) {
      throw core::Error(core::ErrorKind::storage, "step " + std::to_string(step_) + " cannot be saved: " + shortage +
                                                      ", then retry the run: it goes on from step " + std::to_string(saved_step_));
    }
    return leave_out_checkpoint("disk_low", shortage);
  }
  CheckpointStore::Saved saved;
  try {
    saved = parts_.checkpoints.save(parts_.config, weights, reached, parts_.tokenizer);
  } catch (const core::Error& error) {
    if (must) throw;
    return leave_out_checkpoint("checkpoint_failed", error.what());
  }
  left_out_because_.clear();
  saved_step_ = step_;
  saved_evaluated_ = evaluated_step_ == step_;
  const std::string path = "checkpoints/" + saved.directory.filename().string();
  parts_.events.emit(EventType::checkpoint, step_, {{"path", path}, {"best", saved.best}});
  parts_.events.sync();
}

void Trainer::resume(const Checkpoint& checkpoint) {
  const TrainingState& state = checkpoint.state;
  load_weights(parts_.model, checkpoint.weights, checkpoint.directory.string());
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : optimizer_.state()) tensor.copy_(required(state.tensors, name));
  }
  if (bias_controller_.counts_LE().defined()) {
    bias_controller_.restore(required(state.tensors, kBiasCounts), state.counters.at(kBiasCalls));
  }
  if (const auto baseline = state.tensors.find(kRewardBaseline); baseline != state.tensors.end()) {
    reward_baseline_.restore(baseline->second.item<double>());
  }
  collapse_.restore(state.counters.at(kCollapse));
  std::map<std::string, torch::Tensor> health;
  for (const auto& [name, tensor] : health_.state()) health[name] = required(state.tensors, kHealth + name);
  health_.restore(health);
  std::map<std::string, torch::Tensor> meter;
  for (const auto& [name, tensor] : meter_.state()) meter[name] = required(state.tensors, kMeter + name);
  meter_.restore(meter);
  const bool saved_on_device = state.tensors.contains(std::string(kRng) + "device");
  for (auto& [name, generator] : generators(device_)) {
    if (name == "device" && !saved_on_device) continue;
    const std::lock_guard lock(generator.mutex());
    generator.set_state(required(state.tensors, kRng + name).clone());
  }
  device_kind_changed_ = saved_on_device == device_.is_cpu();
  batcher_.seek(state.data_position);
  step_ = saved_step_ = state.step;
  evaluated_step_ = state.evaluated_step;
  saved_evaluated_ = evaluated_step_ == step_;
  non_finite_steps_ = state.non_finite_steps;
  pruned_by_ = state.pruned_by;
  pruned_because_ = state.pruned_because;
  metrics_ = state.metrics;
  eval_ = state.eval;
}

}  // namespace moelab::worker
