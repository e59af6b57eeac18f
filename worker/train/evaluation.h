// Owns measuring a model on the whole validation set. Called by the trainer.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "worker/data/batcher.h"
#include "worker/model/language_model.h"
#include "worker/train/routing_shares.h"

namespace moelab::worker {

struct Evaluation {
  std::map<std::string, double> values;
  RoutingShares domains;  // where each domain's tokens went; empty without domains or MoE layers
};

// Every validation block once, in file order, in eval mode (eval capacity, frozen biases). Values:
//   eval/loss        true mean negative log-likelihood of a target, nats, summed in fp64
//   eval/loss_hf     eval/loss * (L - 1) / L: what Transformers up to 4.57 (and so moe-lab) reports, which divides the
//                    L - 1 targets of a block by its L labels
//   eval/perplexity  exp(eval/loss)
//   eval/loss_leaky  expert choice only: the same mean with experts choosing among the tokens of each batch, later ones included;
//                    eval/loss is that of its causal form
//   eval/{loss,ppl}_<domain>  the same over the blocks of a domain, and exp of it
//   eval/{lb_loss,z_loss}  before their coefficients, mean over batches weighted by their sequences; of routers with logits
//   eval/{maxvio,cv,dead,token_drop_ratio}  of the load over the whole set, MoE models only
// Returns nullopt when `stop` became true on the way. Leaves the model in training mode.
std::optional<Evaluation> evaluate(LanguageModel& model, const Batcher& validation, std::int64_t sequences_per_batch,
                                   const std::function<bool()>& stop);

}  // namespace moelab::worker
