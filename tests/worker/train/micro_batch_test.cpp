// The micro-batch divisor: more and smaller micro-batches, the same optimiser batch; resumed across divisors; told in the journal.
#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/worker/train/train_here.h"
#include "tests/worker/train/worker_process.h"
#include "worker/interop/weights.h"

namespace moelab::worker {
namespace {

using core::EventType;
using test::events_of;
using test::TemporaryDirectory;
using test::WorkerProcess;

TensorMap final_weights(const TemporaryDirectory& dir, const std::string& name) {
  return read_checkpoint(dir.path() / name / "checkpoints/step_00000020").weights;
}

// How far two runs end apart, as a share of how far training went: both are norms over all weights.
double distance(const TensorMap& a, const TensorMap& b, const core::RunConfig& config) {
  LanguageModel start(config);
  load_initial_weights(start, config);
  const TensorMap initial = model_tensors(start);
  double apart = 0, moved = 0;
  for (const auto& [name, tensor] : a) {
    apart += (tensor - b.at(name)).to(torch::kFloat64).square().sum().item<double>();
    moved += (tensor - initial.at(name)).to(torch::kFloat64).square().sum().item<double>();
  }
  return std::sqrt(apart / moved);
}

TEST_CASE("a divided dense run ends with the weights of the undivided one, resumed across divisors too") {
  const TemporaryDirectory dir;
  const core::RunConfig config = test::small_config(dir);  // batches of 4
  const auto whole = test::train(config, dir, "whole");
  const auto divided = test::train(config, dir, "divided", 1, 1 << 30, 4);
  CHECK(divided.pieces_of_work > whole.pieces_of_work + 20 * 3 - 1);  // it did compute four micro-batches a step
  // Sums in another order differ by fp32 rounding, 6e-8 of each, which AdamW blows up where a moment is close to 0. Measured 2.3e-7
  // divided by four and 5.2e-8 crossed; the bound is ten times the larger.
  CHECK(distance(final_weights(dir, "divided"), final_weights(dir, "whole"), config) < 2.3e-6);

  const auto first = test::train(config, dir, "crossed", 1, 12, 1);
  REQUIRE(first.end == TrainingEnd::preempted);
  const auto second = test::train(config, dir, "crossed", 2, 1 << 30, 2);
  CHECK(second.end == TrainingEnd::completed);
  REQUIRE(second.losses.size() == whole.losses.size());
  for (std::size_t i = 0; i < whole.losses.size(); ++i) CHECK(second.losses[i] == doctest::Approx(whole.losses[i]).epsilon(1e-5));
  CHECK(distance(final_weights(dir, "crossed"), final_weights(dir, "whole"), config) < 2.3e-6);
}

std::string divide(const TemporaryDirectory& dir, const std::string& name, const core::RunConfig& config, const nlohmann::json& divisor) {
  test::write_run(dir, name, config);
  nlohmann::json run = nlohmann::json::parse(test::read_file(dir.path() / name / "run.json"));
  run["micro_batch_divisor"] = divisor;
  dir.write(name + "/run.json", run.dump());
  return (dir.path() / name).string();
}

int train(const std::string& run_dir, const TemporaryDirectory& dir) {
  const std::string cache = (dir.path() / "cache").string();
  return WorkerProcess({"train", "--run-dir", run_dir, "--cache-dir", cache, "--threads", "1"}, dir.path() / "log").wait();
}

TEST_CASE("the journal tells the divisor, and what it changes only where it changes something") {
  const TemporaryDirectory dir;
  CHECK(train(divide(dir, "dense", test::small_config(dir), 2), dir) == core::kExitDone);
  CHECK(events_of(dir.path() / "dense", EventType::started).at(0).payload["micro_batch_divisor"] == 2);
  auto alerts = events_of(dir.path() / "dense", EventType::alert);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].payload["code"] == "micro_batch_halved");
  CHECK(alerts[0].payload["message"] ==
        "the run was out of memory: a step is now computed in 2 micro-batches of 2 sequences instead of 1 of 4; the optimiser's batch "
        "stays the same");

  CHECK(train(divide(dir, "moe", test::small_moe_config(dir), 2), dir) == core::kExitDone);
  alerts = events_of(dir.path() / "moe", EventType::alert);
  REQUIRE(!alerts.empty());
  const std::string message = alerts[0].payload["message"];
  CHECK(message.find("4 micro-batches of 1 sequences instead of 2 of 2") != std::string::npos);
  CHECK(message.find("but moe.capacity_factor act on one micro-batch") != std::string::npos);

  CHECK(train(divide(dir, "undivided", test::small_config(dir), 1), dir) == core::kExitDone);
  CHECK(events_of(dir.path() / "undivided", EventType::alert).empty());

  CHECK(train(divide(dir, "too_much", test::small_config(dir), 8), dir) == core::kExitUsage);
  CHECK(events_of(dir.path() / "too_much", EventType::finished).at(0).payload["message"].get<std::string>().find(
            "train.batch_size 4 cannot be cut into train.grad_accum * 8") != std::string::npos);
}

}  // namespace
}  // namespace moelab::worker
