#include "worker/routing/capacity.h"

#include <doctest/doctest.h>

namespace moelab::worker {

TEST_CASE("capacity is the even share times the factor, rounded down, never below the minimum") {
  CHECK(expert_capacity(1.0, 6, 2, 3, 1) == 4);   // 1.0 * 6 * 2 / 3 = 4
  CHECK(expert_capacity(1.25, 6, 2, 3, 1) == 5);  // 5
  CHECK(expert_capacity(1.2, 6, 2, 3, 1) == 4);   // 4.8
  CHECK(expert_capacity(0.1, 6, 2, 3, 1) == 1);   // 0.4
  CHECK(expert_capacity(0.1, 6, 2, 3, 4) == 4);   // minimum
  CHECK(expert_capacity(1.0, 65536, 1, 8, 1) == 8192);
}

namespace {

// Six tokens, three experts, K = 2. Each row: choices (slot 0, slot 1) and selection scores (expert 0, 1, 2).
//   token  slots   scores
//   0      0 1     .60 .30 .10
//   1      0 2     .50 .10 .40
//   2      1 0     .35 .45 .20
//   3      0 1     .50 .40 .10
//   4      0 1     .70 .20 .10
//   5      2 0     .30 .10 .60
const torch::Tensor& choices_TK() {
  static const auto t = torch::tensor({{0, 1}, {0, 2}, {1, 0}, {0, 1}, {0, 1}, {2, 0}}, torch::kInt64);
  return t;
}
const torch::Tensor& scores_TE() {
  static const auto t = torch::tensor(
      {{.60f, .30f, .10f}, {.50f, .10f, .40f}, {.35f, .45f, .20f}, {.50f, .40f, .10f}, {.70f, .20f, .10f}, {.30f, .10f, .60f}});
  return t;
}
torch::Tensor table(std::initializer_list<std::initializer_list<int>> rows) {
  std::vector<int> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row);
  return torch::tensor(flat).view({-1, 2}).to(torch::kBool);
}

}  // namespace

TEST_CASE("score policy: an expert keeps its best own scores, equal ones by token order") {
  // Expert 0 is asked by tokens 4 (.70), 0 (.60), 1 (.50), 3 (.50), 2 (.35), 5 (.30); expert 1 by 2 (.45), 3 (.40),
  // 0 (.30), 4 (.20); expert 2 by 5 (.60), 1 (.40).
  const auto keep = [](std::int64_t capacity) {
    return keep_within_capacity(choices_TK(), scores_TE(), capacity, core::DropPolicy::score);
  };
  CHECK(keep(1).equal(table({{0, 0}, {0, 0}, {1, 0}, {0, 0}, {1, 0}, {1, 0}})));
  CHECK(keep(2).equal(table({{1, 0}, {0, 1}, {1, 0}, {0, 1}, {1, 0}, {1, 0}})));
  CHECK(keep(3).equal(table({{1, 1}, {1, 1}, {1, 0}, {0, 1}, {1, 0}, {1, 0}})));  // tokens 1 and 3 tie at .50: 1 stays
  CHECK(keep(5).equal(table({{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 0}})));
  CHECK_FALSE(keep(6).defined());  // as many places as tokens
}

TEST_CASE("position policy: all first choices in token order, then the second choices") {
  // Expert 0 is asked in slot 0 by tokens 0, 1, 3, 4, then in slot 1 by 2, 5; expert 1 by 2, then 0, 3, 4; expert 2 by 5, then 1.
  const auto keep = [](std::int64_t capacity) {
    return keep_within_capacity(choices_TK(), scores_TE(), capacity, core::DropPolicy::position);
  };
  CHECK(keep(1).equal(table({{1, 0}, {0, 0}, {1, 0}, {0, 0}, {0, 0}, {1, 0}})));
  CHECK(keep(2).equal(table({{1, 1}, {1, 1}, {1, 0}, {0, 0}, {0, 0}, {1, 0}})));
  CHECK(keep(3).equal(table({{1, 1}, {1, 1}, {1, 0}, {1, 1}, {0, 0}, {1, 0}})));
  CHECK(keep(5).equal(table({{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 0}})));
}

TEST_CASE("the score policy ranks an assignment by its own expert's score") {
  // By its first column alone (expert 0's score) token 1 would win expert 1; by its own score token 0 does.
  const auto expert_TK = torch::tensor({{1}, {1}}, torch::kInt64);
  const auto selection_TE = torch::tensor({{.1f, .9f}, {.4f, .6f}});
  const auto keep = keep_within_capacity(expert_TK, selection_TE, 1, core::DropPolicy::score);
  CHECK(keep.equal(torch::tensor({{true}, {false}})));
}

}  // namespace moelab::worker
