// Checkpoints: the round trip, what is kept, what is done about damage.
#include "worker/train/checkpoint.h"

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/worker/data/file_size_limit.h"
#include "tests/worker/data/small_disk.h"
#include "tests/worker/train/small_run.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

TensorMap weights() {
  return {{"a.weight", torch::tensor({{1.0f, -2.5f}, {3.25f, 1e-30f}})}};
}

TrainingState state_at(std::int64_t step, double eval_loss = std::nan("")) {
  TrainingState state;
  state.step = step;
  state.data_position = 10 * step;
  state.counters = {{"calls", 2}};
  state.metrics = {{"train/loss", 0.1 + 0.2}, {"train/grad_norm", std::numeric_limits<double>::infinity()}};
  state.tensors = {{"rng.cpu", torch::tensor({1, 2, 255}, torch::kUInt8)}, {"counts", torch::tensor({{1, 2}}, torch::kInt64)}};
  if (eval_loss == eval_loss) {
    state.evaluated_step = step;
    state.eval = {{"eval/loss", eval_loss}};
  }
  return state;
}

std::vector<std::string> names(const fs::path& run_dir) {
  std::vector<std::string> found;
  for (const auto& item : fs::directory_iterator(run_dir / "checkpoints")) found.push_back(item.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

struct Store {
  TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  CheckpointStore store;
  std::vector<std::string> damage;

  explicit Store(std::int64_t keep_last = 2, std::int64_t keep_best = 1)
      : store(dir.path(), core::CheckpointConfig{.keep_last = keep_last, .keep_best = keep_best}) {}
  CheckpointStore::Saved save(std::int64_t step, double eval_loss = std::nan("")) {
    return store.save(config, weights(), state_at(step, eval_loss), "tokenizer bytes");
  }
  std::optional<Checkpoint> load() {
    return store.newest_good([&](const std::string& message) { damage.push_back(message); });
  }
  fs::path file(const std::string& checkpoint, const std::string& name) const { return dir.path() / "checkpoints" / checkpoint / name; }
  void flip_byte(const std::string& checkpoint, const std::string& name) const {
    std::string bytes = test::read_file(file(checkpoint, name));
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::ofstream(file(checkpoint, name), std::ios::binary) << bytes;
  }
};

TEST_CASE("everything comes back as it was") {
  Store s;
  CHECK(!s.load());
  s.save(7, 1.5);
  const auto loaded = s.load();
  REQUIRE(loaded);
  CHECK(loaded->directory.filename() == "step_00000007");
  CHECK(torch::equal(loaded->weights.at("a.weight"), weights().at("a.weight")));
  const TrainingState expected = state_at(7, 1.5);
  CHECK(loaded->state.step == 7);
  CHECK(loaded->state.data_position == 70);
  CHECK(loaded->state.evaluated_step == 7);
  CHECK(loaded->state.counters == expected.counters);
  CHECK(loaded->state.metrics == expected.metrics);
  CHECK(loaded->state.eval == expected.eval);
  for (const auto& [name, tensor] : expected.tensors) CHECK(torch::equal(loaded->state.tensors.at(name), tensor));
  CHECK(test::read_file(s.file("step_00000007", "tokenizer.model")) == "tokenizer bytes");
  check_architecture(*loaded, s.config);
}

TEST_CASE("the newest and the best are kept") {
  Store s(2, 1);
  CHECK(s.save(1, 3.0).best);
  CHECK(s.save(2, 2.0).best);
  CHECK(!s.save(3, 2.5).best);
  CHECK(!s.save(4).best);
  CHECK(!s.save(5, 2.6).best);
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000002", "step_00000004", "step_00000005"});
  Store without(1, 0);
  without.save(1, 1.0);
  without.save(2, 2.0);
  CHECK(names(without.dir.path()) == std::vector<std::string>{"step_00000002"});
}

TEST_CASE("the same step again replaces the checkpoint") {
  Store s(1, 0);
  s.save(4);
  s.save(4, 1.0);
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000004"});
  CHECK(s.load()->state.evaluated_step == 4);
}

TEST_CASE("a damaged checkpoint is reported, set aside, and the one before it is used") {
  Store s;
  s.save(1);
  s.save(2);
  SUBCASE("a changed byte in the weights") {
    s.flip_byte("step_00000002", "model.safetensors");
  }
  SUBCASE("a changed byte in the state") {
    s.flip_byte("step_00000002", "state.safetensors");
  }
  SUBCASE("cut short") {
    fs::resize_file(s.file("step_00000002", "model.safetensors"), 20);
  }
  SUBCASE("a missing file") {
    fs::remove(s.file("step_00000002", "state.json"));
  }
  SUBCASE("an empty DONE") {
    fs::resize_file(s.file("step_00000002", "DONE"), 0);
  }
  const auto loaded = s.load();
  REQUIRE(loaded);
  CHECK(loaded->state.step == 1);
  REQUIRE(s.damage.size() == 1);
  CHECK(s.damage[0].find("step_00000002 is damaged: ") != std::string::npos);
  CHECK(s.damage[0].find("; going on from step_00000001") != std::string::npos);
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000001", "step_00000002.damaged"});
}

TEST_CASE("a directory without DONE is no checkpoint; a half-written one is cleared away by the next save") {
  Store s;
  s.save(1);
  s.save(2);
  fs::remove(s.file("step_00000002", "DONE"));
  s.dir.write("checkpoints/.tmp_step_00000009/model.safetensors", "half");
  CHECK(s.load()->state.step == 1);
  CHECK(s.damage.empty());
  s.save(3);
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000001", "step_00000003"});
}

TEST_CASE("a checkpoint that fails in the middle leaves the older ones and no rubbish") {
  Store s;
  s.save(1);
  s.save(2);
  const TensorMap large{{"a.weight", torch::zeros({1000})}};
  {
    const test::FileSizeLimit limit(2000);
    CHECK(error_of([&] { s.store.save(s.config, large, state_at(3), ""); }).find("File too large") != std::string::npos);
  }
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000001", "step_00000002"});
  CHECK(s.load()->state.step == 2);
  s.store.save(s.config, large, state_at(3), "");
  CHECK(s.load()->state.step == 3);
}

TEST_CASE("a checkpoint that would not fit is known before; what it would push out goes first, the newest and the best stay") {
  const test::SmallDisk disk(80);
  if (!disk.mounted()) {
    MESSAGE(disk.skip_reason());
    return;
  }
  const fs::path run = disk.directory().path();
  const TensorMap large{{"a.weight", torch::zeros({250'000})}};  // a megabyte
  const core::RunConfig config = test::small_config(disk.directory());
  const CheckpointStore generous(run, {.keep_last = 9, .keep_best = 1});
  for (std::int64_t step = 1; step <= 6; ++step) CheckpointStore(generous).save(config, large, state_at(step, step == 2 ? 1.0 : 2.0), "");
  CHECK(generous.why_no_room(large, state_at(7), "").empty());
  CHECK(names(run).size() == 6);

  const CheckpointStore store(run, {.keep_last = 3, .keep_best = 1});
  disk.fill(CheckpointStore::kDiskReserve);
  CHECK(store.why_no_room(large, state_at(7), "").empty());  // the space of steps 1, 3 and 4 was enough
  CHECK(names(run) == std::vector<std::string>{"step_00000002", "step_00000005", "step_00000006"});
  disk.fill(CheckpointStore::kDiskReserve);
  const std::string sentence = store.why_no_room(large, state_at(7), "");
  CHECK(sentence.find("checkpoints: the disk has ") != std::string::npos);
  CHECK(sentence.find(" MB free; a checkpoint takes 2 MB and 68 MB stay free for the journal. Free some space") != std::string::npos);
  CHECK(names(run).size() == 3);
  const CheckpointStore strict(run, {.keep_last = 1, .keep_best = 0});
  CHECK(strict.why_no_room(large, state_at(7), "").empty());  // that of steps 2 and 5
  CHECK(names(run) == std::vector<std::string>{"step_00000006"});
  disk.fill(CheckpointStore::kDiskReserve);
  CHECK(!strict.why_no_room(large, state_at(7), "").empty());
  CHECK(names(run) == std::vector<std::string>{"step_00000006"});
}

TEST_CASE("when none can be read, one error says so and nothing is touched") {
  Store s;
  s.save(1);
  s.save(2);
  s.flip_byte("step_00000001", "model.safetensors");
  s.flip_byte("step_00000002", "model.safetensors");
  const std::string message = error_of([&] { s.load(); });
  CHECK(message.find("no checkpoint of this run can be read") == 0);
  CHECK(message.find("to start from the beginning") != std::string::npos);
  CHECK(names(s.dir.path()) == std::vector<std::string>{"step_00000001", "step_00000002"});
}

TEST_CASE("another architecture is refused by key and value") {
  Store s;
  s.save(1);
  core::RunConfig other = s.config;
  other.moe.num_experts = 4;
  other.model.hidden_size = 32;
  const std::string message = error_of([&] { check_architecture(*s.load(), other); });
  CHECK(message.find("model.hidden_size is 32 and was 16, moe.num_experts is 4 and was 1; restore the configuration") != std::string::npos);
  other = s.config;
  other.train.lr = 1;
  check_architecture(*s.load(), other);
}

TEST_CASE("a checkpoint is found by its own directory and by its run's") {
  Store s;
  CHECK(!find_checkpoint(s.dir.path()));
  s.save(1);
  s.save(12);
  CHECK(find_checkpoint(s.dir.path())->filename() == "step_00000012");
  CHECK(find_checkpoint(s.dir.path() / "checkpoints" / "step_00000001")->filename() == "step_00000001");
}

}  // namespace
}  // namespace moelab::worker
