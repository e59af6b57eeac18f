// The micro-batch divisor: which comes next, what a run.json may say, what it changes.
#include "core/micro_batch.h"

#include <doctest/doctest.h>

#include "core/error.h"

namespace moelab::core {
namespace {

RunConfig with_batch(std::int64_t batch_size, std::int64_t grad_accum) {
  RunConfig config;
  config.train.batch_size = batch_size;
  config.train.grad_accum = grad_accum;
  return config;
}

TEST_CASE("the divisor doubles as long as the batch can be cut into equal micro-batches") {
  CHECK(next_micro_batch_divisor(with_batch(8, 1), 1) == 2);
  CHECK(next_micro_batch_divisor(with_batch(8, 1), 4) == 8);
  CHECK(next_micro_batch_divisor(with_batch(8, 1), 8) == std::nullopt);
  CHECK(next_micro_batch_divisor(with_batch(8, 4), 1) == 2);
  CHECK(next_micro_batch_divisor(with_batch(8, 4), 2) == std::nullopt);
  CHECK(next_micro_batch_divisor(with_batch(12, 1), 2) == 4);
  CHECK(next_micro_batch_divisor(with_batch(12, 1), 4) == std::nullopt);  // 12 sequences are no 8 equal parts
  CHECK(next_micro_batch_divisor(with_batch(7, 1), 1) == std::nullopt);
  CHECK(next_micro_batch_divisor(with_batch(8, 1), std::int64_t{1} << 62) == std::nullopt);
}

TEST_CASE("a run.json has a divisor of 1, or says one that fits; else the error names the file and the remedy") {
  const RunConfig config = with_batch(8, 2);
  const auto read = [&](const nlohmann::json& run) { return micro_batch_divisor(run, config, "runs/3/run.json"); };
  const auto error = [&](const nlohmann::json& divisor) {
    try {
      read({{"micro_batch_divisor", divisor}});
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::config);
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(read(nlohmann::json::object()) == 1);
  CHECK(read({{"micro_batch_divisor", 1}}) == 1);
  CHECK(read({{"micro_batch_divisor", 4}}) == 4);
  for (const char* text : {"0", "-2", "3", "2.5", "\"2\"", "null"}) {
    const nlohmann::json wrong = nlohmann::json::parse(text);
    CHECK(error(wrong) == "runs/3/run.json: micro_batch_divisor: " + wrong.dump() + " is no power of two; remove it or set it to 1");
  }
  CHECK(error(8) ==
        "runs/3/run.json: micro_batch_divisor: train.batch_size 8 cannot be cut into train.grad_accum * 8 = 16 equal micro-batches; "
        "lower it");
}

TEST_CASE("only knobs that act on one micro-batch are said to make a difference") {
  RunConfig config = with_batch(8, 1);
  const auto knobs = [&] { return knobs_by_micro_batch(config); };
  config.moe.lb_coeff = config.moe.capacity_factor = 1;
  CHECK(knobs().empty());  // a dense model has no router
  config.moe.num_experts = 4;
  CHECK(knobs() == std::vector<std::string>{"moe.lb_coeff", "moe.capacity_factor"});
  config.moe = {};
  config.moe.num_experts = 4;
  config.moe.lb_gamma = config.moe.z_loss_coeff = config.moe.seq_aux_coeff = config.moe.orth_coeff = 1;  // counts of the step, means
  CHECK(knobs().empty());
  config.moe.routing = Routing::expert_choice;
  CHECK(knobs() == std::vector<std::string>{"moe.ec_scope"});
  config.moe.ec_scope = ChoiceScope::sequence;
  CHECK(knobs().empty());
  config.moe.routing = Routing::random;
  CHECK(knobs() == std::vector<std::string>{"moe.random_mode"});
  config.moe.random_mode = RandomMode::frozen;
  CHECK(knobs().empty());
  config.moe.routing = Routing::base;
  config.model.attention_dropout = 0.1;
  CHECK(knobs() == std::vector<std::string>{"model.attention_dropout", "moe.routing"});
}

}  // namespace
}  // namespace moelab::core
