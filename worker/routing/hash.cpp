// Owns hash routing: the experts of a token are a function of its id alone, by a fixed table for each layer; w = 1/K.
// Shapes: T tokens, V vocabulary, E experts, K choices.
#include "worker/routing/hash.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "worker/routing/router.h"
#include "worker/routing/top_k.h"

namespace moelab::worker {
namespace {

class Hash final : public Router {
 public:
  explicit Hash(const RouterParts& parts) : Router(parts, /*learned=*/false) {
    const bool balanced = moe_.hash_mode == core::HashMode::balanced;
    // A buffer, so that a checkpoint carries it: the corpus that a balanced table was made from may be gone.
    table_VK_ =
        register_buffer("table", balanced ? balanced_hash_table(torch::ones({shape_.vocab}, torch::kInt64), shape_.experts, shape_.active)
                                          : random_hash_table(shape_.vocab, shape_.experts, shape_.active, generator({})));
  }

  void set_token_frequency(const torch::Tensor& frequency_V) override {
    if (moe_.hash_mode != core::HashMode::balanced) return;
    const torch::NoGradGuard no_grad;
    table_VK_.copy_(balanced_hash_table(frequency_V, shape_.experts, shape_.active));
  }

  Route route(const torch::Tensor& x_TD, const RouterContext& context) override {
    const auto type = x_TD.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
    Route route;
    route.expert_TK = table_VK_.index_select(0, context.ids_T);
    route.weight_TK =
        torch::full_like(route.expert_TK, 1.0 / static_cast<double>(shape_.active), x_TD.options().dtype(type).requires_grad(false));
    route.count_KE = count_assignments(route.expert_TK, shape_.experts);
    limit_to_capacity(route, torch::zeros({x_TD.size(0), shape_.experts}, route.weight_TK.options()), context);
    return route;
  }

 private:
  torch::Tensor table_VK_;
};

}  // namespace

torch::Tensor random_hash_table(std::int64_t vocab, std::int64_t experts, std::int64_t active, at::Generator generator) {
  return select_top_k(torch::rand({vocab, experts}, std::move(generator), torch::kFloat64), active);
}

torch::Tensor balanced_hash_table(const torch::Tensor& frequency_V, std::int64_t experts, std::int64_t active) {
  const auto frequency = frequency_V.to(torch::kCPU, torch::kInt64).contiguous();
  const auto* count = frequency.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> id(static_cast<std::size_t>(frequency.numel()));
  std::iota(id.begin(), id.end(), 0);
  std::stable_sort(id.begin(), id.end(), [&](std::int64_t a, std::int64_t b) { return count[a] > count[b]; });
  auto table_VK = torch::empty({frequency.numel(), active}, torch::kInt64);
  auto* row = table_VK.mutable_data_ptr<std::int64_t>();
  std::vector<std::int64_t> load(static_cast<std::size_t>(experts), 0), lightest(static_cast<std::size_t>(experts));
  for (const auto token : id) {
    std::iota(lightest.begin(), lightest.end(), 0);
    std::partial_sort(lightest.begin(), lightest.begin() + active, lightest.end(), [&](std::int64_t a, std::int64_t b) {
      return std::pair(load[static_cast<std::size_t>(a)], a) < std::pair(load[static_cast<std::size_t>(b)], b);
    });
    for (std::int64_t k = 0; k < active; ++k) {
      const auto expert = lightest[static_cast<std::size_t>(k)];
      row[token * active + k] = expert;
      // An id that never occurs still weighs a little, so that such ids spread too.
      load[static_cast<std::size_t>(expert)] += std::max<std::int64_t>(count[token], 1);
    }
  }
  return table_VK;
}

std::shared_ptr<Router> make_hash(const RouterParts& parts) {
  return std::make_shared<Hash>(parts);
}

}  // namespace moelab::worker
