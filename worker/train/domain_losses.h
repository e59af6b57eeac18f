// Owns the mean loss of each domain over some batches: of a logged training step, or of an evaluation. Called by the trainer
// and by evaluation.
// Shapes: B sequences, T = B * L positions, D domains.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "worker/data/batcher.h"

namespace moelab::worker {

class DomainLosses {
 public:
  // domains: of the blocks that the batches are made of; may be empty, and then there is nothing to tell.
  explicit DomainLosses(std::vector<std::string> domains);

  // nll_T: BatchLoss::nll_T of the batch. Does not wait for the device.
  void add(const Batch& batch, const torch::Tensor& nll_T);
  void reset();
  // Mean negative log-likelihood of a target, nats, summed in fp64, by name of the domain. Domains without a batch are absent.
  std::map<std::string, double> means() const;

 private:
  std::vector<std::string> domains_;
  std::vector<std::int64_t> targets_;
  torch::Tensor sum_D_;  // fp64, on the device; undefined before the first batch
};

}  // namespace moelab::worker
