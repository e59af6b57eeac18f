#include "core/dependency.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "core/circle.h"
#include "tests/core/plan_fixture.h"

using namespace moelab::core;
using Names = std::vector<std::string>;
using Edges = std::vector<std::vector<int>>;

namespace {

// Keys of the runs called `names`, as depends_on holds them.
Names keys_of(const Plan& plan, const Names& names) {
  Names keys;
  for (const std::string& name : names) keys.push_back(run_called(plan, name).spec.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Whether taking away nodes without an edge to a remaining node leaves none.
bool has_an_order(const Edges& edges) {
  std::vector<bool> gone(edges.size());
  for (std::size_t round = 0; round < edges.size(); ++round) {
    for (std::size_t i = 0; i < edges.size(); ++i) {
      gone[i] = gone[i] || std::all_of(edges[i].begin(), edges[i].end(), [&](int to) { return gone[static_cast<std::size_t>(to)]; });
    }
  }
  return std::all_of(gone.begin(), gone.end(), [](bool g) { return g; });
}

}  // namespace

TEST_CASE("depends_on names a run, EXPERIMENT/RUN or an experiment, of an experiment, a variant or a further point") {
  const Plan plan = plan_of(R"(
  - name: base
    variants: {small: {train.lr: 1}, large: {train.lr: 2}}
  - name: late
    depends_on: base/small
    variants:
      plain: {train.lr: 3}
      more: {train.lr: 4, depends_on: [plain, large]}
      all: {train.lr: 5, depends_on: base}
    include: [{name: extra, train.lr: 6, depends_on: all}]
)");
  CHECK(run_called(plan, "small").spec.depends_on.empty());
  CHECK(run_called(plan, "plain").spec.depends_on == keys_of(plan, {"small"}));
  CHECK(run_called(plan, "more").spec.depends_on == keys_of(plan, {"small", "plain", "large"}));
  CHECK(run_called(plan, "all").spec.depends_on == keys_of(plan, {"small", "large"}));
  CHECK(run_called(plan, "extra").spec.depends_on == keys_of(plan, {"small", "all"}));
  CHECK(run_called(plan, "more").waits_for == Names{"base/small", "base/large", "late/plain"});
  CHECK(to_json(plan)["runs"][3]["depends_on"] == nlohmann::json({"base/small", "base/large", "late/plain"}));
}

TEST_CASE("a dependency is of the same seed where several have its name, and an experiment stands for all its seeds") {
  const Plan plan = plan_of(R"(
  - {name: base, seeds: [1, 2], variants: {dense: {train.lr: 1}}}
  - {name: late, seeds: [1, 2], depends_on: dense, variants: {up: {}}}
  - {name: last, seeds: 2, depends_on: base, variants: {end: {train.lr: 3}}}
  - {name: one, seeds: 3, depends_on: "dense,seed=1", variants: {fixed: {train.lr: 3}}}
)");
  CHECK(run_called(plan, "up,seed=1").waits_for == Names{"base/dense,seed=1"});
  CHECK(run_called(plan, "up,seed=2").waits_for == Names{"base/dense,seed=2"});
  CHECK(run_called(plan, "end").waits_for == Names{"base/dense,seed=1", "base/dense,seed=2"});
  CHECK(run_called(plan, "fixed").waits_for == Names{"base/dense,seed=1"});
}

TEST_CASE("a name is first that of a run of the own experiment") {
  const Plan plan = plan_of(R"(
  - {name: base, variants: {dense: {train.lr: 1}}}
  - {name: late, variants: {dense: {train.lr: 2}, up: {train.lr: 3, depends_on: dense}, other: {train.lr: 4, depends_on: base/dense}}}
)");
  CHECK(run_called(plan, "up").waits_for == Names{"late/dense"});
  CHECK(run_called(plan, "other").waits_for == Names{"base/dense"});
}

TEST_CASE("depends_on is order only: keys stay, and run.json carries it") {
  const std::string text = "  - {name: base, variants: {a: {train.lr: 1}}}\n  - {name: late, variants: {b: {DEPENDS}}}\n";
  const auto with = [&](const std::string& depends) {
    std::string copy = text;
    return plan_of(copy.replace(copy.find("DEPENDS"), 7, depends));
  };
  const Plan ordered = with("depends_on: a"), free = with("");
  CHECK(run_called(ordered, "b").spec.key == run_called(free, "b").spec.key);
  CHECK(free.runs[1].spec.depends_on.empty());
  const RunSpec& spec = ordered.runs[1].spec;
  CHECK(run_spec_from_json(to_json(spec), "run.json").depends_on == Names{ordered.runs[0].spec.key});
  nlohmann::json older = to_json(spec);
  older.erase("depends_on");
  CHECK(run_spec_from_json(older, "run.json").depends_on.empty());
}

TEST_CASE("the run whose weights another starts from is no second dependency, and equal runs wait for nothing of themselves") {
  const Plan plan = plan_of(R"(
  - name: base
    variants: {dense: {}}
  - name: late
    variants:
      up: {train: {init_from: "run:dense", lr: 1}, depends_on: dense}
      twin: {depends_on: dense}
)");
  CHECK(run_called(plan, "up").spec.depends_on.empty());
  CHECK(run_called(plan, "up").waits_for == Names{"base/dense"});
  CHECK(run_called(plan, "twin").same_as == "base/dense");
  CHECK(run_called(plan, "twin").spec.depends_on.empty());
}

TEST_CASE("only brings along what a run waits for, through any number of links") {
  PlanRequest request = request_for(with_experiments(R"(
  - {name: base, variants: {a: {train.lr: 1}, other: {train.lr: 9}}}
  - {name: middle, depends_on: a, variants: {b: {train.lr: 2}}}
  - {name: end, variants: {c: {train: {lr: 3, init_from: "run:b"}}, d: {depends_on: c}}}
)"));
  request.only = {"d"};
  CHECK(names_of(make_plan(request)) == Names{"a", "b", "c", "d"});
}

TEST_CASE("a chain of thousands of runs is planned") {
  std::string variants = "  - name: one\n    variants:\n      r0: {train.max_steps: 1}\n";
  constexpr int kRuns = 3000;
  for (int i = 1; i < kRuns; ++i) {
    variants += "      r" + std::to_string(i) + ": {train.max_steps: " + std::to_string(i + 1) + ", train.init_from: \"run:r" +
                std::to_string(i - 1) + "\"}\n";
  }
  PlanRequest request = request_for(with_experiments(variants));
  request.only = {"r" + std::to_string(kRuns - 1)};
  CHECK(make_plan(request).runs.size() == kRuns);
}

TEST_CASE("circles: one a knot, the shortest through its least node") {
  CHECK(find_circles({}).empty());
  CHECK(find_circles({{1, 2}, {2}, {}}).empty());
  CHECK(find_circles({{0}}) == Edges{{0}});
  CHECK(find_circles({{1}, {2}, {0, 1}}) == Edges{{0, 1, 2}});
  CHECK(find_circles({{1}, {2, 0}, {0}}) == Edges{{0, 1}});
  CHECK(find_circles({{1}, {0, 2}, {3}, {4}, {2}, {0}}) == Edges{{0, 1}, {2, 3, 4}});  // 5 waits for a knot and is in none
}

TEST_CASE("circles of random graphs are real, and none are found exactly where there is an order") {
  std::mt19937_64 random(20261125);
  int with_circles = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const std::size_t nodes = 1 + random() % 9;
    Edges edges(nodes);
    for (std::size_t link = random() % (2 * nodes); link > 0; --link) {
      std::vector<int>& from = edges[random() % nodes];
      const int to = static_cast<int>(random() % nodes);
      if (std::find(from.begin(), from.end(), to) == from.end()) from.push_back(to);
    }
    const Edges circles = find_circles(edges);
    CHECK(circles.empty() == has_an_order(edges));
    with_circles += circles.empty() ? 0 : 1;
    for (const std::vector<int>& circle : circles) {
      for (std::size_t i = 0; i < circle.size(); ++i) {
        const std::vector<int>& out = edges[static_cast<std::size_t>(circle[i])];
        CHECK(std::find(out.begin(), out.end(), circle[(i + 1) % circle.size()]) != out.end());
      }
    }
  }
  CHECK(with_circles > 200);
}
