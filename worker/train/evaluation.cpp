#include "worker/train/evaluation.h"

#include <cmath>
#include <utility>

#include "worker/balance/load_meter.h"
#include "worker/train/domain_losses.h"

namespace moelab::worker {

std::optional<Evaluation> evaluate(LanguageModel& model, const Batcher& validation, std::int64_t sequences_per_batch,
                                   const std::function<bool()>& stop) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = model.parameters().front().device();
  const std::vector<std::string>& domains = validation.blocks().domains();
  LoadMeter meter(model.shape());
  DomainLosses domain_losses(domains);
  RoutingShares domain_shares(domains, model.shape());
  torch::Tensor sum = torch::zeros({}, torch::dtype(torch::kFloat64).device(device));
  std::int64_t targets = 0;
  // Expert choice is evaluated twice: causally, and over whole batches as it is trained.
  const bool twice = model.config().moe.routing == core::Routing::expert_choice && model.shape().experts > 1;
  torch::Tensor leaky_sum = torch::zeros_like(sum);
  std::map<std::string, torch::Tensor> aux;  // times the sequences of each batch
  model.eval();
  for (std::int64_t first = 0; first < validation.blocks().size() && !stop(); first += sequences_per_batch) {
    const Batch batch = validation.in_order(first, sequences_per_batch);
    const auto ids_BL = batch.ids_BL.to(device), targets_BL = batch.targets_BL.to(device);
    const BatchLoss loss = model.loss(ids_BL, targets_BL, LossOptions{});
    if (twice) leaky_sum += model.loss(ids_BL, targets_BL, LossOptions{.leaky = true}).ce_sum;
    sum += loss.ce_sum;
    targets += loss.targets;
    meter.add(loss.routes);
    for (const char* name : {"lb_loss", "z_loss"}) {
      const auto value = loss.aux.find(name);
      if (value == loss.aux.end()) continue;
      const auto term = value->second.to(torch::kFloat64) * ids_BL.size(0);
      aux[name] = aux[name].defined() ? aux[name] + term : term;
    }
    if (domains.empty()) continue;
    domain_losses.add(batch, loss.nll_T);
    domain_shares.add(batch.domain_B.repeat_interleave(batch.ids_BL.size(1)), loss.routes, model.shape().active);
  }
  model.train();
  if (stop()) return std::nullopt;

  const double mean = sum.item<double>() / static_cast<double>(targets);
  const auto length = static_cast<double>(validation.blocks().block_size());
  std::map<std::string, double> values{
      {"eval/loss", mean}, {"eval/loss_hf", mean * (length - 1) / length}, {"eval/perplexity", std::exp(mean)}};
  if (twice) values["eval/loss_leaky"] = leaky_sum.item<double>() / static_cast<double>(targets);
  for (const auto& [name, total] : aux) values["eval/" + name] = total.item<double>() / static_cast<double>(validation.blocks().size());
  for (const auto& [domain, domain_mean] : domain_losses.means()) {
    values["eval/loss_" + domain] = domain_mean;
    values["eval/ppl_" + domain] = std::exp(domain_mean);
  }
  const std::map<std::string, double> load = meter.metrics();
  for (const auto& [from, to] : {std::pair("router/maxvio", "eval/maxvio"), std::pair("router/cv", "eval/cv"),
                                 std::pair("router/dead", "eval/dead"), std::pair("train/token_drop_ratio", "eval/token_drop_ratio")}) {
    if (const auto it = load.find(from); it != load.end()) values[to] = it->second;
  }
  return Evaluation{std::move(values), std::move(domain_shares)};
}

}  // namespace moelab::worker
