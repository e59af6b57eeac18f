#include "worker/routing/top_k.h"

#include <doctest/doctest.h>

#include <cmath>

namespace moelab::worker {

TEST_CASE("equal entries go to the lower index, NaN comes last") {
  const float nan = std::nanf("");
  const auto selection_TE =
      torch::tensor({{0.5f, 0.9f, 0.9f, 0.1f}, {0.0f, -0.0f, 0.0f, 0.0f}, {nan, 0.2f, nan, 0.1f}, {nan, nan, nan, nan}});
  const auto expected = torch::tensor({{1, 2, 0}, {0, 1, 2}, {1, 3, 0}, {0, 1, 2}}, torch::kInt64);
  CHECK(select_top_k(selection_TE, 3).equal(expected));
  CHECK(select_top_k_by_sort(selection_TE, 3).equal(expected));
  CHECK(select_top_k(selection_TE.to(torch::kFloat64), 3).equal(expected));
}

TEST_CASE("the CPU loop and the stable sort choose the same experts") {
  torch::manual_seed(1);
  for (const std::int64_t E : {2, 7, 64, 200}) {
    for (const std::int64_t K : {1, 2, 7}) {
      if (K > E) continue;
      const auto distinct = torch::randn({3000, E});
      CHECK(select_top_k(distinct, K).equal(select_top_k_by_sort(distinct, K)));
      const auto tied = torch::randint(0, 4, {3000, E}).to(torch::kFloat32);
      CHECK(select_top_k(tied, K).equal(select_top_k_by_sort(tied, K)));
      const auto strided = torch::randn({E, 3000}).t();
      CHECK(select_top_k(strided, K).equal(select_top_k_by_sort(strided, K)));
    }
  }
}

TEST_CASE("the choice does not depend on the number of threads") {
  torch::manual_seed(2);
  const auto selection_TE = torch::randint(0, 9, {5000, 32}).to(torch::kFloat32);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = select_top_k(selection_TE, 4);
  at::set_num_threads(4);
  CHECK(select_top_k(selection_TE, 4).equal(alone));
  at::set_num_threads(before);
}

TEST_CASE("assignments are counted by slot and expert") {
  const auto expert_TK = torch::tensor({{0, 2}, {2, 0}, {0, 1}}, torch::kInt64);
  CHECK(count_assignments(expert_TK, 4).equal(torch::tensor({{2, 0, 1, 0}, {1, 1, 1, 0}}, torch::kInt64)));
}

}  // namespace moelab::worker
