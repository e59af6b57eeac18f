// The way from a run's data section to blocks: cache, split, and the errors a person meets.
#include "worker/data/data_source.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "tests/worker/data/temporary_directory.h"
#include "worker/data/content_cache.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::read_file;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

struct Notices {
  std::vector<std::string> messages, phases;
  DataWatcher watcher() {
    return {[this](std::string_view phase, std::int64_t, std::int64_t) { phases.emplace_back(phase); },
            [this](const std::string& message) { messages.push_back(message); }};
  }
  bool saw_phase(const std::string& phase) const { return std::find(phases.begin(), phases.end(), phase) != phases.end(); }
};

core::RunConfig small_run(const TemporaryDirectory& dir) {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += "{\"text\": \"a story, number " + std::to_string(i) + ", of a hen and a fox\"}\n";
  core::RunConfig config;
  config.data.path = {dir.write("corpus/stories.jsonl", lines)};
  config.data.block_size = 8;
  config.data.val_fraction = 0.1;
  config.model.vocab_size = 300;
  return config;
}

TrainingData load(const core::RunConfig& config, const TemporaryDirectory& dir, Notices& notices) {
  return load_training_data(config, dir.path() / "cache", 1, notices.watcher());
}

std::vector<std::string> entries(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& item : fs::directory_iterator(directory)) names.push_back(item.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("a corpus is prepared once; later loads, with another block size too, come from the cache") {
  const TemporaryDirectory dir;
  core::RunConfig config = small_run(dir);
  Notices first, second;
  const TrainingData built = load(config, dir, first);
  CHECK(!built.summary.cached);
  CHECK(first.saw_phase("train_tokenizer"));
  CHECK(first.saw_phase("tokenize"));
  CHECK(built.summary.train_documents == 36);
  CHECK(built.summary.val_documents == 4);
  CHECK(built.tokenizer->vocab_size() == 300);
  config.data.block_size = 16;
  const TrainingData cached = load(config, dir, second);
  CHECK(cached.summary.cached);
  CHECK(second.phases.empty());
  CHECK(cached.summary.train_tokens == built.summary.train_tokens);
  CHECK(cached.train.size() == built.summary.train_tokens / 16);
}

TEST_CASE("training and validation documents are disjoint and complete") {
  const TemporaryDirectory dir;
  const core::RunConfig config = small_run(dir);
  Notices notices;
  const TrainingData data = load(config, dir, notices);
  const auto texts = [&](const char* name) {
    const std::string bytes = read_file(data.summary.directory / name);
    std::vector<std::string> out;
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i <= bytes.size(); i += 2) {
      std::uint16_t id = 1;
      if (i < bytes.size()) std::copy_n(bytes.data() + i, 2, reinterpret_cast<char*>(&id));
      if (id == 1 && !ids.empty()) out.push_back(data.tokenizer->decode(ids));
      if (id == 1)
        ids.clear();
      else
        ids.push_back(id);
    }
    return out;
  };
  std::vector<std::string> all = texts("train.tokens");
  CHECK(all.size() == 36);
  for (const std::string& text : texts("val.tokens")) {
    CHECK(std::find(all.begin(), all.end(), text) == all.end());
    all.push_back(text);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  CHECK(all.size() == 40);
}

TEST_CASE("what decides the tokens decides the cache entry") {
  const TemporaryDirectory dir;
  Notices notices;
  const core::RunConfig config = small_run(dir);
  const fs::path base = load(config, dir, notices).summary.directory;
  const auto directory_with = [&](auto change) {
    core::RunConfig other = config;
    change(other);
    return load(other, dir, notices).summary.directory;
  };
  CHECK(directory_with([](auto& c) { c.train.lr = 1; }) == base);
  CHECK(directory_with([](auto& c) { c.data.seed = 5; }) != base);
  CHECK(directory_with([](auto& c) { c.data.eos = true; }) != base);
  CHECK(directory_with([](auto& c) { c.data.bos = false; }) != base);
  CHECK(directory_with([](auto& c) { c.data.val_fraction = 0.3; }) != base);
  CHECK(directory_with([](auto& c) { c.model.vocab_size = 301; }) != base);
  CHECK(directory_with([&](auto& c) { c.data.val_path = {dir.write("val/v.txt", "an old tale of a hen and a fox and a cat")}; }) != base);
}

TEST_CASE("a damaged cache entry is found and built again, the same as before") {
  const TemporaryDirectory dir;
  const core::RunConfig config = small_run(dir);
  Notices first, second;
  const fs::path file = load(config, dir, first).summary.directory / "train.tokens";
  const std::string good = read_file(file);
  std::string bad = good;
  bad[10] = static_cast<char>(bad[10] ^ 1);
  SUBCASE("changed") {
    std::ofstream(file, std::ios::binary) << bad;
  }
  SUBCASE("cut short") {
    fs::resize_file(file, 10);
  }
  SUBCASE("removed") {
    fs::remove(file);
  }
  SUBCASE("without meta.json") {
    fs::remove(file.parent_path() / "meta.json");
  }
  const TrainingData data = load(config, dir, second);
  CHECK(!data.summary.cached);
  REQUIRE(second.messages.size() == 1);
  CHECK(second.messages[0].find("is damaged") != std::string::npos);
  CHECK(read_file(file) == good);
}

TEST_CASE("a build that fails leaves nothing behind") {
  const TemporaryDirectory dir;
  const ContentCache cache(dir.path() / "cache");
  Notices notices;
  const auto fail = [](const fs::path& directory) -> nlohmann::json {
    std::ofstream(directory / "half") << "half";
    throw core::Error(core::ErrorKind::data, "no");
  };
  CHECK(error_of([&] { cache.get("kind", "key", notices.watcher(), fail); }) == "no");
  CHECK(entries(dir.path() / "cache" / "kind") == std::vector<std::string>{"key.lock"});
}

TEST_CASE("two processes that want the same entry build it once, and both get it") {
  const TemporaryDirectory dir;
  int ready[2], go[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(go) == 0);
  // Each child appends a line to `builds` if it builds; the builder does not finish before the other one is waiting.
  const auto child = [&](int number) {
    ::alarm(60);  // without the lock both would build and wait for ever
    Notices notices;
    DataWatcher watcher = notices.watcher();
    watcher.progress = [&](std::string_view phase, std::int64_t, std::int64_t) {
      if (phase == "wait" && ::write(go[1], "w", 1) != 1) ::_exit(3);
    };
    char start = 0;
    if (::read(ready[0], &start, 1) != 1) ::_exit(4);
    const CacheEntry entry = ContentCache(dir.path() / "cache").get("kind", "key", watcher, [&](const fs::path& directory) {
      std::ofstream(dir.path() / "builds", std::ios::app) << number << "\n";
      char waiting = 0;
      if (::read(go[0], &waiting, 1) != 1) ::_exit(5);
      std::ofstream(directory / "file") << "content";
      return nlohmann::json{{"by", number}};
    });
    ::_exit(read_file(entry.directory / "file") == "content" ? (entry.built ? 10 : 11) : 6);
  };
  pid_t pids[2];
  for (int i = 0; i < 2; ++i) {
    pids[i] = ::fork();
    if (pids[i] == 0) child(i);
  }
  REQUIRE(::write(ready[1], "gg", 2) == 2);
  std::vector<int> codes;
  for (const pid_t pid : pids) {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  }
  std::sort(codes.begin(), codes.end());
  CHECK(codes == std::vector<int>{10, 11});
  CHECK(read_file(dir.path() / "builds").size() == 2);
  CHECK(entries(dir.path() / "cache" / "kind") == std::vector<std::string>{"key", "key.lock"});
}

TEST_CASE("token files: the last blocks are held out, or a file of their own") {
  const TemporaryDirectory dir;
  std::string bytes;
  for (int i = 0; i < 101; ++i) bytes += std::string{static_cast<char>(i), '\0'};
  core::RunConfig config;
  config.model.vocab_size = 101;
  config.data.tokens = dir.write("t.bin", bytes);
  config.data.block_size = 10;
  config.data.val_fraction = 0.2;
  Notices notices;
  TrainingData data = load(config, dir, notices);
  CHECK(data.train.size() == 8);
  CHECK(data.val.size() == 2);
  CHECK(!data.tokenizer);
  std::vector<std::int64_t> ids(10), targets(10);
  data.val.read(0, ids.data(), targets.data());
  CHECK(ids.front() == 80);
  CHECK(targets.back() == 90);
  config.data.val_tokens = dir.write("v.bin", bytes.substr(0, 22));
  data = load(config, dir, notices);
  CHECK(data.train.size() == 10);
  CHECK(data.val.size() == 1);
}

TEST_CASE("what a person can get wrong is explained") {
  const TemporaryDirectory dir;
  Notices notices;
  const core::RunConfig good = small_run(dir);
  const auto why = [&](auto change) {
    core::RunConfig config = good;
    change(config);
    return error_of([&] { load(config, dir, notices); });
  };
  CHECK(why([](auto& c) { c.data.path.clear(); }) == "data.path: nothing to train on; name text files, or token files with data.tokens");
  CHECK(why([](auto& c) { c.data.tokens = "x.npy"; }) == "data.tokens and data.path are both set; keep the one to train on");
  CHECK(why([&](auto& c) {
          c.data.path = {dir.write("one/a.txt", "a single document, long enough")};
          c.model.vocab_size = 276;
        }).find("the corpus is one document") != std::string::npos);
  CHECK(why([](auto& c) { c.data.block_size = 100000; }).find("not enough for one block of data.block_size 100000") != std::string::npos);
  CHECK(why([](auto& c) { c.model.vocab_size = 9000; }).find("model.vocab_size: 9000 is larger than the corpus supports") !=
        std::string::npos);
  CHECK(why([&](auto& c) {
          c.data.path.clear();
          c.data.tokens = dir.write("short.bin", "abcdefgh");
          c.model.vocab_size = 65536;
        }).find("short.bin holds 4 tokens, not enough for one block of data.block_size 8") != std::string::npos);
  CHECK(why([&](auto& c) {
          c.data.path.clear();
          c.data.tokens = dir.write("single.bin", std::string(20, 'a'));
          c.model.vocab_size = 65536;
        }).find("is one block of data.block_size 8, so none can be held out") != std::string::npos);
}

}  // namespace
}  // namespace moelab::worker
