#include "core/metric_catalog.h"

#include <cctype>
#include <optional>
#include <utility>

namespace moelab::core {
namespace {

using enum Direction;

// clang-format off: one line a metric
const std::vector<MetricInfo> kCatalog{
    {"train/loss", "nats", down, "Training loss", "loss", "Mean next-token cross-entropy of the step, auxiliary losses excluded"},
    {"eval/loss", "nats", down, "Evaluation loss", "loss", "Mean next-token cross-entropy over the whole validation set"},
    {"train/loss_{d}", "nats", down, "Training loss, {d}", "loss by domain",
     "Mean next-token cross-entropy of the step's blocks of this domain; absent from a step without one"},
    {"eval/loss_{d}", "nats", down, "Evaluation loss, {d}", "loss by domain",
     "Mean next-token cross-entropy over the validation blocks of this domain"},
    {"eval/ppl_{d}", "", down, "Evaluation perplexity, {d}", "loss by domain", "exp(eval/loss_{d})"},
    {"eval/loss_hf", "nats", down, "Evaluation loss, Transformers' mean", "loss",
     "eval/loss x (block - 1) / block: comparable with losses published by moe-lab"},
    {"eval/loss_leaky", "nats", down, "Evaluation loss, leaky", "loss",
     "Expert choice over whole batches, which looks at later tokens: what a causal model cannot reach"},
    {"eval/perplexity", "", down, "Evaluation perplexity", "loss", "exp(eval/loss)"},
    {"train/lb_loss", "", down, "Load-balancing penalty", "auxiliary",
     "Switch penalty of the step, before its coefficient; 1 = balanced, num_experts / K = collapsed"},
    {"eval/lb_loss", "", down, "Load-balancing penalty in evaluation", "auxiliary", "As train/lb_loss, over the validation set"},
    {"eval/z_loss", "", down, "Router z-loss in evaluation", "auxiliary", "As train/z_loss, over the validation set"},
    {"train/z_loss", "", down, "Router z-loss", "auxiliary", "Mean squared logsumexp of router logits, before its coefficient"},
    {"train/seq_aux_loss", "", down, "Sequence-wise balance loss", "auxiliary",
     "Balance within sequences, before its coefficient; 1 = balanced"},
    {"train/device_loss", "", down, "Device balance loss", "auxiliary",
     "Compute balance over expert groups, before its coefficient; 1 = balanced"},
    {"train/comm_loss", "", down, "Communication balance loss", "auxiliary",
     "Balance of tokens sent to expert groups, before its coefficient; 1 = balanced"},
    {"train/orth_loss", "", down, "Router orthogonality loss", "auxiliary",
     "Sum of |W W^T - I|, layer mean, before its coefficient; 0 = orthogonal"},
    {"train/cv_importance_loss", "", down, "Importance CV^2", "auxiliary",
     "CV^2 of the experts' summed combine weights, before its coefficient; 0 = balanced"},
    {"train/cv_load_loss", "", down, "Smoothed load CV^2", "auxiliary",
     "CV^2 of the experts' smoothed load, before its coefficient; 0 = balanced"},
    {"train/mtp_loss", "nats", down, "Multi-token prediction loss", "auxiliary",
     "Mean cross-entropy of the prediction modules, before its coefficient"},
    {"train/policy_loss", "", none, "Policy-gradient loss", "auxiliary",
     "REINFORCE: -mean of advantage x log-probability, before its coefficient"},
    {"train/lb_bias_dbg", "", none, "Size of the expert biases", "auxiliary", "Sum of |bias| over layers and experts"},
    {"train/lr", "", none, "Learning rate", "optimiser", "Learning rate of the step"},
    {"train/grad_norm", "", none, "Gradient norm", "optimiser", "Global norm before clipping"},
    {"train/epoch", "", none, "Epoch", "optimiser", "Passes over the training blocks so far"},
    {"num_input_tokens_seen", "tokens", none, "Tokens seen", "optimiser", "Training tokens consumed so far"},
    {"train/token_drop_ratio", "", down, "Dropped assignments, share", "capacity",
     "Assignments beyond an expert's capacity / all assignments of the step"},
    {"train/token_drop_count", "", down, "Dropped assignments", "capacity",
     "Assignments beyond an expert's capacity, summed over MoE layers and micro-batches"},
    {"eval/token_drop_ratio", "", down, "Dropped assignments in evaluation, share", "capacity",
     "As train/token_drop_ratio, over the validation set"},
    {"eval/maxvio", "", down, "MaxVio in evaluation", "balance", "Layer mean of max load / mean load - 1 over the whole validation set"},
    {"eval/cv", "", down, "Load variation in evaluation", "balance",
     "Layer mean of the load's standard deviation / mean over the whole validation set"},
    {"eval/dead", "experts", down, "Dead experts in evaluation", "balance",
     "Experts without a single assignment over the validation set, layer mean"},
    {"router/maxvio", "", down, "MaxVio", "balance", "Max load / mean load - 1, layer mean; 0 = perfect balance"},
    {"router/cv", "", down, "Load variation", "balance", "Standard deviation / mean of expert load, layer mean"},
    {"router/dead", "experts", down, "Dead experts", "balance", "Experts with no assignment over the last 100 logged steps, layer mean"},
    {"router/util_std", "", down, "Load standard deviation", "balance", "Sample standard deviation of load shares, layer mean"},
    {"router/entropy_per_token", "nats", none, "Router entropy per token", "router",
     "Mean entropy of a token's router distribution, layer mean"},
    {"router/entropy_distribution", "nats", up, "Entropy of the mean distribution", "router",
     "Entropy of the mean router distribution, layer mean; ln E = balanced"},
    {"router/entropy_distribution_normalized", "", up, "Normalised entropy of the mean distribution", "router",
     "router/entropy_distribution / ln E; 1 = balanced"},
    {"router/logit_rms", "", none, "Router logit RMS", "router", "Root mean square of router logits, layer mean"},
    {"router/logit_max", "", none, "Largest router logit", "router", "Largest |router logit|, layer mean"},
    {"router/wr_norm", "", none, "Router weight norm", "router", "Frobenius norm of the router matrix, layer mean"},
    {"router/zloss", "", down, "Router z-loss, unscaled", "router", "Mean squared logsumexp of router logits, layer mean"},
    {"router/layer_{l}_maxvio", "", down, "MaxVio, layer {l}", "balance by layer", "Max load / mean load - 1"},
    {"router/layer_{l}_cv", "", down, "Load variation, layer {l}", "balance by layer", "Standard deviation / mean of expert load"},
    {"router/layer_{l}_dead", "experts", down, "Dead experts, layer {l}", "balance by layer",
     "Experts with no assignment over the last 100 logged steps"},
    {"router/layer_{l}_util_std", "", down, "Load standard deviation, layer {l}", "balance by layer",
     "Sample standard deviation of load shares"},
    {"router/layer_{l}_entropy_per_token", "nats", none, "Router entropy per token, layer {l}", "router by layer",
     "Mean entropy of a token's router distribution"},
    {"router/layer_{l}_entropy_distribution", "nats", up, "Entropy of the mean distribution, layer {l}", "router by layer",
     "Entropy of the mean router distribution"},
    {"router/layer_{l}_logit_rms", "", none, "Router logit RMS, layer {l}", "router by layer", "Root mean square of router logits"},
    {"router/layer_{l}_logit_max", "", none, "Largest router logit, layer {l}", "router by layer", "Largest |router logit|"},
    {"router/layer_{l}_wr_norm", "", none, "Router weight norm, layer {l}", "router by layer", "Frobenius norm of the router matrix"},
    {"router/layer_{l}_zloss", "", down, "Router z-loss, layer {l}", "router by layer",
     "Mean squared logsumexp of router logits, unscaled"},
    {"train/moe/load/e{e}", "", none, "Load of expert {e}", "load",
     "Share of assignments before capacity drops, mean over layers and slots; sums to 1"},
    {"router/layer_{l}_expert_{e}_frac", "", none, "Load of expert {e}, layer {l}", "load by layer",
     "Share of the layer's assignments before capacity drops, at logged steps with an expert-load record"},
    {"router/layer_{l}_bias_e{e}", "", none, "Bias of expert {e}, layer {l}", "bias by layer",
     "Bias of the expert's selection score, at logged steps with an expert-load record"},
    {"perf/tokens_per_sec", "tokens/s", up, "Throughput", "speed", "Training tokens per second, evaluation and checkpoints excluded"},
    {"perf/step_ms", "ms", down, "Step time", "speed", "Wall time of one optimiser step"},
    {"perf/peak_memory_mb", "MB", down, "Peak memory", "speed", "Largest resident (CPU) or allocated (GPU) memory so far"},
};
// clang-format on

struct Places {
  std::string layer, expert, domain;
};

// Characters that may stand at `place` ('l', 'e' or 'd') of a pattern.
bool fits(char place, unsigned char c) {
  return std::isdigit(c) || (place == 'd' && (std::islower(c) || c == '_'));
}

// Matches `name` against a pattern whose {l} and {e} stand for one or more digits, {d} for the name of a domain.
std::optional<Places> match(std::string_view pattern, std::string_view name) {
  Places places;
  while (!pattern.empty()) {
    if (pattern.size() >= 3 && pattern[0] == '{' && pattern[2] == '}') {
      std::size_t length = 0;
      while (length < name.size() && fits(pattern[1], static_cast<unsigned char>(name[length]))) ++length;
      if (length == 0 || (pattern[1] == 'd' && std::isdigit(static_cast<unsigned char>(name[0])))) return std::nullopt;
      (pattern[1] == 'l' ? places.layer : pattern[1] == 'e' ? places.expert : places.domain) = std::string(name.substr(0, length));
      pattern.remove_prefix(3);
      name.remove_prefix(length);
    } else {
      if (name.empty() || name.front() != pattern.front()) return std::nullopt;
      pattern.remove_prefix(1);
      name.remove_prefix(1);
    }
  }
  return name.empty() ? std::optional(places) : std::nullopt;
}

std::string without_leading_zeros(const std::string& digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

}  // namespace

const std::vector<MetricInfo>& metric_catalog() {
  return kCatalog;
}

const MetricInfo* find_metric(std::string_view name) {
  // A name of its own goes before a pattern that fits it too: eval/loss_hf is no domain.
  for (const MetricInfo& info : kCatalog) {
    if (info.name == name) return &info;
  }
  for (const MetricInfo& info : kCatalog) {
    if (match(info.name, name)) return &info;
  }
  return nullptr;
}

bool is_per_part(std::string_view name) {
  const MetricInfo* info = find_metric(name);
  const auto has = [&](std::string_view place) { return info->name.find(place) != std::string_view::npos; };
  return info && (has("{l}") || has("{e}"));
}

std::string metric_title(std::string_view name) {
  const MetricInfo* info = find_metric(name);
  if (!info) return std::string(name);
  const Places places = *match(info->name, name);
  std::string title(info->title);
  const std::pair<std::string_view, std::string> found[] = {
      {"{l}", without_leading_zeros(places.layer)}, {"{e}", without_leading_zeros(places.expert)}, {"{d}", places.domain}};
  for (const auto& [mark, text] : found) {
    const std::size_t at = title.find(mark);
    if (at != std::string::npos) title.replace(at, mark.size(), text);
  }
  return title;
}

std::string to_string(Direction direction) {
  switch (direction) {
    case down:
      return "down";
    case up:
      return "up";
    case none:
      return "none";
  }
  return "none";
}

}  // namespace moelab::core
