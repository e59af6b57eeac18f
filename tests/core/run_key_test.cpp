#include <doctest/doctest.h>

#include <set>

#include "core/config_json.h"
#include "core/field_io.h"
#include "core/run_key.h"
#include "core/sha256.h"
#include "tests/core/plan_fixture.h"

using namespace moelab::core;

namespace {

std::string key_of(const RunConfig& config) {
  ContentHasher hasher("");
  return run_key(config, hasher).hex;
}

// A value of the field other than its default.
nlohmann::json another_value(const nlohmann::json& entry) {
  const std::string type = entry["type"];
  if (entry.contains("choices")) {
    for (const auto& choice : entry["choices"]) {
      if (choice != entry["default"]) return choice;
    }
    return nullptr;
  }
  if (entry.contains("max") && entry["max"] == entry["min"]) return nullptr;
  if (type == "boolean") return !entry["default"].get<bool>();
  if (type == "integer") {
    const std::int64_t least = entry["min"].get<std::int64_t>();
    return entry["default"] == least ? least + 1 : least;
  }
  if (type == "duration") return 60;
  if (type == "number") return entry["default"] == 0.5 ? 0.25 : 0.5;
  if (type == "string") return "other";
  if (type == "list of integers") return {1};
  if (type == "map of lists of strings") return {{"one", {"other"}}, {"two", {"another"}}};
  return nlohmann::json::array({"other"});
}

}  // namespace

TEST_CASE("SHA-256 is SHA-256") {
  // FIPS 180-4, example 1.
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("every knob that decides the result enters the key, no other does") {
  const RunConfig defaults;
  const std::string key = key_of(defaults);
  CHECK(key.size() == 64);
  std::set<std::string> keys{key};
  int varied = 0;
  for (const auto& entry : schema_json()) {
    const std::string path = entry["path"];
    const nlohmann::json value = another_value(entry);
    if (value.is_null()) continue;  // the field has one value only
    INFO(path);
    RunConfig config;
    REQUIRE_FALSE(read_field(config, path, node_from_json(value)));
    REQUIRE(field_json(config, path) != field_json(defaults, path));
    if (entry["in_key"] == true) {
      CHECK(keys.insert(key_of(config)).second);
    } else {
      CHECK(key_of(config) == key);
    }
    ++varied;
  }
  CHECK(varied > 60);
}

TEST_CASE("names, notes, tags, priority and resources leave the key alone") {
  const Plan a = plan_of("  - {name: one, variants: {x: {}}}\n");
  const Plan b = plan_of(
      "  - {name: two, tags: [t], priority: 5, notes: n, max_concurrent: 1, resources: {timeout: 2h, gpus: 0}, checkpoint: {keep_last: 5}, "
      "variants: "
      "{y: {notes: m}}}\n");
  CHECK(a.runs[0].spec.key == b.runs[0].spec.key);
}

TEST_CASE("the key follows the content of the data, not its name") {
  const TempDir dir;
  const auto key_with = [&](const std::string& path) {
    RunConfig config;
    config.data.path = {(dir.path() / path).string()};
    return key_of(config);
  };
  dir.write("a/1.txt", "one");
  dir.write("a/sub/2.txt", "two");
  dir.write("a/notes.md", "ignored");
  dir.write("b/first.txt", "one");
  dir.write("b/second.txt", "two");
  CHECK(key_with("a") == key_with("b"));
  CHECK(key_with("a") == key_with("b/*.txt"));
  dir.write("b/second.txt", "2wo");
  CHECK(key_with("a") != key_with("b"));
  dir.write("c/1.jsonl", "one");
  dir.write("c/2.jsonl", "two");
  CHECK(key_with("a") != key_with("c"));
  CHECK(key_with("nowhere") != key_with("elsewhere"));
}

TEST_CASE("domains enter the key by name and content") {
  const TempDir dir;
  dir.write("a/1.txt", "one");
  dir.write("a2/uno.txt", "one");
  dir.write("b/2.txt", "two");
  const auto key_with = [&](const std::vector<std::pair<std::string, std::string>>& domains) {
    RunConfig config;
    for (const auto& [name, path] : domains) config.data.domains[name] = {(dir.path() / path).string()};
    return key_of(config);
  };
  const std::string key = key_with({{"code", "a"}, {"prose", "b"}});
  CHECK(key == key_with({{"prose", "b"}, {"code", "a2"}}));  // neither the order nor the place of the files counts
  CHECK(key != key_with({{"code", "b"}, {"prose", "a"}}));
  CHECK(key != key_with({{"code", "a"}, {"tales", "b"}}));
  CHECK(key != key_with({{"code", "a"}, {"prose", "a"}}));
  CHECK(key != key_of(RunConfig{}));
  dir.write("b/2.txt", "2wo");
  CHECK(key != key_with({{"code", "a"}, {"prose", "b"}}));

  RunConfig config;
  config.data.domains = {{"code", {(dir.path() / "a").string()}}, {"prose", {(dir.path() / "nowhere").string()}}};
  ContentHasher hasher("");
  const RunKey missing = run_key(config, hasher);
  REQUIRE(missing.missing.size() == 1);
  CHECK(missing.missing[0].path == "data.domains");
  CHECK(missing.missing[0].message == "no such file or directory: " + dir.path().string() + "/nowhere");
}

TEST_CASE("a token file, its sidecar and a directory of weights are hashed too") {
  const TempDir dir;
  RunConfig config;
  config.data.tokens = dir.write("t.bin", "1234").string();
  config.train.init_from = dir.write("model/config.json", "{}").parent_path().string();
  const std::string key = key_of(config);
  dir.write("t.json", "{\"vocab\": 3}");
  const std::string with_sidecar = key_of(config);
  CHECK(with_sidecar != key);
  dir.write("model/model.safetensors", "weights");
  CHECK(key_of(config) != with_sidecar);
}

TEST_CASE("what is missing is named with its remedy's key") {
  const TempDir dir;
  std::filesystem::create_directories(dir.path() / "empty");
  RunConfig config;
  config.data.path = {(dir.path() / "empty").string(), (dir.path() / "*.txt").string()};
  config.data.tokenizer = (dir.path() / "empty").string();
  config.data.val_tokens = (dir.path() / "v.npy").string();
  ContentHasher hasher("");
  const RunKey key = run_key(config, hasher);
  std::vector<std::string> messages;
  for (const Problem& problem : key.missing) messages.push_back(problem.path + ": " + problem.message);
  const std::string at = dir.path().string();
  CHECK(messages == std::vector<std::string>{"data.path: no .txt or .jsonl file in " + at + "/empty",
                                             "data.path: no .txt or .jsonl file in " + at + "/*.txt",
                                             "data.val_tokens: no such file or directory: " + at + "/v.npy",
                                             "data.tokenizer: a directory where a file is needed: " + at + "/empty"});
}

TEST_CASE("content hashes are remembered, and forgotten when size or time change") {
  const TempDir dir;
  const std::filesystem::path file = dir.write("text.txt", "abc");
  const auto an_hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(file, an_hour_ago);
  const auto hash = [&] { return ContentHasher(dir.path() / "cache").hash(SourceKind::corpus, {file.string()}).hex; };
  const std::string first = hash();
  REQUIRE(std::filesystem::exists(dir.path() / "cache/content_hashes.json"));

  dir.write("text.txt", "xyz");
  std::filesystem::last_write_time(file, an_hour_ago);
  CHECK(hash() == first);  // same size and time: the cache answers
  std::filesystem::last_write_time(file, an_hour_ago + std::chrono::seconds(1));
  const std::string second = hash();
  CHECK(second != first);
  dir.write("cache/content_hashes.json", "{broken");
  CHECK(hash() == second);
}

TEST_CASE("a file written a moment ago is not remembered") {
  const TempDir dir;
  const std::filesystem::path file = dir.write("text.txt", "abc");
  ContentHasher(dir.path() / "cache").hash(SourceKind::corpus, {file.string()});
  CHECK_FALSE(std::filesystem::exists(dir.path() / "cache/content_hashes.json"));
}
