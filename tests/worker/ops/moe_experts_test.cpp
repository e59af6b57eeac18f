// Sorting by expert and the routed experts against a loop over experts.
#include "worker/ops/moe_experts.h"

#include <doctest/doctest.h>

#include "tests/worker/ops/op_check.h"
#include "worker/ops/dispatch.h"

using namespace moelab::worker;
using namespace moelab::worker::test;

namespace {

struct Case {
  std::int64_t tokens, experts, choices, width, inner;
  bool drops;
};

// K distinct experts a token; with more than two experts the last one gets nothing, so that empty segments are always there.
torch::Tensor choose(const Case& c) {
  const auto usable = c.experts > 2 && c.choices < c.experts ? c.experts - 1 : c.experts;
  return normal({c.tokens, usable}, 11).argsort(1, false).slice(1, 0, c.choices).contiguous();
}

torch::Tensor keep(const Case& c) {
  return c.drops ? normal({c.tokens, c.choices}, 12) > -0.3 : torch::Tensor();
}

Tensors inputs(const Case& c, torch::ScalarType type) {
  return {normal({c.tokens, c.width}, 1, type), normal({c.tokens, c.choices}, 2, type), normal({c.experts, c.width, 2 * c.inner}, 3, type),
          normal({c.experts, c.inner, c.width}, 4, type)};
}

enum class Path { segments, grouped, reference };

Op experts(const Case& c, Path path) {
  return [=, expert_TK = choose(c), keep_TK = keep(c)](const Tensors& in) -> Tensors {
    const ExpertInputs all{in[0], expert_TK, in[1], keep_TK, in[2], in[3]};
    if (path == Path::reference) return {moe_experts_reference(all)};
    return {moe_experts(all, path == Path::grouped ? ExpertProducts::grouped : ExpertProducts::segments)};
  };
}

const Case kCases[] = {
    {50, 4, 1, 16, 8, false},  {50, 8, 2, 16, 8, false}, {50, 8, 2, 16, 8, true},
    {33, 64, 8, 16, 8, false}, {20, 3, 3, 16, 8, true},  {1, 5, 1, 16, 8, false},
};

}  // namespace

TEST_CASE("sorting by expert is stable, drops what is not kept, and agrees with a library sort") {
  for (const auto& c : kCases) {
    const auto counted = dispatch_by_expert(choose(c), keep(c), c.experts), sorted = dispatch_by_sort(choose(c), keep(c), c.experts);
    CHECK(torch::equal(counted.token_N, sorted.token_N));
    CHECK(torch::equal(counted.slot_N, sorted.slot_N));
    CHECK(torch::equal(counted.row_TK, sorted.row_TK));
    CHECK(torch::equal(counted.offset_E, sorted.offset_E));
    CHECK((counted.begin == sorted.begin));
  }
}

TEST_CASE("a hand-worked dispatch") {
  const auto expert = torch::tensor({{2, 0}, {0, 2}, {2, 1}}, torch::kInt64),
             keep_TK = torch::tensor({{true, true}, {true, false}, {true, true}});
  const auto d = dispatch_by_expert(expert, keep_TK, 4);
  CHECK(torch::equal(d.token_N, torch::tensor({0, 1, 2, 0, 2}, torch::kInt64)));
  CHECK(torch::equal(d.row_TK, torch::tensor({{3, 0}, {1, -1}, {4, 2}}, torch::kInt64)));
  CHECK((d.begin == std::vector<std::int64_t>{0, 2, 3, 5, 5}));
}

TEST_CASE("an expert id outside the range is refused") {
  CHECK_THROWS(dispatch_by_expert(torch::tensor({{4}}, torch::kInt64), {}, 4));
}

TEST_CASE("experts on sorted tokens equal a loop over experts") {
  for (const auto& c : kCases) {
    CAPTURE(c.experts);
    CAPTURE(c.drops);
    check_same(experts(c, Path::segments), experts(c, Path::reference), inputs(c, torch::kFloat32), 2e-5);
    check_same(experts(c, Path::segments), experts(c, Path::reference), inputs(c, torch::kFloat64), 1e-11);
  }
}

TEST_CASE("the grouped product gives what the per-segment products give") {
  for (const auto& c : kCases) {
    CAPTURE(c.experts);
    CAPTURE(c.drops);
    check_same(experts(c, Path::grouped), experts(c, Path::reference), inputs(c, torch::kFloat32), 2e-5);
  }
}

TEST_CASE("experts have the gradients of finite differences, combine weights included") {
  const Case c{4, 3, 2, 3, 2, true};
  check_finite_differences(experts(c, Path::segments), inputs(c, torch::kFloat64));
}

TEST_CASE("an expert without tokens gets gradient zero, not none") {
  const auto& c = kCases[0];
  const auto gradients = run_op(experts(c, Path::segments), inputs(c, torch::kFloat32)).gradients;
  CHECK(gradients[2][c.experts - 1].abs().max().item<float>() == 0);
  CHECK(gradients[3][c.experts - 1].abs().max().item<float>() == 0);
  CHECK(gradients[2][0].abs().max().item<float>() > 0);
}

TEST_CASE("a token whose assignments are all dropped gets zero") {
  const auto expert = torch::tensor({{0}, {1}}, torch::kInt64), keep_TK = torch::tensor({{true}, {false}});
  const auto out = moe_experts({normal({2, 4}, 1), expert, torch::ones({2, 1}), keep_TK, normal({2, 4, 6}, 2), normal({2, 3, 4}, 3)});
  CHECK(out[0].abs().max().item<float>() > 0);
  CHECK(out[1].abs().max().item<float>() == 0);
}
