#include <doctest/doctest.h>

#include "tests/core/plan_fixture.h"

using namespace moelab::core;
using Names = std::vector<std::string>;

TEST_CASE("an experiment without axes is one run with the experiment's name") {
  CHECK(names_of(plan_of("  - name: one\n")) == Names{"one"});
  CHECK(names_of(plan_of("  - {name: one, seeds: 7}\n")) == Names{"one"});
  CHECK(plan_of("  - {name: one, seeds: 7}\n").runs[0].spec.config.seed == 7);
}

TEST_CASE("a matrix is a product, the last axis and the seeds vary fastest, a scalar is a constant") {
  const Plan plan = plan_of(R"(
  - name: one
    matrix: {train: {lr: [1.0e-3, 2.0e-3]}, train.batch_size: [4, 8], train.grad_accum: 2}
    seeds: [0, 1]
)");
  CHECK(names_of(plan) == Names{"lr=0.001,batch_size=4,seed=0", "lr=0.001,batch_size=4,seed=1", "lr=0.001,batch_size=8,seed=0",
                                "lr=0.001,batch_size=8,seed=1", "lr=0.002,batch_size=4,seed=0", "lr=0.002,batch_size=4,seed=1",
                                "lr=0.002,batch_size=8,seed=0", "lr=0.002,batch_size=8,seed=1"});
  const RunConfig& last = plan.runs.back().spec.config;
  CHECK(last.train.lr == 2e-3);
  CHECK(last.train.batch_size == 8);
  CHECK(last.train.grad_accum == 2);
  CHECK(last.seed == 1);
  CHECK(plan.runs.back().varied == nlohmann::json({{"train.lr", 0.002}, {"train.batch_size", 8}, {"seed", 1}}));
}

TEST_CASE("lists under zip advance together and multiply with the rest") {
  const Plan plan = plan_of(R"(
  - name: one
    matrix: {train.lr: [1.0e-3, 2.0e-3]}
    zip: {moe.num_experts: [8, 16], moe.num_active_experts: [1, 2]}
)");
  CHECK(names_of(plan) == Names{"lr=0.001,num_experts=8,num_active_experts=1", "lr=0.001,num_experts=16,num_active_experts=2",
                                "lr=0.002,num_experts=8,num_active_experts=1", "lr=0.002,num_experts=16,num_active_experts=2"});
  CHECK(plan.runs[1].spec.config.moe.num_experts == 16);
  CHECK(plan.runs[1].spec.config.moe.num_active_experts == 2);
}

TEST_CASE("variants are named runs with notes and tags, and combine with a matrix") {
  const Plan plan = plan_of(R"(
  - name: one
    tags: [x]
    priority: 3
    max_concurrent: 2
    variants:
      plain:
      quick: {train.lr: 1.0e-2, notes: as fast as it goes, tags: [y, x]}
    matrix: {data.seed: [1, 2]}
)");
  CHECK(names_of(plan) == Names{"plain,seed=1", "plain,seed=2", "quick,seed=1", "quick,seed=2"});
  const RunSpec& spec = plan.runs[3].spec;
  CHECK(spec.notes == "as fast as it goes");
  CHECK(spec.tags == Names{"x", "y"});
  CHECK(spec.priority == 3);
  CHECK(spec.max_concurrent == 2);
  CHECK(spec.config.train.lr == 1e-2);
  CHECK(plan.runs[0].spec.notes.empty());
}

TEST_CASE("two knobs with one last segment are named by their whole path") {
  const Plan plan = plan_of("  - {name: one, matrix: {data.seed: [1]}, seeds: [2, 3]}\n");
  CHECK(names_of(plan) == Names{"data.seed=1,seed=2", "data.seed=1,seed=3"});
}

TEST_CASE("a sweep has exact ends and readable values between") {
  CHECK(names_of(plan_of("  - {name: one, sweep: {train.lr: {log: [1.0e-5, 1.0e-2], count: 4}}}\n")) ==
        Names{"lr=1e-05", "lr=0.0001", "lr=0.001", "lr=0.01"});
  const Plan plan =
      plan_of("  - {name: one, sweep: {train.lr: {log: [0.001, 0.01], count: 3}, train.batch_size: {linear: [1, 9], count: 3}}}\n");
  CHECK(plan.runs.size() == 9);
  CHECK(plan.runs[3].spec.config.train.lr == 0.00316228);
  CHECK(plan.runs[4].spec.config.train.batch_size == 5);
}

TEST_CASE("exclude drops the points that match every key, include adds points after them") {
  const Plan plan = plan_of(R"(
  - name: one
    matrix: {moe.capacity_factor: [1, 1.5, 2], moe.min_capacity: [1, 4]}
    defaults: {moe.num_experts: 4}
    exclude: [{moe.capacity_factor: 1.0, moe.min_capacity: 4}, {moe.capacity_factor: 2}, {moe.capacity_factor: 9}]
    include: [{moe.capacity_factor: 0}, {name: wide, moe.moe_intermediate_size: 64, notes: wider}]
)");
  CHECK(names_of(plan) == Names{"capacity_factor=1,min_capacity=1", "capacity_factor=1.5,min_capacity=1",
                                "capacity_factor=1.5,min_capacity=4", "capacity_factor=0", "wide"});
  CHECK(plan.runs[3].spec.config.moe.min_capacity == 1);
  CHECK(plan.runs[4].spec.config.moe.moe_intermediate_size == 64);
  CHECK(plan.runs[4].spec.notes == "wider");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].message == "matches no run");
  CHECK(plan.warnings[0].line == 10);
}

TEST_CASE("exclude sees the seed, include is repeated for every seed") {
  const Plan plan = plan_of(R"(
  - name: one
    matrix: {train.lr: [1.0e-3, 2.0e-3]}
    exclude: [{train.lr: 0.002, seed: 1}]
    include: [{train.lr: 3.0e-3}]
    seeds: [0, 1]
)");
  CHECK(names_of(plan) == Names{"lr=0.001,seed=0", "lr=0.001,seed=1", "lr=0.002,seed=0", "lr=0.003,seed=0", "lr=0.003,seed=1"});
}

TEST_CASE("an experiment of inclusions only has no other point") {
  CHECK(names_of(plan_of("  - {name: one, include: [{train.lr: 1.0e-3}, {name: b}]}\n")) == Names{"lr=0.001", "b"});
}

TEST_CASE("{value: [...]} is one literal list, a list of lists is an axis of lists") {
  const std::string experts = "  moe: {num_experts: 4, num_active_experts: 1}\n";
  const Plan literal = plan_of("  - {name: one, matrix: {moe.moe_layers: {value: [0, 2]}}}\n", experts);
  CHECK(names_of(literal) == Names{"one"});
  CHECK(literal.runs[0].spec.config.moe.moe_layers == std::vector<std::int64_t>{0, 2});
  const Plan axis = plan_of("  - {name: one, matrix: {moe.moe_layers: [[0, 2], null, {value: [1]}]}}\n", experts);
  CHECK(names_of(axis) == Names{"moe_layers=0+2", "moe_layers=null", "moe_layers=1"});
  CHECK(axis.runs[2].spec.config.moe.moe_layers == std::vector<std::int64_t>{1});
  const Plan corpora = plan_of("  - {name: one, matrix: {data.path: [a.txt, b.txt]}}\n");
  CHECK(names_of(corpora) == Names{"path=a.txt", "path=b.txt"});
}

TEST_CASE("domains are one value: absolute paths from the file's directory, replaced as a whole, an axis as a list of maps") {
  const TempDir dir;
  dir.write("base/base.yaml", "version: 1\ndefaults: {data.domains: {prose: text, code: [a.txt, /b.txt]}}\n");
  const std::string text = R"(
version: 1
name: child
extends: base/base.yaml
experiments:
  - name: inherited
  - name: replaced
    matrix: {data: {domains: {tales: t, code: c}}}
  - name: axis
    matrix:
      data.domains: [{code: x/c.txt, prose: [p, q.txt]}, {code: c2, prose: p2}]
)";
  const Plan plan = make_plan(request_for(text, dir.path()));
  CHECK(names_of(plan) == Names{"inherited", "replaced", "domains=code=c.txt+prose=p+q.txt", "domains=code=c2+prose=p2"});
  const std::string base = dir.path().string() + '/';
  CHECK(plan.runs[0].spec.config.data.domains == DomainPaths{{"code", {base + "base/a.txt", "/b.txt"}}, {"prose", {base + "base/text"}}});
  CHECK(plan.runs[1].spec.config.data.domains == DomainPaths{{"code", {base + "c"}}, {"tales", {base + "t"}}});
  CHECK(plan.runs[2].spec.config.data.domains == DomainPaths{{"code", {base + "x/c.txt"}}, {"prose", {base + "p", base + "q.txt"}}});

  PlanRequest request = request_for(text, dir.path());
  request.only = {"inherited"};
  request.overrides = {"data.domains={a: x, b: y}"};
  CHECK(make_plan(request).runs[0].spec.config.data.domains == DomainPaths{{"a", {base + "x"}}, {"b", {base + "y"}}});
}

TEST_CASE("a profile takes domains back with an empty map, a path with an empty list") {
  PlanRequest request = request_for(
      "version: 1\nname: s\ndefaults: {data.domains: {a: x, b: y}}\nprofiles: {one: {data: {domains: {}, path: x}}, none: {data: "
      "{domains: null, path: [x]}}}\nexperiments: [{name: e}]\n");
  for (const char* profile : {"one", "none"}) {
    request.profile = profile;
    const DataConfig data = make_plan(request).runs[0].spec.config.data;
    CHECK(data.domains.empty());
    CHECK(data.path == Names{"/nonexistent/x"});
  }
}

TEST_CASE("settings apply from the general to the particular") {
  const std::string text = R"(
version: 1
name: study
defaults: {data.path: corpus, train: {lr: 1, batch_size: 1, eps: 1, epochs: 1, beta1: 0.1, grad_clip: 1, weight_decay: 1}}
profiles:
  small: {train: {batch_size: 2, eps: 2, epochs: 2, beta1: 0.2, grad_clip: 2, weight_decay: 2}}
experiments:
  - name: one
    defaults: {train: {eps: 3, epochs: 3, beta1: 0.3, grad_clip: 3, weight_decay: 3}}
    profiles: {small: {train: {epochs: 4, beta1: 0.4, grad_clip: 4, weight_decay: 4}}}
    variants:
      a: {train: {beta1: 0.5, grad_clip: 5, weight_decay: 5}, profiles: {small: {train: {grad_clip: 6, weight_decay: 6}}}}
)";
  PlanRequest request = request_for(text);
  request.profile = "small";
  request.overrides = {"train.weight_decay=7", "train.max_steps=5"};
  const TrainConfig small = make_plan(request).runs[0].spec.config.train;
  CHECK(small.lr == 1);
  CHECK(small.batch_size == 2);
  CHECK(small.eps == 3);
  CHECK(small.epochs == 4);
  CHECK(small.beta1 == 0.5);
  CHECK(small.grad_clip == 6);
  CHECK(small.weight_decay == 7);
  CHECK(small.max_steps == 5);

  const TrainConfig none = make_plan(request_for(text)).runs[0].spec.config.train;
  CHECK(none.batch_size == 1);
  CHECK(none.epochs == 3);
  CHECK(none.grad_clip == 5);
}

TEST_CASE("a file takes defaults and profiles from the file it extends, with paths from that file's directory") {
  const TempDir dir;
  dir.write("base/base.yaml", "version: 1\ndefaults: {data.path: text, train: {lr: 1, eps: 1}}\nprofiles: {p: {train.epochs: 5}}\n");
  PlanRequest request = request_for(
      "version: 1\nname: child\nextends: base/base.yaml\ndefaults: {train.eps: 2}\nprofiles: {p: {train.beta1: 0.5}}\nexperiments: [{name: "
      "one}]\n",
      dir.path());
  request.profile = "p";
  const RunConfig config = make_plan(request).runs[0].spec.config;
  CHECK(config.data.path == Names{(dir.path() / "base/text").string()});
  CHECK(config.train.lr == 1);
  CHECK(config.train.eps == 2);
  CHECK(config.train.epochs == 5);
  CHECK(config.train.beta1 == 0.5);
}

TEST_CASE("anchors and merge keys work, and a key of the map itself wins") {
  const Plan plan = plan_of(R"(
  - name: one
    variants:
      a: &a {train.lr: 1, train.eps: 1}
      b: {<<: *a, train.eps: 2}
)");
  CHECK(plan.runs[1].spec.config.train.lr == 1);
  CHECK(plan.runs[1].spec.config.train.eps == 2);
}

TEST_CASE("a file may ask for 10,000 runs and no more") {
  const std::string axes = "  - {name: one, sweep: {train.lr: {linear: [1, 2], count: 1000}}, seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\n";
  CHECK(plan_of(axes).runs.size() == 10'000);
  CHECK_THROWS_WITH_AS(
      plan_of(axes + "  - name: two\n"),
      "test.yaml: experiments: ask for 10001 runs together; the limit of a file is 10000, so split the file or shorten an axis", Error);
}
