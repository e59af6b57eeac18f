// What a run on domains measures: losses by domain in training and evaluation, and where the tokens of each domain go.
#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "tests/worker/train/train_here.h"
#include "tests/worker/train/worker_process.h"
#include "worker/data/python_lexer.h"
#include "worker/train/evaluation.h"
#include "worker/train/token_types.h"

namespace moelab::worker {
namespace {

using core::EventType;
using nlohmann::json;
using test::events_of;
using test::load;
using test::TemporaryDirectory;

core::RunConfig domain_config(const TemporaryDirectory& dir) {
  const auto lines = [&](const std::string& start, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += json{{"text", start + std::to_string(1000 + i) + "\n"}}.dump() + "\n";
    return text;
  };
  core::RunConfig config = test::small_moe_config(dir);
  config.data.tokens.clear();
  config.data.val_tokens.clear();
  config.data.domains = {{"code", {dir.write("c.jsonl", lines("if x: return 'a' + ", 60))}},
                         {"math", {dir.write("m.jsonl", lines("what is 7 + ", 40))}},
                         {"prose", {dir.write("p.jsonl", lines("the hen met a fox ", 50))}}};
  config.data.val_fraction = 0.2;
  config.model.vocab_size = 320;
  config.train.expert_load_interval = 100;
  return config;
}

// The values of an event type by step that do not measure time or memory.
std::vector<std::string> values_of(const std::filesystem::path& run_dir, EventType type) {
  std::vector<std::string> found;
  for (const auto& event : events_of(run_dir, type)) {
    json values = event.payload["values"];
    for (const char* name : {"perf/tokens_per_sec", "perf/step_ms", "perf/peak_memory_mb"}) values.erase(name);
    found.push_back(std::to_string(event.step) + values.dump());
  }
  return found;
}

TEST_CASE("eval/loss_<domain> is the mean over the domain's targets, whatever the batch size") {
  const TemporaryDirectory dir;
  const core::RunConfig config = domain_config(dir);
  const TrainingData data = load(config, dir);
  LanguageModel model(config);
  const Batcher validation(data.val, false, 0);
  std::vector<double> sums(3, 0);
  std::vector<std::int64_t> targets(3, 0);
  json counts = json::array();  // [layer][domain][expert]
  for (int layer = 0; layer < 2; ++layer) counts.push_back(json(std::vector<std::vector<double>>(3, std::vector<double>(4, 0))));
  {
    const torch::NoGradGuard no_grad;
    model.eval();
    for (std::int64_t i = 0; i < data.val.size(); ++i) {
      const Batch batch = validation.in_order(i, 1);
      const auto domain = static_cast<std::size_t>(data.val.domain(i));
      const torch::Tensor log_p = model.logits(batch.ids_BL).to(torch::kFloat64).log_softmax(-1)[0];
      for (std::int64_t j = 0; j + 1 < data.val.block_size(); ++j) {
        sums[domain] -= log_p[j][batch.targets_BL[0][j].item<std::int64_t>()].item<double>();
        ++targets[domain];
      }
      const BatchLoss loss = model.loss(batch.ids_BL, batch.targets_BL, {});
      for (std::size_t layer = 0; layer < 2; ++layer) {
        const torch::Tensor expert_N = loss.routes[layer].expert_TK.flatten();
        for (std::int64_t n = 0; n < expert_N.numel(); ++n) {
          json& count = counts[layer][domain][static_cast<std::size_t>(expert_N[n].item<std::int64_t>())];
          count = count.get<double>() + 1;
        }
      }
    }
  }
  for (const std::int64_t sequences : {1, 3, 1000}) {
    const auto evaluation = evaluate(model, validation, sequences, [] { return false; });
    REQUIRE(evaluation);
    double whole = 0, all = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string& name = data.val.domains()[i];
      const double mean = sums[i] / static_cast<double>(targets[i]);
      CHECK(evaluation->values.at("eval/loss_" + name) == doctest::Approx(mean).epsilon(1e-6));
      CHECK(evaluation->values.at("eval/ppl_" + name) == std::exp(evaluation->values.at("eval/loss_" + name)));
      whole += evaluation->values.at("eval/loss_" + name) * static_cast<double>(targets[i]);
      all += static_cast<double>(targets[i]);
    }
    CHECK(evaluation->values.at("eval/loss") == doctest::Approx(whole / all).epsilon(1e-12));

    const json shares = evaluation->domains.to_json();
    CHECK(shares["rows"] == json{"code", "math", "prose"});
    CHECK(shares["layers"] == json{0, 1});
    CHECK(shares["experts"] == 4);
    for (std::size_t domain = 0; domain < 3; ++domain) {
      const auto tokens = targets[domain] / (data.val.block_size() - 1) * data.val.block_size();
      CHECK(shares["tokens"][domain] == tokens);
      for (std::size_t layer = 0; layer < 2; ++layer) {
        for (std::size_t expert = 0; expert < 4; ++expert) {
          CHECK(shares["share"][layer][domain][expert].get<double>() ==
                doctest::Approx(counts[layer][domain][expert].get<double>() / static_cast<double>(tokens * 2)).epsilon(1e-12));
        }
      }
    }
  }
}

TEST_CASE("eval/loss is the same number with and without domains") {
  const TemporaryDirectory dir;
  core::RunConfig config = domain_config(dir);
  const TrainingData data = load(config, dir);
  LanguageModel model(config);
  const auto labelled = evaluate(model, Batcher(data.val, false, 0), 4, [] { return false; });
  std::string bytes;
  for (std::int64_t i = 0; i < data.val.size(); ++i) {
    std::vector<std::int64_t> ids(16), targets(16);
    data.val.read(i, ids.data(), targets.data());
    for (const std::int64_t id : ids) bytes.append(reinterpret_cast<const char*>(&id), 2);
  }
  const auto file = std::make_shared<const MappedFile>(dir.write("flat.bin", bytes));
  const Blocks flat({file, 0, TokenType::uint16, data.val.size() * 16}, 16, BlockRule::within_block);
  const auto plain = evaluate(model, Batcher(flat, false, 0), 4, [] { return false; });
  CHECK(labelled->values.at("eval/loss") == plain->values.at("eval/loss"));
  CHECK(plain->values.count("eval/loss_code") == 0);
  CHECK(plain->domains.empty());
}

TEST_CASE("train/loss_<domain> is the domain's share of a logged step, over all micro-batches") {
  const TemporaryDirectory dir;
  core::RunConfig config = domain_config(dir);
  config.train.batch_size = 6;
  config.train.max_steps = 3;
  config.train.log_interval = 2;
  config.data.shuffle = false;
  REQUIRE(test::train(config, dir, "run").end == TrainingEnd::completed);
  const auto metrics = events_of(dir.path() / "run", EventType::metrics);
  REQUIRE(metrics.size() == 3);  // steps 1, 2, 3
  for (const auto& event : metrics) {
    const json& values = event.payload["values"];
    // In file order the domains take turns: two blocks of each in a batch of six.
    double sum = 0;
    for (const char* name : {"train/loss_code", "train/loss_math", "train/loss_prose"}) sum += values[name].get<double>();
    CHECK(sum / 3 == doctest::Approx(values["train/loss"].get<double>()).epsilon(1e-6));
  }
  // The first step's losses are those of the initial weights.
  LanguageModel model(config);
  Batcher batches(load(config, dir).train, false, 0);
  std::vector<double> sums(3, 0);
  for (int micro = 0; micro < 2; ++micro) {
    const torch::NoGradGuard no_grad;
    const Batch batch = batches.next(3);
    const BatchLoss loss = model.loss(batch.ids_BL, batch.targets_BL, {});
    for (std::int64_t row = 0; row < 3; ++row) {
      sums[static_cast<std::size_t>(batch.domain_B[row].item<std::int64_t>())] += loss.nll_T.view({3, 16})[row].sum().item<double>();
    }
  }
  CHECK(metrics[0].payload["values"]["train/loss_math"].get<double>() == doctest::Approx(sums[1] / 30).epsilon(1e-9));

  config.train.batch_size = 2;  // a step of code and math only
  config.train.max_steps = 1;
  test::train(config, dir, "two");
  const json values = events_of(dir.path() / "two", EventType::metrics).front().payload["values"];
  CHECK(values.contains("train/loss_math"));
  CHECK_FALSE(values.contains("train/loss_prose"));
}

TEST_CASE("stopped at any point, a run on domains loses and repeats nothing, and leaves the same artifacts") {
  const TemporaryDirectory dir;
  core::RunConfig config = domain_config(dir);
  config.train.batch_size = 6;
  config.train.grad_accum = 3;
  config.train.max_steps = 4;
  config.train.eval_interval = 2;
  REQUIRE(test::train(config, dir, "whole").end == TrainingEnd::completed);
  const auto file = [&](const std::string& name, const std::string& path) { return test::read_file(dir.path() / name / path); };
  const std::vector<std::string> files{"artifacts/specialisation.json", "artifacts/token_types.json",
                                       "checkpoints/step_00000004/model.safetensors"};
  int stopped = 0;
  for (int stop_after = 0; stop_after < 200; stop_after += 7) {  // 7 meets every kind of place: micro-batches, evaluations
    CAPTURE(stop_after);
    const std::string name = "stopped_" + std::to_string(stop_after);
    if (test::train(config, dir, name, 1, stop_after).end == TrainingEnd::completed) break;
    ++stopped;
    CHECK(test::train(config, dir, name, 2).end == TrainingEnd::completed);
    CHECK(values_of(dir.path() / name, EventType::metrics) == values_of(dir.path() / "whole", EventType::metrics));
    CHECK(values_of(dir.path() / name, EventType::eval) == values_of(dir.path() / "whole", EventType::eval));
    for (const std::string& path : files) {
      const bool same = !file(name, path).empty() && file(name, path) == file("whole", path);
      CHECK_MESSAGE(same, path);
    }
  }
  CHECK(stopped > 5);
}

TEST_CASE("shares of routing: rows sum to 1, tokens outside any row and later slots do not count, empty rows are left out") {
  core::ModelShape shape;
  shape.experts = 3;
  shape.active = 2;
  shape.moe_layer = {false, true};
  RoutingShares shares({"a", "none", "b"}, shape);
  CHECK(shares.empty());
  std::vector<Route> routes(1);
  routes[0].expert_TK = torch::tensor({{0, 1}, {2, 1}, {2, 0}, {1, 0}}, torch::kInt64);
  shares.add(torch::tensor({0, 0, 2, -1}, torch::kInt64), routes, 1);
  CHECK(shares.to_json() == json::parse(R"({"rows": ["a", "b"], "tokens": [2, 1], "layers": [1], "experts": 3,
                                            "share": [[[0.5, 0, 0.5], [0, 0, 1]]]})"));
  shares.add(torch::tensor({-1, -1, -1, 0}, torch::kInt64), routes, 1);
  CHECK(shares.to_json()["tokens"] == json{3, 1});

  RoutingShares both({"a"}, shape);
  both.add(torch::tensor({0, 0, -1, -1}, torch::kInt64), routes, 2);
  CHECK(both.to_json()["share"] == json::parse("[[[0.25, 0.5, 0.25]]]"));
  CHECK(both.to_json()["tokens"] == json{2});

  shape.moe_layer = {false, false};
  RoutingShares dense({"a"}, shape);
  dense.add(torch::tensor({0}, torch::kInt64), {}, 1);
  CHECK(dense.empty());
}

TEST_CASE("token types: the class of every token's text, its first expert, at most 512 tokens or as many as the model takes") {
  const TemporaryDirectory dir;
  core::RunConfig config = domain_config(dir);
  const Tokenizer tokenizer = *load(config, dir).tokenizer;
  LanguageModel model(config);
  const std::string text = "if x: return 'a'";
  std::vector<std::int64_t> ids{1};
  std::map<std::string, std::map<std::int64_t, double>> expected;
  const auto classes = classify_python(text);
  const auto spans = tokenizer.encode_spans(text);
  REQUIRE(spans.size() < 16);
  for (const auto& span : spans) ids.push_back(span.id);
  {
    const torch::NoGradGuard no_grad;
    model.eval();
    const auto input = torch::tensor(ids, torch::kInt64).unsqueeze(0);
    const auto routes = model.loss(input, input, {}).routes;
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const auto found = majority_class(classes, text, spans[i].begin, spans[i].end);
      const auto expert = routes[1].expert_TK[static_cast<std::int64_t>(i) + 1][0].item<std::int64_t>();
      ++expected[std::string(kPythonClassNames[static_cast<std::size_t>(found)])][expert];
    }
  }
  const json shares = token_type_shares(model, tokenizer, {text, text}).to_json();
  CHECK(model.is_training());
  REQUIRE(shares["rows"].size() == expected.size());
  std::int64_t tokens = 0;
  for (std::size_t row = 0; row < expected.size(); ++row) {
    auto counts = expected.at(shares["rows"][row].get<std::string>());
    double total = 0, sum = 0;
    for (const auto& [expert, count] : counts) total += count;
    for (std::int64_t expert = 0; expert < 4; ++expert) {
      const double share = shares["share"][1][row][static_cast<std::size_t>(expert)];
      CHECK(share == doctest::Approx(counts[expert] / total));
      sum += share;
    }
    CHECK(sum == doctest::Approx(1));
    CHECK(shares["tokens"][row] == 2 * total);
    tokens += shares["tokens"][row].get<std::int64_t>();
  }
  CHECK(tokens == 2 * static_cast<std::int64_t>(spans.size()));
  const auto sum_of = [](const json& counts) {
    std::int64_t sum = 0;
    for (const json& count : counts) sum += count.get<std::int64_t>();
    return sum;
  };
  std::string lines;
  for (int i = 0; i < 400; ++i) lines += "x = " + std::to_string(i) + "\n";
  CHECK(sum_of(token_type_shares(model, tokenizer, {lines}).to_json()["tokens"]) == 15);  // block_size 16, one of them BOS
  config.data.block_size = 600;
  LanguageModel wide(config);
  CHECK(sum_of(token_type_shares(wide, tokenizer, {lines}).to_json()["tokens"]) == 512);
}

TEST_CASE("the worker leaves both tables and says where; a dense run, or one without domains, leaves none") {
  const TemporaryDirectory dir;
  core::RunConfig config = domain_config(dir);
  config.train.max_steps = 3;
  const auto artifacts_of = [&](const std::string& name, const core::RunConfig& run) {
    test::write_run(dir, name, run);
    const std::string run_dir = (dir.path() / name).string(), cache = (dir.path() / "cache").string();
    test::WorkerProcess worker({"train", "--run-dir", run_dir, "--cache-dir", cache, "--threads", "1"}, dir.path() / (name + ".log"));
    const int code = worker.wait();
    INFO(test::read_file(dir.path() / (name + ".log")));
    REQUIRE(code == core::kExitDone);
    return events_of(dir.path() / name, EventType::artifact);
  };
  const auto events = artifacts_of("moe", config);
  REQUIRE(events.size() == 2);
  CHECK(events[0].step == 3);
  CHECK(events[0].payload == json{{"name", "specialisation"}, {"path", "artifacts/specialisation.json"}, {"kind", "routing_shares"}});
  CHECK(events[1].payload["path"] == "artifacts/token_types.json");
  for (const char* name : {"specialisation", "token_types"}) {
    const json table = json::parse(test::read_file(dir.path() / "moe/artifacts" / (std::string(name) + ".json")));
    CHECK(table["step"] == 3);
    REQUIRE(table["share"].size() == 2);
    for (const json& layer : table["share"]) {
      REQUIRE(layer.size() == table["rows"].size());
      for (const json& row : layer) {
        double sum = 0;
        for (const json& share : row) sum += share.get<double>();
        CHECK(sum == doctest::Approx(1).epsilon(1e-9));
      }
    }
  }
  CHECK(json::parse(test::read_file(dir.path() / "moe/artifacts/token_types.json"))["documents"] == 12);

  core::RunConfig dense = config;
  dense.moe = core::MoeConfig{};
  dense.moe.num_active_experts = 1;
  CHECK(artifacts_of("dense", dense).empty());
  core::RunConfig other = test::small_moe_config(dir);
  other.train.max_steps = 1;
  CHECK(artifacts_of("no_domains", other).empty());
  config.data.domains = {{"math", config.data.domains["math"]}, {"prose", config.data.domains["prose"]}};
  config.model.vocab_size = 300;
  CHECK(artifacts_of("no_code", config).size() == 1);
}

}  // namespace
}  // namespace moelab::worker
