#include "worker/train/domain_losses.h"

#include <utility>

namespace moelab::worker {

DomainLosses::DomainLosses(std::vector<std::string> domains) : domains_(std::move(domains)), targets_(domains_.size(), 0) {}

void DomainLosses::add(const Batch& batch, const torch::Tensor& nll_T) {
  if (domains_.empty()) return;
  const std::int64_t sequences = batch.domain_B.numel();
  const auto* domain = batch.domain_B.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < sequences; ++i) targets_[static_cast<std::size_t>(domain[i])] += batch.targets / sequences;
  // A product with a 0/1 matrix: unlike index_add, it adds in one order on every device.
  const auto domain_D1 = torch::arange(static_cast<std::int64_t>(domains_.size()), nll_T.options().dtype(torch::kInt64)).unsqueeze(1);
  const auto belongs_DB = (domain_D1 == batch.domain_B.to(nll_T.device()).unsqueeze(0)).to(torch::kFloat64);
  const auto sum_D = belongs_DB.mv(nll_T.to(torch::kFloat64).view({sequences, -1}).sum(1));
  sum_D_ = sum_D_.defined() ? sum_D_ + sum_D : sum_D;
}

void DomainLosses::reset() {
  targets_.assign(domains_.size(), 0);
  sum_D_ = torch::Tensor();
}

std::map<std::string, double> DomainLosses::means() const {
  std::map<std::string, double> means;
  if (!sum_D_.defined()) return means;
  const auto sums = sum_D_.cpu();
  for (std::size_t i = 0; i < domains_.size(); ++i) {
    if (targets_[i] > 0) means[domains_[i]] = sums.const_data_ptr<double>()[i] / static_cast<double>(targets_[i]);
  }
  return means;
}

}  // namespace moelab::worker
