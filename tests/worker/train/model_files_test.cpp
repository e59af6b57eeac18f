// What goes in and out of a run: export and import of checkpoints, and scoring, as the commands do them.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "tests/worker/train/small_run.h"
#include "worker/data/tokenizer.h"
#include "worker/interop/hf_import.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"
#include "worker/train/export_command.h"
#include "worker/train/import_command.h"
#include "worker/train/initial_weights.h"
#include "worker/train/output_directory.h"
#include "worker/train/score.h"
#include "worker/train/score_command.h"

namespace moelab::worker {
namespace {

using nlohmann::json;
using test::error_of;
using test::read_file;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

core::RunConfig glm_like(const TemporaryDirectory& dir) {
  core::RunConfig config = test::small_moe_config(dir);
  config.moe.capacity_factor = 0;
  return config;
}

// A run directory with one checkpoint of untrained weights.
fs::path saved_run(const TemporaryDirectory& dir, const core::RunConfig& config, const std::string& tokenizer = {}) {
  LanguageModel model(config);
  for (const auto& bias : model.expert_biases()) bias.uniform_(-0.2, 0.2);
  TrainingState state;
  state.step = 7;
  CheckpointStore(dir.path() / "run", config.checkpoint).save(config, model_tensors(model), state, tokenizer);
  return dir.path() / "run";
}

void export_to(const fs::path& from, const fs::path& out, std::int64_t max_shard_bytes = 5'000'000'000) {
  std::ostringstream said;
  export_command({.from = from, .out = out, .max_shard_bytes = max_shard_bytes}, said);
  CHECK(said.str().find("ForCausalLM") != std::string::npos);
}

void import_to(const fs::path& from, const fs::path& out) {
  std::ostringstream said;
  import_command({.from = from, .out = out}, said);
}

json scored(const ScoreCommand& command) {
  std::ostringstream out;
  score_command(command, out);
  return json::parse(out.str());
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& item : fs::directory_iterator(directory)) names.push_back(item.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string npy(const std::string& shape, const std::vector<std::int64_t>& ids) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00\x76\x00", 10);
  return out + header + std::string(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(std::int64_t));
}

std::vector<std::int64_t> some_ids(std::int64_t count) {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back((i * i + 5 * i + 3) % test::kVocab);
  return ids;
}

bool same_tensors(const TensorMap& a, const TensorMap& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && x.second.scalar_type() == y.second.scalar_type() && x.second.equal(y.second);
         });
}

}  // namespace

TEST_CASE("a run goes out, comes in as a checkpoint with the same bits, and out again as the same files") {
  const TemporaryDirectory dir;
  const auto run = saved_run(dir, glm_like(dir));
  export_to(run, dir.path() / "hf");
  import_to(dir.path() / "hf", dir.path() / "back/");
  export_to(dir.path() / "back", dir.path() / "hf_again");
  CHECK(read_file(dir.path() / "hf/model.safetensors") == read_file(dir.path() / "hf_again/model.safetensors"));
  CHECK(read_file(dir.path() / "hf/config.json") == read_file(dir.path() / "hf_again/config.json"));

  const Checkpoint origin = read_checkpoint(*find_checkpoint(run)), back = read_checkpoint(dir.path() / "back");
  CHECK(same_tensors(back.weights, origin.weights));
  CHECK(back.state.step == 0);
  CHECK(back.state.tensors.empty());
  CHECK(find_checkpoint(dir.path() / "back") == dir.path() / "back");

  // train.init_from takes what was imported, and the Transformers directory itself.
  for (const char* from : {"back", "hf"}) {
    core::RunConfig config = glm_like(dir);
    config.seed = 99;
    config.train.init_from = (dir.path() / from).string();
    LanguageModel model(config);
    load_initial_weights(model, config);
    CHECK(same_tensors(model_tensors(model), origin.weights));
  }
}

TEST_CASE("large models are written in shards no larger than asked for, which read the same") {
  const TemporaryDirectory dir;
  const auto run = saved_run(dir, glm_like(dir));
  export_to(run, dir.path() / "whole");
  export_to(run, dir.path() / "parts", 5000);
  const json index = json::parse(read_file(dir.path() / "parts/model.safetensors.index.json"));
  CHECK_FALSE(fs::exists(dir.path() / "parts/model.safetensors"));
  std::int64_t total = 0, shards = 0;
  for (const auto& name : names_in(dir.path() / "parts")) {
    if (!name.ends_with(".safetensors")) continue;
    ++shards;
    std::int64_t bytes = 0;
    for (const auto& [tensor, value] : read_safetensors(dir.path() / "parts" / name).tensors) {
      CHECK(index.at("weight_map").at(tensor) == name);
      bytes += static_cast<std::int64_t>(value.nbytes());
    }
    CHECK(bytes <= 5000);
    total += bytes;
  }
  CHECK(shards > 3);
  CHECK(index.at("metadata").at("total_size") == total);
  CHECK(fs::exists(dir.path() / "parts" / ("model-00001-of-0000" + std::to_string(shards) + ".safetensors")));
  CHECK(same_tensors(import_transformers(dir.path() / "whole").tensors, import_transformers(dir.path() / "parts").tensors));
}

TEST_CASE("a failed export or import leaves nothing, and nothing is overwritten") {
  const TemporaryDirectory dir;
  core::RunConfig config = glm_like(dir);
  config.moe.score_fn = core::ScoreFn::softmax;  // and shared experts: nothing represents that
  const auto run = saved_run(dir, config);
  const auto before = names_in(dir.path());
  const auto unrepresentable = error_of([&] { export_to(run, dir.path() / "hf"); });
  CHECK(unrepresentable.find("cannot be exported: softmax scores with ungated shared") != std::string::npos);
  CHECK(error_of([&] { export_to(dir.path() / "nowhere", dir.path() / "hf"); }).find("--from: ") == 0);
  dir.write("broken/config.json", R"({"architectures": ["GPT2LMHeadModel"]})");
  const auto foreign = error_of([&] { import_to(dir.path() / "broken", dir.path() / "in"); });
  CHECK(foreign.find("GPT2LMHeadModel cannot be represented: it has LayerNorm") != std::string::npos);
  fs::remove_all(dir.path() / "broken");
  CHECK(names_in(dir.path()) == before);

  dir.write("full/file", "precious");
  for (const char* taken : {"full", "full/file"}) {
    const auto message = error_of([&] { export_to(run, dir.path() / taken); });
    CHECK(message.find("exists and is not an empty directory") != std::string::npos);
  }
  CHECK(read_file(dir.path() / "full/file") == "precious");
  fs::create_directories(dir.path() / "empty");
  {
    OutputDirectory output(dir.path() / "empty");
    std::ofstream(output.path() / "file") << "text";
    CHECK(names_in(dir.path() / "empty").empty());
    output.commit();
  }
  CHECK(names_in(dir.path() / "empty") == std::vector<std::string>{"file"});
}

TEST_CASE("an import that fails half-way leaves nothing") {
  const TemporaryDirectory dir;
  const fs::path golden = fs::path(MOELAB_SOURCE_DIR) / "tests/golden/mixtral";
  fs::create_directories(dir.path() / "hf");
  fs::copy_file(golden / "config.json", dir.path() / "hf/config.json");
  const std::string weights = read_file(golden / "model.safetensors");
  auto tensors = read_safetensors(golden / "model.safetensors").tensors;
  const auto why = [&] { return error_of([&] { import_to(dir.path() / "hf", dir.path() / "in"); }); };
  dir.write("hf/model.safetensors", weights.substr(0, weights.size() - 10));
  CHECK(why().find("truncated") != std::string::npos);
  tensors.at("model.norm.weight")[0] = INFINITY;
  write_safetensors(dir.path() / "hf/model.safetensors", tensors);
  CHECK(why().find("tensor model.norm.weight holds NaN or infinity") != std::string::npos);
  tensors.at("model.norm.weight") = torch::ones({3});
  write_safetensors(dir.path() / "hf/model.safetensors", tensors);
  CHECK(why().find("tensor model.norm.weight has shape [3] but config.json means [16]") != std::string::npos);
  CHECK(names_in(dir.path()) == std::vector<std::string>{"hf"});
  dir.write("hf/model.safetensors", weights);
  CHECK(why().empty());
  CHECK(names_in(dir.path()) == std::vector<std::string>{"hf", "in"});
}

TEST_CASE("a SentencePiece tokenizer travels along; another is left behind") {
  const TemporaryDirectory dir;
  core::RunConfig config = glm_like(dir);
  config.model.vocab_size = 300;
  const auto corpus_file = dir.write("corpus.txt", "the cat sat on the mat and the dog saw the cat\n");
  const std::string tokenizer = Tokenizer::train(Corpus({corpus_file}, "text", "data.path"), config.model, [](auto&&...) {});
  const auto run = saved_run(dir, config, tokenizer);
  export_to(run, dir.path() / "hf");
  CHECK(read_file(dir.path() / "hf/tokenizer.model") == tokenizer);
  import_to(dir.path() / "hf", dir.path() / "back");
  CHECK(read_file(dir.path() / "back/tokenizer.model") == tokenizer);

  // A text is scored as a document: [bos] ids.
  dir.write("line.txt", "the cat sat");
  const json said = scored({.model = dir.path() / "back", .tokens = {}, .text = dir.path() / "line.txt", .logits = {}, .json = true});
  const auto ids = Tokenizer::from_model(tokenizer, "test").encode("the cat sat");
  CHECK(said.at("tokens") == ids.size());
  std::vector<std::int64_t> with_bos{*config.model.bos_token_id};
  with_bos.insert(with_bos.end(), ids.begin(), ids.end());
  dir.write("ids.npy", npy("(" + std::to_string(with_bos.size()) + ",)", with_bos));
  CHECK(scored({.model = run, .tokens = dir.path() / "ids.npy", .text = {}, .logits = {}, .json = true}).at("nll") == said.at("nll"));

  dir.write("hf/tokenizer.model", "not SentencePiece");
  import_to(dir.path() / "hf", dir.path() / "without");
  CHECK_FALSE(fs::exists(dir.path() / "without/tokenizer.model"));
  CHECK_NOTHROW(read_checkpoint(dir.path() / "without"));
}

TEST_CASE("the score is the mean NLL of the model's own logits, by hand") {
  const TemporaryDirectory dir;
  const core::RunConfig config = glm_like(dir);
  const auto run = saved_run(dir, config);
  const auto ids = some_ids(3 * 10);
  dir.write("ids.npy", npy("(3, 10)", ids));
  const auto logits_file = dir.path() / "logits.npy";
  const json said = scored({.model = run, .tokens = dir.path() / "ids.npy", .text = {}, .logits = logits_file, .json = true});
  CHECK(said.at("tokens") == 27);
  CHECK(said.at("sequences") == 3);
  CHECK(said.at("step") == 7);

  LanguageModel model(config);
  load_weights(model, read_checkpoint(*find_checkpoint(run)).weights, "the run");
  const torch::NoGradGuard no_grad;
  const auto ids_BL = torch::tensor(ids, torch::kInt64).view({3, 10});
  const auto logits_BLV = model.logits(ids_BL);
  double sum = 0;
  for (std::int64_t b = 0; b < 3; ++b) {
    for (std::int64_t i = 0; i + 1 < 10; ++i) {
      const auto row_V = logits_BLV[b][i].to(torch::kFloat64);
      sum += (row_V.logsumexp(0) - row_V[ids_BL[b][i + 1].item<std::int64_t>()]).item<double>();
    }
  }
  CHECK(said.at("nll").get<double>() == doctest::Approx(sum / 27).epsilon(1e-9));
  CHECK(said.at("perplexity").get<double>() == doctest::Approx(std::exp(sum / 27)).epsilon(1e-9));

  const std::string bytes = read_file(logits_file);
  CHECK(bytes.find("'descr': '<f4', 'fortran_order': False, 'shape': (3, 10, 61, )") != std::string::npos);
  const std::size_t data = bytes.size() - 3 * 10 * 61 * sizeof(float);
  CHECK(data % 64 == 0);
  std::vector<float> values(3 * 10 * 61);
  std::memcpy(values.data(), bytes.data() + data, values.size() * sizeof(float));
  CHECK(torch::tensor(values).view({3, 10, 61}).equal(logits_BLV));
}

TEST_CASE("a sequence longer than the positions is cut into windows; each id but the first is scored once") {
  const TemporaryDirectory dir;
  const core::RunConfig config = test::small_config(dir);  // 16 positions
  LanguageModel model(config);
  const auto ids_BL = torch::tensor(some_ids(2 * 37), torch::kInt64).view({2, 37});
  std::vector<torch::Tensor> rows;
  const Score result = score(model, ids_BL, [&](const torch::Tensor& logits_NV) { rows.push_back(logits_NV.clone()); });
  CHECK(result.tokens == 2 * 36);
  const auto logits_BLV = torch::cat(rows).view({2, 37, test::kVocab});
  const torch::NoGradGuard no_grad;
  for (const std::int64_t begin : {0, 16, 32}) {
    const auto count = std::min<std::int64_t>(16, 37 - begin);
    const auto alone = model.logits(ids_BL.narrow(1, begin, count));
    CHECK(logits_BLV.narrow(1, begin, count).allclose(alone, 1e-5, 1e-6));
  }
  const auto log_probability = logits_BLV.to(torch::kFloat64).log_softmax(2).narrow(1, 0, 36);
  const double sum = -log_probability.gather(2, ids_BL.narrow(1, 1, 36).unsqueeze(2)).sum().item<double>();
  CHECK(result.nll_sum == doctest::Approx(sum).epsilon(1e-9));
  // 17 ids: the last one is a target of the first window and an input that predicts nothing.
  CHECK(score(model, ids_BL.narrow(1, 0, 17), {}).tokens == 2 * 16);
}

TEST_CASE("a large vocabulary is scored in pieces, and many sequences in batches, with the same sum") {
  const TemporaryDirectory dir;
  core::RunConfig config = test::small_config(dir);
  config.model.vocab_size = 70'000;  // 59 rows of fp64 logits a piece, 14 sequences of 16 a batch
  LanguageModel model(config);
  const auto ids_BL = torch::tensor(some_ids(20 * 16), torch::kInt64).view({20, 16}) * 1100;
  const Score together = score(model, ids_BL, {});
  CHECK(together.tokens == 20 * 15);
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (std::int64_t b = 0; b < 20; ++b) {
    const auto log_probability = model.logits(ids_BL.narrow(0, b, 1)).select(0, 0).to(torch::kFloat64).log_softmax(1);
    for (std::int64_t i = 0; i + 1 < 16; ++i) sum -= log_probability[i][ids_BL[b][i + 1].item<std::int64_t>()].item<double>();
  }
  CHECK(together.nll_sum == doctest::Approx(sum).epsilon(1e-7));
}

TEST_CASE("the score is dropless, and fp32 whatever the run trained in") {
  const TemporaryDirectory dir;
  core::RunConfig config = glm_like(dir);
  dir.write("ids.npy", npy("(2, 16)", some_ids(32)));
  const auto nll = [&] {
    const auto run = saved_run(dir, config);
    return scored({.model = run, .tokens = dir.path() / "ids.npy", .text = {}, .logits = {}, .json = true}).at("nll").get<double>();
  };
  torch::manual_seed(1);
  const double plain = nll();
  config.moe.eval_capacity_factor = 0.25;
  config.train.precision = core::Precision::bf16;
  torch::manual_seed(1);
  CHECK(nll() == plain);
}

TEST_CASE("what cannot be scored is refused with one clear message") {
  const TemporaryDirectory dir;
  const auto run = saved_run(dir, glm_like(dir));
  const auto why = [&](const std::string& shape, const std::vector<std::int64_t>& ids) {
    dir.write("ids.npy", npy(shape, ids));
    const ScoreCommand command{.model = run, .tokens = dir.path() / "ids.npy", .text = {}, .logits = dir.path() / "out.npy", .json = true};
    return error_of([&] { scored(command); });
  };
  CHECK(why("(1,)", {1}).find("no next token to score") != std::string::npos);
  CHECK(why("(2,)", {1, 61}).find("id 61 at position 1 is outside model.vocab_size 61") != std::string::npos);
  CHECK(why("(3,)", {1, 2}).find("is cut short") != std::string::npos);
  CHECK(why("(1, 1, 2)", {1, 2}).find("one or two dimensions") != std::string::npos);
  CHECK(why("(2, 1), 'fortran_order': True", {1, 2}).find("Fortran order") != std::string::npos);
  const auto with = [&](const fs::path& model, const fs::path& tokens, const fs::path& text) {
    return error_of([&] { scored({.model = model, .tokens = tokens, .text = text, .logits = {}, .json = true}); });
  };
  CHECK(with(run, {}, {}).find("either --tokens or --text") != std::string::npos);
  CHECK(with(run, "a.npy", "b.txt").find("either --tokens or --text") != std::string::npos);
  CHECK(with(run, {}, "b.txt").find("no such file: b.txt") != std::string::npos);
  CHECK(with(run, {}, dir.write("b.txt", "text")).find("has no tokenizer; give --tokens") != std::string::npos);
  CHECK(with(dir.path(), "a.npy", {}).find("--model: ") == 0);
  CHECK_FALSE(fs::exists(dir.path() / "out.npy"));
  CHECK_FALSE(fs::exists(dir.path() / "out.npy.tmp"));
}

}  // namespace moelab::worker
