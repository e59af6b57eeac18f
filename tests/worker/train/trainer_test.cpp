// Trainer: its losses are those of a hand-run loop, accumulation changes nothing, evaluation is a true mean, it can overfit,
// it says when it diverges, frozen weights stay, and a fine-tuned model starts its own schedule.
#include "worker/train/trainer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/worker/train/train_here.h"
#include "worker/interop/weights.h"
#include "worker/train/evaluation.h"
#include "worker/train/initial_weights.h"

namespace moelab::worker {
namespace {

using core::EventType;
using test::events_of;
using test::load;
using test::Outcome;
using test::TemporaryDirectory;
using test::train;

TEST_CASE("the losses are those of model, optimiser and schedule run by hand") {
  const TemporaryDirectory dir;
  for (const bool moe : {false, true}) {
    core::RunConfig config = moe ? test::small_moe_config(dir) : test::small_config(dir);
    config.data.shuffle = false;
    const Outcome outcome = train(config, dir, moe ? "moe" : "dense");
    REQUIRE(outcome.losses.size() == 20);

    LanguageModel model(config);
    model.train();
    AdamW optimizer(model, config.train);
    const LrSchedule schedule(config.train, 20);
    BiasController controller(config.moe, model.expert_biases());
    Batcher batches(load(config, dir).train, false, 0);
    const std::int64_t accum = config.train.grad_accum, sequences = 4 / accum;
    for (std::int64_t step = 0; step < 20; ++step) {
      double sum = 0;
      for (std::int64_t micro = 0; micro < accum; ++micro) {
        const Batch batch = batches.next(sequences);
        const BatchLoss loss =
            model.loss(batch.ids_BL, batch.targets_BL, {.ce_scale = 1.0 / (4 * 16), .aux_scale = 1.0 / static_cast<double>(accum)});
        loss.total.backward();
        sum += loss.ce_sum.item<double>();
        controller.add(loss.routes);
      }
      optimizer.step(schedule.lr(step), optimizer.gradient_norm());
      optimizer.zero_grad();
      controller.step();
      CHECK(outcome.losses[static_cast<std::size_t>(step)] == doctest::Approx(sum / 64).epsilon(1e-12));
    }
  }
}

TEST_CASE("accumulation over micro-batches trains the same dense model as one large batch") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  const Outcome whole = train(config, dir, "whole");
  config.train.grad_accum = 4;
  const Outcome parts = train(config, dir, "parts");
  REQUIRE(whole.losses.size() == parts.losses.size());
  for (std::size_t i = 0; i < whole.losses.size(); ++i) CHECK(parts.losses[i] == doctest::Approx(whole.losses[i]).epsilon(1e-5));
}

TEST_CASE("the loss goes down, and one block can be learned by heart") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_moe_config(dir);
  config.moe.capacity_factor = 0;
  config.data.tokens = dir.write("one.bin", test::token_bytes(17, 9));
  config.train.batch_size = 1;
  config.train.grad_accum = 1;
  config.train.max_steps = 300;
  config.train.lr = 1e-2;
  config.train.eval_interval = config.train.save_interval = 1000;
  const Outcome outcome = train(config, dir, "run");
  CHECK(outcome.losses.front() > 3.5);  // ln 61 = 4.1
  CHECK(outcome.losses.back() < 0.01);
}

TEST_CASE("eval/loss is the mean over all validation targets, whatever the batch size") {
  const TemporaryDirectory dir;
  const core::RunConfig config = test::small_moe_config(dir);
  const TrainingData data = load(config, dir);
  LanguageModel model(config);
  const Batcher validation(data.val, false, 0);
  double sum = 0;
  std::int64_t targets = 0;
  {
    const torch::NoGradGuard no_grad;
    model.eval();
    const Batch all = validation.in_order(0, 6);
    const torch::Tensor log_p = model.logits(all.ids_BL).to(torch::kFloat64).log_softmax(-1);
    sum = -log_p.gather(-1, all.targets_BL.unsqueeze(-1)).sum().item<double>();
    targets = all.targets;
  }
  CHECK(targets == 96);
  std::vector<double> z_losses;
  for (const std::int64_t sequences : {1, 4, 6, 100}) {
    const auto evaluation = evaluate(model, validation, sequences, [] { return false; });
    REQUIRE(evaluation);
    const std::map<std::string, double>* values = &evaluation->values;
    CHECK(values->at("eval/loss") == doctest::Approx(sum / 96).epsilon(1e-6));
    CHECK(values->at("eval/loss_hf") == doctest::Approx(values->at("eval/loss") * 15 / 16).epsilon(1e-12));
    CHECK(values->at("eval/perplexity") == doctest::Approx(std::exp(values->at("eval/loss"))).epsilon(1e-12));
    CHECK(values->count("eval/maxvio") == 1);
    z_losses.push_back(values->at("eval/z_loss"));
    CHECK(z_losses.back() == doctest::Approx(z_losses.front()).epsilon(1e-5));  // a mean over tokens
    CHECK(values->at("eval/lb_loss") > 0.9);
  }
  CHECK(model.is_training());
  CHECK(!evaluate(model, validation, 1, [] { return true; }));
}

TEST_CASE("records come at their intervals, first and last step included") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_moe_config(dir);
  config.train.log_interval = 5;
  train(config, dir, "run");
  const auto steps = [&](EventType type) {
    std::vector<std::int64_t> found;
    for (const auto& event : events_of(dir.path() / "run", type)) found.push_back(event.step);
    return found;
  };
  CHECK(steps(EventType::metrics) == std::vector<std::int64_t>{1, 5, 10, 15, 20});
  CHECK(steps(EventType::expert_load) == std::vector<std::int64_t>{1, 4, 8, 12, 16, 20});
  CHECK(steps(EventType::eval) == std::vector<std::int64_t>{8, 16, 20});
  CHECK(steps(EventType::checkpoint) == std::vector<std::int64_t>{6, 12, 18, 20});
  for (const auto& event : events_of(dir.path() / "run", EventType::expert_load)) {
    const auto counts = event.payload["counts"].get<std::vector<std::int64_t>>();
    REQUIRE(counts.size() == 2 * 2 * 4);
    std::int64_t total = 0;
    for (const std::int64_t count : counts) total += count;
    CHECK(total == 2 * 2 * 4 * 16);  // layers x slots x tokens of the whole step
    CHECK(event.payload["layers"] == nlohmann::json{0, 1});
  }
  const auto values = events_of(dir.path() / "run", EventType::metrics).back().payload["values"];
  for (const char* name :
       {"train/loss", "train/lr", "train/grad_norm", "train/epoch", "num_input_tokens_seen", "perf/tokens_per_sec", "perf/step_ms",
        "perf/peak_memory_mb", "train/z_loss", "train/lb_bias_dbg", "train/token_drop_ratio", "router/maxvio", "router/wr_norm",
        "router/layer_1_wr_norm", "train/moe/load/e003", "router/layer_1_expert_3_frac", "router/layer_0_bias_e002"}) {
    CHECK_MESSAGE(values.contains(name), name);
  }
  double layer_sum = 0, layer_mean = 0;
  for (int e = 0; e < 4; ++e) layer_sum += values["router/layer_1_expert_" + std::to_string(e) + "_frac"].get<double>();
  for (int l = 0; l < 2; ++l) layer_mean += values["router/layer_" + std::to_string(l) + "_expert_2_frac"].get<double>() / 2;
  CHECK(layer_sum == doctest::Approx(1));
  CHECK(layer_mean == doctest::Approx(values["train/moe/load/e002"].get<double>()));
  CHECK_FALSE(events_of(dir.path() / "run", EventType::metrics)[1].payload["values"].contains("router/layer_1_expert_3_frac"));  // step 5
  CHECK(values["num_input_tokens_seen"] == 20 * 4 * 16);
  CHECK(values["train/epoch"] == 2.0);
}

TEST_CASE("a run that diverges says so once and ends") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.train.lr = 1e30;
  config.train.grad_clip = 0;
  config.train.warmup_steps = 0;
  const Outcome outcome = train(config, dir, "run");
  CHECK(outcome.end == TrainingEnd::diverged);
  const auto alerts = events_of(dir.path() / "run", EventType::alert);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].payload["code"] == "non_finite_loss");
  CHECK(events_of(dir.path() / "run", EventType::checkpoint).empty());
}

TEST_CASE("stopped at any point, between micro-batches or inside an evaluation, a run loses and repeats nothing") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_moe_config(dir);
  config.train.batch_size = 6;
  config.train.grad_accum = 3;
  config.train.max_steps = 4;
  config.train.eval_interval = 2;
  const Outcome whole = train(config, dir, "whole");
  const auto weights = [&](const std::string& name) {
    return test::read_file(dir.path() / name / "checkpoints/step_00000004/model.safetensors");
  };
  const auto evaluations = [&](const std::string& name) {
    std::vector<std::string> found;
    for (const auto& event : events_of(dir.path() / name, EventType::eval))
      found.push_back(std::to_string(event.step) + event.payload.dump());
    return found;
  };
  for (int stop_after = 0; stop_after < 24; ++stop_after) {
    CAPTURE(stop_after);
    const std::string name = "stopped_" + std::to_string(stop_after);
    const Outcome first = train(config, dir, name, 1, stop_after);
    if (first.end == TrainingEnd::completed) break;
    CHECK(first.end == TrainingEnd::preempted);
    const Outcome second = train(config, dir, name, 2);
    CHECK(second.end == TrainingEnd::completed);
    CHECK(second.losses == whole.losses);  // those of both attempts
    CHECK(evaluations(name) == evaluations("whole"));
    const bool same_bytes = !weights(name).empty() && weights(name) == weights("whole");
    CHECK(same_bytes);
  }
}

// What the names of LanguageModel say about a weight of a MoE model; written apart from the code under test.
bool kept_by(const core::TrainConfig& train, const std::string& name) {
  const bool expert = name.find("moe.experts") != std::string::npos || name.find("moe.shared") != std::string::npos;
  const bool router = name.find("moe.router") != std::string::npos;
  return (expert && train.freeze_experts) || (router && train.freeze_router) || (!expert && !router && train.freeze_trunk);
}

TEST_CASE("what began on a GPU can go on on the CPU, and the trainer knows it") {
  const TemporaryDirectory dir;
  const core::RunConfig config = test::small_config(dir);
  const auto from_a_gpu = [](Checkpoint& checkpoint) { checkpoint.state.tensors["rng.device"] = torch::zeros({16}, torch::kUInt8); };
  REQUIRE(train(config, dir, "a", 1, 17).end == TrainingEnd::preempted);
  CHECK(train(config, dir, "a", 2, 17, 1, from_a_gpu).device_kind_changed);
  CHECK_FALSE(train(config, dir, "a", 3).device_kind_changed);
}

TEST_CASE("frozen weights keep their bits without decay, all others move, and a resumed run ends with the same bits") {
  const TemporaryDirectory dir;
  for (int frozen = 1; frozen < 7; ++frozen) {
    CAPTURE(frozen);
    core::RunConfig config = test::small_moe_config(dir);
    config.moe.moe_layers = std::vector<std::int64_t>{1};
    config.moe.capacity_factor = frozen < 4 ? 1 : 0;  // with dropped assignments and without
    config.data.shuffle = false;
    config.train.weight_decay = 0.1;
    config.train.freeze_experts = (frozen & 1) != 0;
    config.train.freeze_router = (frozen & 2) != 0;
    config.train.freeze_trunk = (frozen & 4) != 0;
    const std::string whole = "whole_" + std::to_string(frozen), parts = "parts_" + std::to_string(frozen);
    REQUIRE(train(config, dir, whole).end == TrainingEnd::completed);
    const Checkpoint last = read_checkpoint(dir.path() / whole / "checkpoints/step_00000020");

    LanguageModel model(config);
    for (const auto& [name, start] : model_tensors(model)) {
      CAPTURE(name);
      CHECK(torch::equal(last.weights.at(name), start) == kept_by(config.train, name));
    }
    for (const auto& item : model.named_parameters()) {
      CHECK(last.state.tensors.contains("adamw.m." + item.key()) != kept_by(config.train, item.key()));
    }

    // The norm of the first step is that of the gradients that are left, and everything is recorded as ever.
    model.train();
    Batcher batches(load(config, dir).train, false, 0);
    for (int micro = 0; micro < 2; ++micro) {
      const Batch batch = batches.next(2);
      model.loss(batch.ids_BL, batch.targets_BL, {1.0 / (4 * 16), 0.5}).total.backward();
    }
    double squares = 0;
    for (const auto& item : model.named_parameters()) {
      if (!kept_by(config.train, item.key())) squares += item.value().grad().to(torch::kFloat64).square().sum().item<double>();
    }
    const auto values = events_of(dir.path() / whole, EventType::metrics).front().payload["values"];
    CHECK(values["train/grad_norm"].get<double>() / std::sqrt(squares) == doctest::Approx(1).epsilon(1e-5));
    for (const char* metric : {"train/z_loss", "train/lb_bias_dbg", "router/maxvio", "router/wr_norm"}) CHECK(values.contains(metric));
    CHECK(events_of(dir.path() / whole, EventType::expert_load).size() == 6);

    REQUIRE(train(config, dir, parts, 1, 17).end == TrainingEnd::preempted);
    REQUIRE(train(config, dir, parts, 2).end == TrainingEnd::completed);
    for (const char* file : {"model.safetensors", "state.safetensors"}) {
      const auto bytes = [&](const std::string& name) { return test::read_file(dir.path() / name / "checkpoints/step_00000020" / file); };
      const bool same_bytes = !bytes(whole).empty() && bytes(parts) == bytes(whole);
      CHECK_MESSAGE(same_bytes, file);
    }
  }
}

TEST_CASE("fine-tuning starts its own schedule at step 0 with fresh moments on the old weights") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  train(config, dir, "first");
  const TensorMap before = read_checkpoint(dir.path() / "first/checkpoints/step_00000020").weights;
  config.train.init_from = (dir.path() / "first").string();
  config.train.max_steps = 3;
  config.train.save_interval = 1;
  config.train.warmup_steps = 0;
  config.train.lr = 1e-4;
  config.train.schedule = core::Schedule::linear;
  config.checkpoint.keep_last = 3;
  train(config, dir, "second");
  const auto metrics = events_of(dir.path() / "second", EventType::metrics);
  REQUIRE(metrics.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(metrics[i].payload["values"]["train/lr"].get<double>() * 1e4 == doctest::Approx((3.0 - static_cast<double>(i)) / 3));
  }
  // Adam's first step from zero moments is lr * g / (|g| + eps): the rate itself wherever the gradient is not tiny. Moments of
  // the first run would be of all sizes.
  const TensorMap after = read_checkpoint(dir.path() / "second/checkpoints/step_00000001").weights;
  const torch::Tensor moved = (after.at("layers.1.attn.o.weight") - before.at("layers.1.attn.o.weight")).abs() / 1e-4;
  CHECK(moved.max().item<double>() <= 1.002);
  CHECK(moved.median().item<double>() >= 0.998);
}

TEST_CASE("the number of steps follows from epochs unless it is given") {
  core::TrainConfig train;
  train.epochs = 2;
  train.batch_size = 16;
  CHECK(planned_steps(train, 100) == 12);
  CHECK(planned_steps(train, 3) == 1);
  train.max_steps = 5;
  CHECK(planned_steps(train, 100) == 5);
}

}  // namespace
}  // namespace moelab::worker
